"""What a test runner printed of how many tests it ran, for gates that leave no report. Pure.

Known: node --test, jest, vitest, mocha, pytest, unittest and cargo. A gate may run several of them: all count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gates.text import plain

_MAX_LINE: Final = 300
_MAX_COUNT: Final = 10_000_000
_NODE: Final = re.compile(r"(?:\u2139|#) (?P<counts>(?:tests|pass|fail|cancelled|skipped|todo) \d+)$")
_SUMMARIES: Final = (
    re.compile(r"Tests:\s+(?P<counts>.*\d+ total)$"),
    re.compile(r"\s*Tests\s+(?P<counts>\d+ .*)\(\d+\)$"),
    re.compile(r"\s*(?P<counts>\d+ (?:passing|failing|pending))(?: \(\d+\w+\))?$"),
    re.compile(r"=*\s*(?P<counts>\d+ [a-z].*) in [\d.]+s(?: \([\d:]+\))?\s*=*$"),
    re.compile(r"=*\s*(?P<counts>no tests ran) in [\d.]+s\s*=*$"),
    re.compile(r"test result: (?:ok|FAILED)\. (?P<counts>\d+ passed; \d+ failed; .*)$"),
)
_UNITTEST_RAN: Final = re.compile(r"Ran (?P<ran>\d+) tests? in [\d.]+s$")
_UNITTEST_END: Final = re.compile(r"(?:OK|FAILED|NO TESTS RAN)(?: \((?P<counts>[^)]*)\))?$")
_COUNT: Final = re.compile(r"(?P<number>\d{1,9}) (?P<word>[a-z]+)")
_NODE_COUNT: Final = re.compile(r"(?P<word>[a-z]+)[ =](?P<number>\d{1,9})")
_PASSED: Final = frozenset({"passed", "pass", "passing"})
_FAILED: Final = frozenset({"failed", "fail", "failing", "error", "errors", "failures", "cancelled"})
_SKIPPED: Final = frozenset({"skipped", "pending", "todo", "ignored", "xfailed"})


@dataclass(frozen=True, kw_only=True)
class Printed:
    """The numbers of all summaries together."""

    passed: int
    failed: int
    skipped: int

    @property
    def tests(self) -> int:
        """All of them, the skipped ones too."""
        return self.passed + self.failed + self.skipped


def read_printed(output: bytes) -> Printed | None:
    """What the output's summaries add up to; None where it holds none that is known."""
    sums = [0, 0, 0]
    seen = False
    ran: int | None = None
    for line in plain(output.decode("utf-8", "replace"), keep_newlines=True).splitlines():
        told = line.rstrip()
        if len(told) > _MAX_LINE:
            continue
        begun = _UNITTEST_RAN.match(told)
        ended = _UNITTEST_END.match(told) if ran is not None else None
        if begun:
            ran = min(int(begun["ran"]), _MAX_COUNT)
            continue
        if ran is not None and ended:
            counted = list(_added(ended["counts"] or "", number_first=False))
            passed = max(0, ran - sum(number for _, number in counted))
            counted.append((0, passed))
            ran = None
        else:
            counted = _of_line(told)
        seen = seen or bool(counted)
        for place, number in counted:
            sums[place] = min(sums[place] + number, _MAX_COUNT)
    return Printed(passed=sums[0], failed=sums[1], skipped=sums[2]) if seen else None


def _of_line(line: str) -> list[tuple[int, int]]:
    """(0 passed, 1 failed, 2 skipped; how many) for each count on a summary's line; empty where it is none."""
    node = _NODE.match(line)
    if node:
        return list(_added(node["counts"], number_first=False)) or [(0, 0)]
    summary = next((told for one in _SUMMARIES if (told := one.match(line))), None)
    if summary is None:
        return []
    counted = list(_added(summary["counts"], number_first=True))
    nothing = "no tests" in summary["counts"] or "total" in summary["counts"]
    return counted or ([(0, 0)] if nothing else [])


def _added(counts: str, *, number_first: bool) -> Iterator[tuple[int, int]]:
    for one in (_COUNT if number_first else _NODE_COUNT).finditer(counts):
        for place, words in enumerate((_PASSED, _FAILED, _SKIPPED)):
            if one["word"] in words:
                yield place, min(int(one["number"]), _MAX_COUNT)
