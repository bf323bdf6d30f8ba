"""What a reviewer that was run comes to: findings, and, of a blocking one, a word against the tree. Pure."""

from __future__ import annotations

from dataclasses import replace

from gates.findings import Finding
from gates.judge import word_on
from gates.observed import Observation
from gates.report import failure_report
from gates.reviewers import Reviewer, review
from gates.verdict import Failed, Inconclusive


def word_of(reviewer: Reviewer, seen: Observation) -> tuple[tuple[Finding, ...], Failed | Inconclusive | None]:
    """Its findings, and None unless it blocks and is not green. seen: of the gate that `reviewer.gate()` is.

    A blocking one is held to its exit status as any gate is, then to its report. What is Failed tells a model what was
    found.
    """
    told = review(reviewer, seen.exit_code, seen.junit)
    if not reviewer.blocking:
        return told.findings, None
    # Its report is no report of tests.
    word = word_on(replace(seen, gate=replace(seen.gate, junit=None)))
    if word is None and told.red is not None:
        word = Failed(summary=told.red, report="")
    if isinstance(word, Failed):
        # At the end of what it printed, which is the part that is kept.
        found = "\n".join(("", *(one.told for one in told.findings), "")).encode()
        word = replace(word, report=failure_report(word.summary, (), seen.output + found))
    return told.findings, word
