"""Which trees a change is judged on: its own, its own with the base's tests, and the base's with its tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gates.findings import Finding, FindingKind
from gates.head import Change
from gates.mixed import base_sections
from gates.plan import Gate
from gates.test_files import FileKind, kind_of
from gates.text import clean
from runner.change_reading import read_change
from runner.changes import ChangeKind, Difference, FileChange
from runner.gate_take import Take, Variant
from runner.ports import Checkouts

_NAMED: Final = 5


@dataclass(frozen=True, kw_only=True)
class Trees:
    """own, bases, old: commits in the run's clean clone; old is None where the change has no tests.

    base_files: what tests of ours are added to with the base's tests, by gate; own_files: those that the change leaves.
    """

    own: str
    bases: str
    old: str | None
    change: Change
    base_files: Mapping[str, Mapping[str, bytes]]
    own_files: Mapping[str, Mapping[str, bytes]]
    paths: tuple[str, ...]

    def takes(self, gate: Gate) -> tuple[Take | None, Take | None, Take | None]:
        """On its own tree; with the base's tests where that can show more; its tests on the base, where it has any."""
        own = Take(variant=Variant.OWN, commit=self.own, files=self.own_files.get(gate.name, {}))
        proven = self.base_files.get(gate.name, {})
        bases = Take(variant=Variant.BASES, commit=self.bases, files=proven, loud=True)
        old = None if self.old is None or gate.junit is None else Take(variant=Variant.OLD, commit=self.old)
        return own, bases if proven or self.bases != self.own else None, old


def trees_of(checkouts: Checkouts, run_id: str, base: str, head: str, proven: frozenset[tuple[str, str]]) -> Trees:
    """The trees of the change from `base` to `head`. proven: (gate, path) of what tests of ours can be added to."""
    differing = checkouts.differing(run_id, base, head)
    kinds = {one.path: kind_of(one.path, added=not one.before) for one in differing}
    tests = [one for one in differing if kinds[one.path] is FileKind.TEST]
    mixed = {
        one.path: _sections(checkouts, run_id, base, head, one)
        for one in differing
        if kinds[one.path] is FileKind.MIXED
    }
    ways = [one for one in differing if kinds[one.path] is FileKind.RUNNER or mixed.get(one.path) is not None]
    runner = tuple(one.path for one in ways)
    back = (*tests, *(one for one in ways if not one.after or not mixed.get(one.path)))
    bases = head
    if back:
        bases = checkouts.graft(run_id, onto=head, source=base, paths=tuple(one.path for one in back)).commit
    spliced = tuple(
        FileChange(kind=ChangeKind.WRITE, path=path, mode="100644", content=content)
        for path, content in mixed.items()
        if content
    )
    if spliced:
        bases = checkouts.commit(run_id, bases, bases, spliced, "A tree to judge by").commit
    brought = tuple(one.path for one in tests if one.after)
    old = checkouts.graft(run_id, onto=base, source=head, paths=brought).commit if brought else None
    read = read_change(checkouts, run_id, base, head, differing)
    change = Change(
        edited=tuple(one.path for one in tests if one.before),
        added=tuple(one.path for one in tests if not one.before),
        runner=runner,
        findings=(*_found(tests, runner), *read.findings),
        edits=read.edits,
        lines=read.lines,
    )
    touched = {one.path for one in differing}
    base_files = _by_gate(checkouts, run_id, base, proven)
    own_files = {
        gate: {path: content for path, content in files.items() if path not in touched}
        for gate, files in base_files.items()
    }
    return Trees(
        own=head,
        bases=bases,
        old=old,
        change=change,
        base_files=base_files,
        own_files=own_files,
        paths=tuple(one.path for one in differing),
    )


def _sections(checkouts: Checkouts, run_id: str, base: str, head: str, one: Difference) -> bytes | None:
    """The manifest to judge by, where the change's says otherwise how tests are run; b"" for the base's own file."""
    if not one.after:
        return b""
    old = checkouts.read(run_id, base, one.path) if one.before else b""
    new = checkouts.read(run_id, head, one.path)
    if old is None or new is None:
        return b""
    told = base_sections(one.path, old, new)
    return told if told is None or one.before else b""


def _by_gate(
    checkouts: Checkouts, run_id: str, base: str, proven: frozenset[tuple[str, str]]
) -> dict[str, dict[str, bytes]]:
    files: dict[str, dict[str, bytes]] = {}
    for gate, path in sorted(proven):
        content = checkouts.read(run_id, base, path)
        if content is not None:
            files.setdefault(gate, {})[path] = content
    return files


def _found(tests: Sequence[Difference], runner: Sequence[str]) -> tuple[Finding, ...]:
    edited = [one.path for one in tests if one.before]
    found = []
    if edited:
        told = f"tests that the base has were edited: {_listed(edited)}"
        found.append(Finding(kind=FindingKind.TESTS_EDITED, told=told))
    if runner:
        told = f"how tests are run was changed: {_listed(runner)}"
        found.append(Finding(kind=FindingKind.RUNNER_CHANGED, told=told))
    return tuple(found)


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(clean(path, 120) for path in paths[:_NAMED]) + (", …" if len(paths) > _NAMED else "")
