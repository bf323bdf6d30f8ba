"""What evidence shows beside green and red, each with the weight that the repository or its operator gave it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_FINDINGS: Final = 40
MAX_TOLD_CHARS: Final = 800


class Weight(StrEnum):
    """What a finding does to a verdict that would be green."""

    FAIL = "fail"
    NEEDS_HUMAN = "needs_human"
    SHOW = "show"


class FindingKind(StrEnum):
    """What was found. Each has a weight unless a policy gives it another."""

    TESTS_GONE = "tests-gone"
    """Tests that ran on the base did not run."""
    NEWLY_SKIPPED = "newly-skipped"
    """Tests that ran on the base are skipped, or expected to fail."""
    TESTS_CHANGED = "tests-changed"
    """The base's own tests fail on this tree, whose edited tests are green."""
    TESTS_EDITED = "tests-edited"
    """Tests of the base were edited, and the base's own are green all the same."""
    RUNNER_CHANGED = "runner-changed"
    """How tests are found and run was changed."""
    INSTALLED_CHANGED = "installed-changed"
    """The change edits what is installed for it: it is judged among packages that the base has not."""
    INLINE_TESTS = "inline-tests"
    """Tests that stand in source files, where the base's cannot be put back, were edited."""
    ASSERTIONS_GONE = "assertions-gone"
    """Edited tests assert less."""
    AWARE_OF_TESTS = "aware-of-tests"
    """Source that is no test names, looks for or ends the test run."""
    SPECIAL_CASES = "special-cases"
    """Source that answers what tests ask with what they expect; tables look the same."""
    UNCOVERED = "uncovered"
    """Changed lines that no test runs."""
    FLAKY = "flaky"
    """A test failed and passed on the same tree."""
    FLAKY_BEFORE = "flaky-before"
    """The same of a test that did so on the base."""
    NO_REPRODUCER = "no-reproducer"
    """No test of the change fails on the base."""
    REPRODUCED = "reproduced"
    """Tests of the change that fail on the base and pass here."""
    UNPROVEN_REPORT = "unproven-report"
    """The runner could not be given tests of ours, on the base already: its report is taken as it is."""
    STATUS_ALONE = "status-alone"
    """A gate is green by its exit status and nothing else."""
    ADVISORY = "advisory"
    """What a gate or a reviewer that decides nothing has to say."""


DEFAULT_WEIGHTS: Final[Mapping[FindingKind, Weight]] = {
    FindingKind.TESTS_GONE: Weight.NEEDS_HUMAN,
    FindingKind.NEWLY_SKIPPED: Weight.NEEDS_HUMAN,
    FindingKind.TESTS_CHANGED: Weight.NEEDS_HUMAN,
    FindingKind.TESTS_EDITED: Weight.SHOW,
    FindingKind.RUNNER_CHANGED: Weight.NEEDS_HUMAN,
    FindingKind.INSTALLED_CHANGED: Weight.NEEDS_HUMAN,
    FindingKind.INLINE_TESTS: Weight.NEEDS_HUMAN,
    FindingKind.ASSERTIONS_GONE: Weight.NEEDS_HUMAN,
    FindingKind.AWARE_OF_TESTS: Weight.NEEDS_HUMAN,
    FindingKind.SPECIAL_CASES: Weight.SHOW,
    FindingKind.UNCOVERED: Weight.SHOW,
    FindingKind.FLAKY: Weight.NEEDS_HUMAN,
    FindingKind.FLAKY_BEFORE: Weight.SHOW,
    FindingKind.NO_REPRODUCER: Weight.SHOW,
    FindingKind.REPRODUCED: Weight.SHOW,
    FindingKind.UNPROVEN_REPORT: Weight.SHOW,
    FindingKind.STATUS_ALONE: Weight.SHOW,
    FindingKind.ADVISORY: Weight.SHOW,
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found. told: a line for a person, at most MAX_TOLD_CHARS characters, already made harmless."""

    kind: FindingKind
    told: str


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """Findings by what they do, each at most MAX_FINDINGS, the first of each kept."""

    fail: tuple[Finding, ...]
    needs_human: tuple[Finding, ...]
    show: tuple[Finding, ...]


def weigh(findings: Sequence[Finding], policy: Mapping[FindingKind, Weight]) -> Weighed:
    """The findings by their weight; policy says what differs from DEFAULT_WEIGHTS."""
    weights = {**DEFAULT_WEIGHTS, **policy}
    once = tuple(dict.fromkeys(findings))

    def of(weight: Weight) -> tuple[Finding, ...]:
        return tuple(one for one in once if weights[one.kind] is weight)[:MAX_FINDINGS]

    return Weighed(fail=of(Weight.FAIL), needs_human=of(Weight.NEEDS_HUMAN), show=of(Weight.SHOW))
