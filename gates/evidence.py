"""What a gate left behind, read as evidence: JUnit XML, safely, within bounds. Never raises for what it is given.

Format: the JUnit XML that pytest, Maven Surefire, gotestsum and others write
(https://github.com/testmoapp/junitxml describes the common ground).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

MAX_BYTES: Final = 8 * 1024 * 1024
MAX_CASES: Final = 20_000
MAX_NAME_CHARS: Final = 500
MAX_TEXT_CHARS: Final = 20_000
_MAX_SECONDS: Final = 1e9


class CaseOutcome(StrEnum):
    """What became of one test."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


RED: Final = (CaseOutcome.FAILED, CaseOutcome.ERROR)
_SAID_BY: Final = {"failure": CaseOutcome.FAILED, "error": CaseOutcome.ERROR, "skipped": CaseOutcome.SKIPPED}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test, as its runner wrote it. name and classname: at most MAX_NAME_CHARS; message, detail: MAX_TEXT_CHARS.

    seconds: how long it took; 0 where the report does not say.
    """

    name: str
    classname: str = ""
    outcome: CaseOutcome = CaseOutcome.PASSED
    message: str = ""
    detail: str = ""
    seconds: float = 0.0

    @property
    def full_name(self) -> str:
        """The name by which one test is told from another: `classname::name`."""
        return f"{self.classname}::{self.name}" if self.classname else self.name


@dataclass(frozen=True, kw_only=True)
class JUnit:
    """A report that could be read. Its numbers are counted from its tests; the totals it claims are not believed."""

    cases: tuple[Case, ...]

    def count(self, *outcomes: CaseOutcome) -> int:
        """How many tests ended in one of these ways."""
        return sum(case.outcome in outcomes for case in self.cases)

    @property
    def tests(self) -> int:
        """How many tests the report tells of, skipped ones too."""
        return len(self.cases)

    @property
    def red(self) -> tuple[Case, ...]:
        """The tests that failed or could not be carried out."""
        return tuple(case for case in self.cases if case.outcome in RED)


@dataclass(frozen=True, kw_only=True)
class BadReport:
    """A report that says nothing that can be relied on; reason is a few words."""

    reason: str


Evidence: TypeAlias = JUnit | BadReport


def read_junit(data: bytes) -> Evidence:
    """The report's tests. A report that is too large, malformed or hostile is a BadReport."""
    if len(data) > MAX_BYTES:
        return BadReport(reason=f"its report is over {MAX_BYTES} bytes")
    target = _Target()
    parser = DefusedXMLParser(target=target, forbid_dtd=True)
    try:
        parser.feed(data)
        parser.close()
    except _Refused as exc:
        return BadReport(reason=str(exc))
    except DefusedXmlException:
        return BadReport(reason="its report declares entities or a document type")
    except (ParseError, ValueError, LookupError):
        return BadReport(reason="its report is not well-formed XML")
    return JUnit(cases=tuple(target.cases))


class _Refused(Exception):
    """Ends the parse; its text is a BadReport's reason."""


class _Target:
    """Takes from the parser's events only what a Case holds, so that no tree is built of what somebody sent."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self._depth = 0
        self._case: Case | None = None
        self._todo = False
        self._case_depth = 0
        self._text: list[str] | None = None
        self._room = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and tag not in {"testsuites", "testsuite"}:
            raise _Refused("its report is not JUnit XML")
        if tag == "testcase" and self._case is None:
            if len(self.cases) >= MAX_CASES:
                raise _Refused(f"its report holds over {MAX_CASES} tests")
            self._case, self._case_depth, self._todo = _begun(attributes), self._depth, False
        elif self._case is not None and self._depth == self._case_depth + 1 and tag in _SAID_BY:
            self._todo = self._todo or (tag == "skipped" and attributes.get("type") == "todo")
            self._said(self._case, _SAID_BY[tag], attributes.get("message", ""))

    def _said(self, case: Case, outcome: CaseOutcome, message: str) -> None:
        # A test may say more than once what became of it; red is never overridden by what is said after it. Except for
        # what node's runner calls a todo, first, and then how it fails, as it may: that is not carried out to judge.
        if self._todo and outcome in RED:
            return
        if case.outcome in RED or (outcome not in RED and case.outcome is not CaseOutcome.PASSED):
            return
        self._case = replace(case, outcome=outcome, message=message[:MAX_TEXT_CHARS], detail="")
        self._text, self._room = [], MAX_TEXT_CHARS

    def data(self, text: str) -> None:
        if self._text is not None and self._room > 0:
            self._text.append(text[: self._room])
            self._room -= len(self._text[-1])

    def end(self, tag: str) -> None:
        if self._case is not None and tag in _SAID_BY and self._text is not None:
            self._case = replace(self._case, detail="".join(self._text))
            self._text = None
        if self._case is not None and self._depth == self._case_depth:
            self.cases.append(self._case)
            self._case = None
        self._depth -= 1

    def close(self) -> None:
        """Nothing is kept back."""


def _begun(attributes: dict[str, str]) -> Case:
    return Case(
        name=attributes.get("name", "")[:MAX_NAME_CHARS],
        classname=attributes.get("classname", "")[:MAX_NAME_CHARS],
        seconds=_seconds(attributes.get("time", "")),
    )


def _seconds(told: str) -> float:
    try:
        value = float(told[:40])
    except ValueError:
        return 0.0
    # Neither what is not a number nor what is infinite lies between.
    return value if 0.0 <= value <= _MAX_SECONDS else 0.0
