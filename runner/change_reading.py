"""What a change shows by being read: tests that assert less, source that knows of tests, tests in source files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from gates.assertions import lost, weaker
from gates.awareness import signs
from gates.findings import MAX_FINDINGS, MAX_TOLD_CHARS, Finding, FindingKind
from gates.inline_tests import edited
from gates.special_cases import special_cased
from gates.test_files import FileKind, kind_of
from gates.text import clean
from runner.changes import Difference
from runner.ports import Checkouts

_MAX_READ: Final = 2_000
"""Files of a change that are read; of a larger one a person is told that it was not read whole."""
_MAX_TESTS: Final = 200
_MAX_SAID: Final = 5
_MAX_LINES: Final = 5_000
"""Lines of a file whose edits are told apart line by line; of a longer one none count as changed."""


@dataclass(frozen=True, kw_only=True)
class ReadChange:
    """findings: at most MAX_FINDINGS, in the order of the paths. edits: of edited tests, their content at the base and
    in the change. lines: of source files, numbers of the lines that the change adds or edits.
    """

    findings: tuple[Finding, ...]
    edits: Mapping[str, tuple[bytes | None, bytes | None]]
    lines: Mapping[str, frozenset[int]]


@dataclass(frozen=True, kw_only=True)
class _File:
    path: str
    kind: FileKind
    old: bytes | None
    new: bytes | None


def read_change(checkouts: Checkouts, run_id: str, base: str, head: str, differing: Sequence[Difference]) -> ReadChange:
    """What is found by reading the files that differ. Raises CheckoutFault."""
    findings: list[Finding] = []
    if len(differing) > _MAX_READ:
        told = f"the change touches {len(differing)} files, of which the first {_MAX_READ} were read"
        findings.append(Finding(kind=FindingKind.AWARE_OF_TESTS, told=told))
    files = [
        _File(
            path=one.path,
            kind=kind_of(one.path, added=not one.before),
            old=checkouts.read(run_id, base, one.path) if one.before else None,
            new=checkouts.read(run_id, head, one.path) if one.after else None,
        )
        for one in differing[:_MAX_READ]
    ]
    sources = [file for file in files if file.kind is FileKind.SOURCE]
    tests = _tests(checkouts, run_id, head) if sources else {}
    for file in files:
        findings += _of(file, tests)
    return ReadChange(
        findings=tuple(dict.fromkeys(findings))[:MAX_FINDINGS],
        edits={
            file.path: (file.old, file.new) for file in files if file.kind is FileKind.TEST and file.old is not None
        },
        lines={file.path: changed for file in sources if (changed := _changed(file))},
    )


def _tests(checkouts: Checkouts, run_id: str, commit: str) -> dict[str, bytes]:
    paths = [path for path in checkouts.paths(run_id, commit) if kind_of(path) is FileKind.TEST][:_MAX_TESTS]
    found = ((path, checkouts.read(run_id, commit, path)) for path in paths)
    return {path: content for path, content in found if content is not None}


def _of(file: _File, tests: Mapping[str, bytes]) -> Iterator[Finding]:
    if file.new is None:
        return
    if file.kind is FileKind.TEST and file.old is not None:
        fewer = lost(file.path, file.old, file.new)
        if fewer > 0:
            yield _finding(FindingKind.ASSERTIONS_GONE, file, f"{fewer} assertions fewer than on the base")
        said = weaker(file.path, file.old, file.new)
        if said:
            yield _finding(FindingKind.ASSERTIONS_GONE, file, "; ".join(said[:_MAX_SAID]))
    if file.kind is FileKind.SOURCE:
        yield from _of_source(file, file.new, tests)


def _of_source(file: _File, new: bytes, tests: Mapping[str, bytes]) -> Iterator[Finding]:
    special = special_cased(file.path, file.old, new, tests)
    said = (*signs(file.path, file.old, new), *special.strong)
    if said:
        yield _finding(FindingKind.AWARE_OF_TESTS, file, "; ".join(said[:_MAX_SAID]))
    if special.hints:
        yield _finding(FindingKind.SPECIAL_CASES, file, "; ".join(special.hints[:_MAX_SAID]))
    if file.old is not None and edited(file.path, file.old, new):
        yield _finding(FindingKind.INLINE_TESTS, file, "tests that stand in this source file were edited")


def _changed(file: _File) -> frozenset[int]:
    old, new = ((content or b"").splitlines() for content in (file.old, file.new))
    if max(len(old), len(new)) > _MAX_LINES:
        return frozenset()
    steps = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return frozenset(line + 1 for step, _, _, first, last in steps if step != "equal" for line in range(first, last))


def _finding(kind: FindingKind, file: _File, said: str) -> Finding:
    return Finding(kind=kind, told=clean(f"{file.path}: {said}", MAX_TOLD_CHARS))
