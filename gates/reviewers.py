"""Reviewers: commands that look at a change and say what they think of it. Shown; they decide only where told to. Pure.

A reviewer is run as a gate is, sealed, after which its report is read here and not as tests are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from gates.ecosystem import Gate
from gates.findings import MAX_TOLD_CHARS, Finding, FindingKind
from gates.remarks import Remark, Unreadable, read_remarks
from gates.sarif import read_sarif
from gates.text import clean

MAX_SHOWN: Final = 20
"""Findings of one reviewer, the line that says how many more there are among them."""


class ReportFormat(StrEnum):
    """In what form a reviewer reports."""

    SARIF = "sarif"
    """SARIF 2.1.0."""
    JSON = "json"
    """A list of objects with path, line, severity and message."""


@dataclass(frozen=True, kw_only=True)
class Reviewer:
    """One reviewer. run: a shell command, in /workspace. report: name of the file it writes below /ashigaru/out.

    blocking: its exit status and its report decide as a gate's do; otherwise what it says is shown and nothing more.
    """

    name: str
    run: str
    report: str
    format: ReportFormat = ReportFormat.SARIF
    timeout_s: int = 600
    blocking: bool = False

    def gate(self) -> Gate:
        """It as a gate. Its report is for `review`, not for who reads the reports of tests."""
        return Gate(name=self.name, run=self.run, junit=self.report, timeout_s=self.timeout_s, required=self.blocking)


@dataclass(frozen=True, kw_only=True)
class Review:
    """What came of a reviewer. findings: at most MAX_SHOWN. red: why a blocking one says no, a line; None otherwise."""

    findings: tuple[Finding, ...]
    red: str | None


def review(reviewer: Reviewer, exit_code: int | None, report: bytes | None) -> Review:
    """What it says. exit_code None: it did not end by itself; report None: it left none. Never raises.

    Many tools exit 1 where they have something to say, so the status of one that does not block means nothing.
    """
    told = Unreadable(reason="left no report") if report is None else _read(reviewer.format, report)
    ended = "did not end by itself" if exit_code is None else f"exited {exit_code}"
    match told:
        case Unreadable(reason=reason):
            line = f"reviewer {reviewer.name} {ended} and {reason}"
            return Review(findings=(_finding(line),), red=line if reviewer.blocking else None)
        case remarks:
            line = f"reviewer {reviewer.name} {ended}, with {len(remarks)} to say"
            red = line if reviewer.blocking and exit_code != 0 else None
            return Review(findings=_shown(reviewer.name, remarks), red=red)


def _read(form: ReportFormat, report: bytes) -> tuple[Remark, ...] | Unreadable:
    match form:
        case ReportFormat.SARIF:
            return read_sarif(report)
        case ReportFormat.JSON:
            return read_remarks(report)
    assert_never(form)


def _shown(name: str, remarks: Sequence[Remark]) -> tuple[Finding, ...]:
    """The gravest first; each that is there twice once."""
    lines = list(dict.fromkeys(f"{name}: {one.line()}" for one in sorted(remarks, key=lambda one: one.severity.rank)))
    if len(lines) > MAX_SHOWN:
        lines[MAX_SHOWN - 1 :] = [f"{name}: {len(lines) - MAX_SHOWN + 1} more"]
    return tuple(map(_finding, lines))


def _finding(line: str) -> Finding:
    return Finding(kind=FindingKind.ADVISORY, told=clean(line, MAX_TOLD_CHARS))
