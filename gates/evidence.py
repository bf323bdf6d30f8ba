"""What a gate left behind, read as evidence: JUnit XML, safely, within bounds. Never raises for what it is given.

Format: the JUnit XML that pytest, Maven Surefire, gotestsum and others write
(https://github.com/testmoapp/junitxml describes the common ground).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

MAX_BYTES: Final = 8 * 1024 * 1024
MAX_CASES: Final = 20_000
_MAX_TEXT: Final = 20_000


class CaseOutcome(StrEnum):
    """What became of one test."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test. message and detail are bounded and as the runner wrote them."""

    name: str
    outcome: CaseOutcome
    message: str = ""
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class JUnit:
    """A report that could be read."""

    cases: tuple[Case, ...]

    def count(self, *outcomes: CaseOutcome) -> int:
        """How many tests ended in one of these ways."""
        return sum(case.outcome in outcomes for case in self.cases)


@dataclass(frozen=True, kw_only=True)
class BadReport:
    """A report that says nothing that can be relied on; reason is a few words."""

    reason: str


def read_junit(data: bytes) -> JUnit | BadReport:
    """The report's tests. A report that is too large, malformed or hostile is a BadReport."""
    if len(data) > MAX_BYTES:
        return BadReport(reason=f"the report is over {MAX_BYTES} bytes")
    try:
        root = fromstring(data, forbid_dtd=True)
    except DefusedXmlException:
        return BadReport(reason="the report declares entities or a document type")
    except (ParseError, ValueError, LookupError, RecursionError):
        return BadReport(reason="the report is not well-formed XML")
    if root.tag not in {"testsuites", "testsuite"}:
        return BadReport(reason="the report is not JUnit XML")
    cases: list[Case] = []
    for element in root.iter("testcase"):
        if len(cases) >= MAX_CASES:
            return BadReport(reason=f"the report holds over {MAX_CASES} tests")
        cases.append(_case(element))
    return JUnit(cases=tuple(cases))


def _case(element: Element) -> Case:
    where, name = element.get("classname", ""), element.get("name", "")
    full = f"{where}::{name}" if where else name
    for tag, outcome in (
        ("failure", CaseOutcome.FAILED),
        ("error", CaseOutcome.ERROR),
        ("skipped", CaseOutcome.SKIPPED),
    ):
        told = element.find(tag)
        if told is not None:
            message, detail = told.get("message", ""), told.text or ""
            return Case(name=full[:500], outcome=outcome, message=message[:_MAX_TEXT], detail=detail[:_MAX_TEXT])
    return Case(name=full[:500], outcome=CaseOutcome.PASSED)
