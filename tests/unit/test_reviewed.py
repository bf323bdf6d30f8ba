"""What a reviewer that was run comes to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gates.observed import Observation
from gates.report import MAX_REPORT_BYTES
from gates.reviewed import word_of
from gates.reviewers import ReportFormat, Reviewer
from gates.verdict import Failed, Inconclusive

EYES = Reviewer(name="eyes", run="look", report="eyes.json", format=ReportFormat.JSON, timeout_s=9)
BLOCKING = replace(EYES, blocking=True)
REPORT = b'[{"path": "a.py", "line": 3, "severity": "error", "message": "bad"}]'


def seen(reviewer: Reviewer, exit_code: int | None = 0, report: bytes | None = REPORT, **more: object) -> Observation:
    plain = Observation(
        gate=reviewer.gate(),
        exit_code=exit_code,
        timed_out=False,
        oom=False,
        started=True,
        output=b"looking\n" * 9000,
        junit=report,
    )
    return replace(plain, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "what",
    [{"exit_code": 1}, {"exit_code": None, "timed_out": True}, {"report": None}, {"started": False}, {"oom": True}],
)
def test_a_reviewer_that_does_not_block_has_findings_and_no_word(what: dict[str, object]) -> None:
    findings, word = word_of(EYES, seen(EYES, **what))  # type: ignore[arg-type]
    assert findings
    assert word is None


def test_a_blocking_reviewer_that_ends_well_with_its_report_has_nothing_against_the_tree() -> None:
    findings, word = word_of(BLOCKING, seen(BLOCKING))
    assert [one.told for one in findings] == ["eyes: a.py:3: error: bad"]
    assert word is None


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"exit_code": 1}, "gate eyes exited 1"),
        ({"exit_code": None, "timed_out": True}, "gate eyes did not finish within 9 s"),
        ({"report": None}, "reviewer eyes exited 0 and left no report"),
        ({"report": b"<xml/>"}, "reviewer eyes exited 0 and left a report that is not JSON"),
    ],
)
def test_a_blocking_reviewer_is_held_to_its_status_and_its_report(what: dict[str, object], said: str) -> None:
    findings, word = word_of(BLOCKING, seen(BLOCKING, **what))  # type: ignore[arg-type]
    assert isinstance(word, Failed)
    assert word.summary.startswith(said)
    assert all(one.told in word.report for one in findings), "a model is told what was found"
    assert len(word.report.encode()) <= MAX_REPORT_BYTES


@pytest.mark.parametrize("what", [{"started": False}, {"oom": True}, {"exit_code": 137}, {"exit_code": None}])
def test_what_is_nobodys_fault_is_inconclusive(what: dict[str, object]) -> None:
    assert isinstance(word_of(BLOCKING, seen(BLOCKING, **what))[1], Inconclusive)  # type: ignore[arg-type]
