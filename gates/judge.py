"""From what was observed of each gate to a verdict. Evidence, not exit codes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gates.evidence import BadReport, CaseOutcome, JUnit, read_junit
from gates.plan import Gate, GatePlan
from gates.report import failure_report
from gates.text import clean
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Verdict

_NOT_FOUND: Final = (126, 127)
# pytest's exit codes (docs.pytest.org, "Exit codes"): 3 internal error, 4 usage error, 5 no tests collected.
_PYTEST_BROKEN: Final = (3, 4)
_PYTEST_NOTHING: Final = 5


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What was seen of one gate.

    exit_code: None where it was stopped or never ended. started: False where its sandbox never came to run.
    output: the tail of what it printed. junit: the promised report's bytes, None where it left none.
    """

    gate: Gate
    exit_code: int | None
    timed_out: bool
    oom: bool
    started: bool
    output: bytes
    junit: bytes | None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many tests the gates' reports tell of, all gates together."""

    tests: int = 0
    skipped: int = 0
    names: frozenset[str] = frozenset()


def judge(plan: GatePlan, observations: Sequence[Observation], base: Counts | None = None) -> Verdict:
    """The verdict on a tree. base: the counts at the base commit, to be held against; None when judging the base.

    The first gate that does not pass decides. A gate that could not run says nothing (Inconclusive); one that ran out
    of time or reported nothing where it promised to says no.
    """
    for observation in observations:
        verdict = _one(observation)
        if verdict is not None:
            return verdict
    if len(observations) < len(plan.gates):
        return Inconclusive(reason="not every gate was run")
    counts = summarise(observations)
    findings = () if base is None else _held_against(base, counts)
    told = _told(plan, counts)
    return NeedsHuman(summary=told, findings=findings) if findings else Passed(summary=told)


def summarise(observations: Sequence[Observation]) -> Counts:
    """What the readable reports add up to."""
    reports = [read_junit(one.junit) for one in observations if one.junit is not None]
    read = [report for report in reports if isinstance(report, JUnit)]
    ran = frozenset(case.name for report in read for case in report.cases if case.outcome is not CaseOutcome.SKIPPED)
    return Counts(
        tests=sum(len(report.cases) for report in read),
        skipped=sum(report.count(CaseOutcome.SKIPPED) for report in read),
        names=ran,
    )


def _told(plan: GatePlan, counts: Counts) -> str:
    gates = ", ".join(gate.name for gate in plan.gates)
    if not counts.tests:
        return f"{gates}: green"
    skipped = f", {counts.skipped} skipped" if counts.skipped else ""
    return f"{gates}: {counts.tests - counts.skipped} tests passed{skipped}"


def _held_against(base: Counts, head: Counts) -> tuple[str, ...]:
    findings = []
    gone = sorted(base.names - head.names)
    if gone:
        shown = ", ".join(clean(name, 120) for name in gone[:5])
        findings.append(f"{len(gone)} tests that ran on the base did not run: {shown}")
    if head.skipped > base.skipped:
        findings.append(f"{head.skipped - base.skipped} more tests are skipped than on the base")
    return tuple(findings)


def _one(seen: Observation) -> Verdict | None:
    """What one gate says against the tree; None if it is green."""
    name = seen.gate.name
    if not seen.started:
        return Inconclusive(reason=f"gate {name} never ran")
    if seen.oom:
        return Inconclusive(reason=f"gate {name} was killed for memory; give it more with ASHIGARU_GATE_MEMORY")
    if seen.timed_out:
        return _no(seen, f"gate {name} did not finish within {seen.gate.timeout_s} s")
    if seen.exit_code in _NOT_FOUND:
        return Inconclusive(reason=f"gate {name}'s command is not in its image: {_last_line(seen.output)}")
    pytest = "pytest" in seen.gate.run
    if pytest and seen.exit_code in _PYTEST_BROKEN:
        return Inconclusive(reason=f"gate {name}: pytest could not do its work: {_last_line(seen.output)}")
    if pytest and seen.exit_code == _PYTEST_NOTHING:
        return _no(seen, f"gate {name} found no tests to run")
    if seen.exit_code != 0:
        return _no(seen, _count_failures(seen))
    return _green_without_evidence(seen)


def _green_without_evidence(seen: Observation) -> Verdict | None:
    """An exit status of 0 is a claim; where a report was promised, it has to bear it out."""
    name = seen.gate.name
    if seen.gate.junit is None:
        return None
    if seen.junit is None:
        return _no(seen, f"gate {name} exited 0 but left no report")
    match read_junit(seen.junit):
        case BadReport(reason=reason):
            return _no(seen, f"gate {name} exited 0 but {reason}")
        case JUnit() as report if report.count(CaseOutcome.FAILED, CaseOutcome.ERROR):
            return _no(seen, f"gate {name} exited 0 but its report tells of failures")
        case JUnit() as report if report.count(CaseOutcome.PASSED) == 0:
            return _no(seen, f"gate {name} exited 0 but no test passed")
        case _:
            return None


def _count_failures(seen: Observation) -> str:
    report = None if seen.junit is None else read_junit(seen.junit)
    if isinstance(report, JUnit) and (bad := report.count(CaseOutcome.FAILED, CaseOutcome.ERROR)):
        return f"gate {seen.gate.name}: {bad} of {len(report.cases)} tests failed"
    return f"gate {seen.gate.name} exited {seen.exit_code}"


def _no(seen: Observation, summary: str) -> Failed:
    report = None if seen.junit is None else read_junit(seen.junit)
    bad = (
        [case for case in report.cases if case.outcome in {CaseOutcome.FAILED, CaseOutcome.ERROR}]
        if isinstance(report, JUnit)
        else []
    )
    return Failed(summary=summary, report=failure_report(f"{summary} (command: {seen.gate.run})", bad, seen.output))


def _last_line(output: bytes) -> str:
    lines = [line for line in output[-4000:].decode("utf-8", "replace").splitlines() if line.strip()]
    return clean(lines[-1], 200) if lines else "it printed nothing"
