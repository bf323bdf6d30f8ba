"""Tests of ours beside the repository's: a report that does not show them exactly is not believed. Pure.

They are added to the end of test files as the base has them, so that they run in the process, in the file and in the
order that the repository's own tests run in: what bends those bends these. Their names are random, and nobody knows
them before the tree that holds them is written.

*Quiet* ones leave the exit status alone: one must pass and, where the runner has a form for it, some are expected to
fail. *Loud* ones fail plainly, so that the exit status of a run that holds them is never 0: who makes it so is found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gates.evidence import Case, CaseOutcome, JUnit
from gates.sentinel_forms import Drawn, added
from gates.test_runners import TestRunner

MAX_FILES: Final = 100
_WORDS: Final = 7
_LETTERS: Final = str.maketrans("0123456789", "ghijklmnop")
_SHOULD_PANIC: Final = " - should panic"


@dataclass(frozen=True, kw_only=True)
class Sentinel:
    """What one file gets. content: the file as it is to be, ours last. passes, fails: names of tests.

    expected: how each of `fails` has to end for the report to be believed. loud: the run's status cannot be 0.
    """

    path: str
    content: bytes
    passes: str
    fails: tuple[str, ...]
    expected: tuple[CaseOutcome, ...]
    loud: bool


def sentinels(runner: TestRunner, files: Mapping[str, bytes], token: str, *, loud: bool) -> tuple[Sentinel, ...]:
    """One for each of those files that can be added to, at most MAX_FILES, in the order of their paths.

    files: path to content, at the base. token: random; the names are made from it, and are the same for the same one.
    """
    made = (_made(runner, path, files[path], token, loud=loud) for path in sorted(files))
    return tuple([one for one in made if one is not None][:MAX_FILES])


def shown(report: JUnit, one: Sentinel) -> bool:
    """Whether the report tells of each of its tests once, and that it ended as it must."""
    passed = _ended(report, one.passes)
    return passed == [CaseOutcome.PASSED] and all(
        len(ended := _ended(report, name)) == 1 and ended[0] in one.expected for name in one.fails
    )


def stripped(report: JUnit, planted: Sequence[Sentinel]) -> JUnit:
    """The report without them."""
    ours = {name for one in planted for name in (one.passes, *one.fails)}
    return replace(report, cases=tuple(case for case in report.cases if _own_name(case) not in ours))


def _made(runner: TestRunner, path: str, content: bytes, token: str, *, loud: bool) -> Sentinel | None:
    digits = hashlib.sha512(f"{token}\0{path}".encode("utf-8", "surrogateescape")).hexdigest()
    words = [digits[at * 10 : at * 10 + 10].translate(_LETTERS) for at in range(_WORDS + 1)]
    left, more = int(digits[82:85], 16), int(digits[85:88], 16)
    drawn = Drawn(words=tuple(words[:_WORDS]), reason=words[_WORDS], left=left, right=left + more + 1)
    told = added(runner, path, content, drawn, loud=loud)
    if told is None:
        return None
    return Sentinel(
        path=path,
        content=content + told.text.encode(),
        passes=told.passes,
        fails=told.fails,
        expected=(CaseOutcome.FAILED, CaseOutcome.ERROR) if loud else (told.quietly,),
        loud=loud,
    )


def _ended(report: JUnit, name: str) -> list[CaseOutcome]:
    return [case.outcome for case in report.cases if _own_name(case) == name]


def _own_name(case: Case) -> str:
    """A test's own name, without what its runner put before it (blocks, modules) or after it (parameters, kinds)."""
    name = case.name.removesuffix(_SHOULD_PANIC).split("[", 1)[0]
    return name.rsplit(" ", 1)[-1].rsplit("::", 1)[-1]
