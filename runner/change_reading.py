"""What a change shows by being read: its tests that assert less, source that knows of tests, tests in source files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gates.assertions import lost, weaker
from gates.awareness import signs
from gates.findings import MAX_FINDINGS, MAX_TOLD_CHARS, Finding, FindingKind
from gates.inline_tests import edited
from gates.test_files import FileKind, kind_of
from gates.text import clean
from runner.changes import Difference
from runner.ports import Checkouts

_MAX_READ: Final = 2_000
"""Files of a change that are read; of a larger one a person is told that it was not read whole."""
_MAX_SAID: Final = 5


@dataclass(frozen=True, kw_only=True)
class _File:
    path: str
    kind: FileKind
    old: bytes | None
    new: bytes | None


def found_by_reading(
    checkouts: Checkouts, run_id: str, base: str, head: str, differing: Sequence[Difference]
) -> tuple[Finding, ...]:
    """The findings, at most MAX_FINDINGS, in the order of the paths. Raises CheckoutFault."""
    findings: list[Finding] = []
    if len(differing) > _MAX_READ:
        told = f"the change touches {len(differing)} files, of which the first {_MAX_READ} were read"
        findings.append(Finding(kind=FindingKind.AWARE_OF_TESTS, told=told))
    for one in differing[:_MAX_READ]:
        file = _File(
            path=one.path,
            kind=kind_of(one.path, added=not one.before),
            old=checkouts.read(run_id, base, one.path) if one.before else None,
            new=checkouts.read(run_id, head, one.path) if one.after else None,
        )
        findings += _of(file)
    return tuple(dict.fromkeys(findings))[:MAX_FINDINGS]


def _of(file: _File) -> Iterator[Finding]:
    if file.new is None:
        return
    if file.kind is FileKind.TEST and file.old is not None:
        fewer = lost(file.path, file.old, file.new)
        if fewer > 0:
            yield _finding(FindingKind.ASSERTIONS_GONE, file, f"{fewer} fewer than on the base")
        said = weaker(file.path, file.old, file.new)
        if said:
            yield _finding(FindingKind.ASSERTIONS_GONE, file, "; ".join(said[:_MAX_SAID]))
    if file.kind is FileKind.SOURCE:
        said = signs(file.path, file.old, file.new)
        if said:
            yield _finding(FindingKind.AWARE_OF_TESTS, file, "; ".join(said[:_MAX_SAID]))
        if file.old is not None and edited(file.path, file.old, file.new):
            yield _finding(FindingKind.INLINE_TESTS, file, "tests that stand in this source file were edited")


def _finding(kind: FindingKind, file: _File, said: str) -> Finding:
    return Finding(kind=kind, told=clean(f"{file.path}: {said}", MAX_TOLD_CHARS))
