"""The events that `go test -json` writes, read as evidence within bounds. Never raises for what it is given. Pure.

Format: https://pkg.go.dev/cmd/test2json. A test that began and never ended is an error, and so is a package that failed
though none of its tests did: it could not be built, or its program ended early.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from gates.evidence import (
    MAX_BYTES,
    MAX_CASES,
    MAX_NAME_CHARS,
    MAX_TEXT_CHARS,
    RED,
    BadReport,
    Case,
    CaseOutcome,
    Evidence,
    JUnit,
)

_ENDS: Final = {"pass": CaseOutcome.PASSED, "fail": CaseOutcome.FAILED, "skip": CaseOutcome.SKIPPED}
# What go itself prints, before Go 1.24 without its clothes, of a package whose tests were never started.
_FAILED: Final = re.compile(rb"FAIL\t(?P<package>[^\t ]{1,500}) \[[a-z ]{1,40}\]")
_BLANK: Final = re.compile(r"=== \w+ .*\n?|\s*--- \w+: .* \([\d.]+s\)\n?")
_MAX_LINE: Final = 2000
_MAX_SECONDS: Final = 1e9

_Key = tuple[str, str]


def is_go(data: bytes) -> bool:
    """Whether this begins as test2json's events do, or as go does where it has none to write."""
    first = data[: data.find(b"\n") if b"\n" in data[:10_000] else 10_000]
    return _FAILED.match(first) is not None or (first.startswith(b"{") and b'"Action":"' in first)


def read_go(data: bytes) -> Evidence:
    """Every test's end, in order; a test that is carried out more than once is there as often."""
    if len(data) > MAX_BYTES:
        return BadReport(reason=f"its report is over {MAX_BYTES} bytes")
    log = _Log()
    for line in data.split(b"\n"):
        told = _FAILED.match(line)
        if told is not None:
            log.failed[told["package"].decode("utf-8", "replace")] = 0.0
        elif line.strip():
            event = _event(line)
            if event is None:
                return BadReport(reason="its report holds what is no event of go's")
            log.take(event)
    if len(log.cases) + len(log.running) + len(log.failed) > MAX_CASES:
        return BadReport(reason=f"its report holds over {MAX_CASES} tests")
    return log.evidence()


class _Log:
    """What the events seen so far say."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.running: dict[_Key, list[str]] = {}
        self.passed: set[str] = set()
        self.failed: dict[str, float] = {}
        self._room: dict[_Key, int] = {}
        self._said: dict[str, list[str]] = {}

    def take(self, event: dict[str, Any]) -> None:
        """Note one event; those of other kinds (pause, cont, bench, attr, start) say nothing here."""
        action, output = _text(event, "Action"), event.get("Output")
        package = _text(event, "Package") or _text(event, "ImportPath").partition(" ")[0]
        key = (package, _text(event, "Test"))
        if action == "run":
            self._begin(key)
        elif action in {"output", "build-output"} and isinstance(output, str):
            self._output(key, output)
        elif action in _ENDS and key[1]:
            self._end(key, _ENDS[action], _seconds(event))
        elif action == "pass":
            self.passed.add(package)
        elif action in {"fail", "build-fail"}:
            self.failed[package] = _seconds(event)

    def evidence(self) -> Evidence:
        """All that is known once there are no more events."""
        for (package, name), said in self.running.items():
            self._add(package, name, CaseOutcome.ERROR, "It began and never ended.", said, 0.0)
        red = {case.classname for case in self.cases if case.outcome in RED}
        if red & self.passed or self.passed & self.failed.keys():
            return BadReport(reason="its report says that a package passed whose tests failed")
        for package, seconds in self.failed.items():
            if package not in red:
                self._add(package, "", CaseOutcome.ERROR, "It failed outside its tests.", self._of(package), seconds)
        return JUnit(cases=tuple(self.cases))

    def _begin(self, key: _Key) -> None:
        if key in self.running:
            self._end(key, CaseOutcome.ERROR, 0.0)
        if len(self.running) < MAX_CASES:
            self.running[key] = []
            self._room[key] = MAX_TEXT_CHARS

    def _output(self, key: _Key, text: str) -> None:
        said = self.running.get(key)
        if said is None:
            key = (key[0], "")
            said = self._of(key[0])
        room = self._room.setdefault(key, MAX_TEXT_CHARS)
        if room > 0 and not _BLANK.fullmatch(text[:_MAX_LINE]):
            said.append(text[:room])
            self._room[key] = room - len(text)

    def _of(self, package: str) -> list[str]:
        if package not in self._said and len(self._said) >= MAX_CASES:
            return []
        return self._said.setdefault(package, [])

    def _end(self, key: _Key, outcome: CaseOutcome, seconds: float) -> None:
        said = self.running.pop(key, [])
        if len(self.cases) <= MAX_CASES:
            self._add(*key, outcome, "", said if outcome is not CaseOutcome.PASSED else [], seconds)

    def _add(
        self, package: str, name: str, outcome: CaseOutcome, message: str, said: list[str], seconds: float
    ) -> None:
        detail = "".join(said)[:MAX_TEXT_CHARS]
        if name:
            case = Case(name=name, classname=package, outcome=outcome, message=message, detail=detail, seconds=seconds)
        else:
            case = Case(name=package, outcome=outcome, message=message, detail=detail, seconds=seconds)
        self.cases.append(case)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and isinstance(told.get("Action"), str) else None


def _text(event: dict[str, Any], field: str) -> str:
    value = event.get(field)
    return value[:MAX_NAME_CHARS] if isinstance(value, str) else ""


def _seconds(event: dict[str, Any]) -> float:
    value = event.get("Elapsed")
    # Neither what is not a number nor what is infinite lies between.
    return float(value) if isinstance(value, int | float) and 0.0 <= value <= _MAX_SECONDS else 0.0
