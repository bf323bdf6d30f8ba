"""What was observed of one gate on one tree, and what its evidence adds up to. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gates.ecosystem import Gate
from gates.evidence import BadReport, CaseOutcome, Evidence, JUnit
from gates.printed import Printed, read_printed
from gates.reports import read_report
from gates.sentinels import Sentinel, shown, stripped


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What was seen of one gate.

    exit_code: None where it was stopped or never ended. started: False where its sandbox never came to run.
    output: the tail of what it printed. junit: the promised report's bytes, None where it left none. planted: the
    tests of ours that were in its tree.
    """

    gate: Gate
    exit_code: int | None
    timed_out: bool
    oom: bool
    started: bool
    output: bytes
    junit: bytes | None
    overran: str | None = None
    """That it used more of the disk than it may, in words that follow its name; it was killed for that."""
    service_down: str | None = None
    """One line on a service of the gate's that did not come up, or did not live as long as the gate."""
    planted: tuple[Sentinel, ...] = ()
    coverage: bytes | None = None
    """A coverage report that it left, by one of `gates.uncovered.LEFT_AS`."""

    @property
    def loud(self) -> bool:
        """Whether tests of ours fail plainly in it, so that its status cannot be 0."""
        return any(one.loud for one in self.planted)

    @property
    def evidence(self) -> Evidence | None:
        """Its report, without the tests of ours; None where there is none."""
        if self.gate.junit is None or self.junit is None:
            return None
        report = read_report(self.junit)
        return stripped(report, self.planted) if isinstance(report, JUnit) else report

    @property
    def not_shown(self) -> tuple[Sentinel, ...]:
        """The tests of ours that its report does not tell of as it must."""
        if not self.planted:
            return ()
        report = read_report(self.junit or b"")
        return tuple(one for one in self.planted if isinstance(report, BadReport) or not shown(report, one))

    @property
    def printed(self) -> Printed | None:
        """The counts that it printed, where they are its evidence: its runner is known to print them, with no report.

        A report that was left is held to, good or bad.
        """
        return read_printed(self.output) if self.gate.printed and self.junit is None else None

    @property
    def silent(self) -> bool:
        """Whether its runner was expected to tell counts and told none, so that its exit status is all there is."""
        return self.gate.printed and self.evidence is None and self.printed is None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many tests the gates' readable reports and printed counts tell of, all gates together.

    tests: all of them, the skipped ones too. failed: failures and errors. names: those that ran, whatever came of them;
    printed counts name none. red: those of them that failed. flaky: those that failed and passed on one tree. proven:
    (gate, path) of each test file that tests of ours can be added to. of_gates: the same for each gate, where there are
    several.
    """

    tests: int = 0
    skipped: int = 0
    failed: int = 0
    names: frozenset[str] = frozenset()
    red: frozenset[str] = frozenset()
    flaky: frozenset[str] = frozenset()
    proven: frozenset[tuple[str, str]] = frozenset()
    of_gates: tuple[tuple[str, Counts], ...] = ()

    def only(self, gates: Collection[str]) -> Counts:
        """What those gates alone add up to."""
        if all(name in gates for name, _ in self.of_gates):
            return self
        some = [counts for name, counts in self.of_gates if name in gates]
        return Counts(
            tests=sum(one.tests for one in some),
            skipped=sum(one.skipped for one in some),
            failed=sum(one.failed for one in some),
            names=frozenset[str]().union(*(one.names for one in some)),
            red=frozenset[str]().union(*(one.red for one in some)),
            flaky=self.flaky,
            proven=frozenset(one for one in self.proven if one[0] in gates),
        )

    @property
    def ran(self) -> int:
        """How many were carried out."""
        return self.tests - self.skipped

    @property
    def passed(self) -> int:
        """How many were carried out and found good."""
        return self.ran - self.failed


def summarise(observations: Sequence[Observation]) -> Counts:
    """What the readable reports and the printed counts add up to; a report that cannot be read adds nothing."""
    reports = [report for seen in observations if isinstance(report := seen.evidence, JUnit)]
    prints = [printed for seen in observations if (printed := seen.printed) is not None]
    return Counts(
        tests=sum(report.tests for report in reports) + sum(printed.tests for printed in prints),
        skipped=sum(report.count(CaseOutcome.SKIPPED) for report in reports)
        + sum(printed.skipped for printed in prints),
        failed=sum(len(report.red) for report in reports) + sum(printed.failed for printed in prints),
        names=frozenset(
            case.full_name for report in reports for case in report.cases if case.outcome is not CaseOutcome.SKIPPED
        ),
        red=frozenset(case.full_name for report in reports for case in report.red),
        of_gates=tuple((seen.gate.name, summarise([seen])) for seen in observations) if len(observations) > 1 else (),
    )
