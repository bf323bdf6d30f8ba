"""From what was observed of each gate to a verdict. Evidence, not exit codes. Pure.

| a gate … | says |
|---|---|
| never ran, vanished, was killed from outside or for memory | Inconclusive |
| did not finish in time, or used more of the disk than it may | Failed |
| exits 126 or 127 (no such command), or pytest exits 3 or 4 (cannot work) | Inconclusive on a base, Failed on a head |
| exits with anything else but 0 | Failed |
| exits 0, and the report it promised is missing, malformed, red, or tells of no test that passed | Failed |
| exits 0 without a report, and prints counts that tell of a failure, or of no test that passed | Failed |
| exits 0, and what it promised bears that out | green |

Printed counts are evidence only of a gate whose command was recognised rather than written down, and only where it left
no report. Where there is neither a report nor a count, the summary says that the exit status is all there is.

A head is judged only once its base was found green in the same image with the same set-up: a command that has gone, or
a pytest that no longer starts, is then the work of the changes, and what is printed is what a model needs to repair it.

A kill for memory is Inconclusive although the changes may have caused it: the kernel does not tell whose memory it
was, and asking again is bounded. It never passes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from gates.evidence import BadReport, CaseOutcome, Evidence, JUnit
from gates.plan import Gate, GatePlan
from gates.printed import Printed, read_printed
from gates.report import failure_report
from gates.reports import read_report
from gates.text import clean
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Verdict

_NOT_FOUND: Final = (126, 127)
# A shell's 128 + SIGKILL and 128 + SIGTERM: what stopping a sandbox, or a machine short of memory, looks like.
_KILLED: Final = (137, 143)
# pytest's exit codes (docs.pytest.org, "Exit codes"): 3 internal error, 4 usage error, 5 no tests collected.
_PYTEST_BROKEN: Final = (3, 4)
_PYTEST_NOTHING: Final = 5
_PYTEST: Final = re.compile(r"(?<![\w-])(?:pytest|py\.test)(?![\w-])")
_NAMED: Final = 5


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
    overran: str | None = None
    """That it used more of the disk than it may, in words that follow its name; it was killed for that."""
    service_down: str | None = None
    """One line on a service of the gate's that did not come up, or did not live as long as the gate."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many tests the gates' readable reports and printed counts tell of, all gates together.

    tests: all of them, the skipped ones too. failed: failures and errors. names: those that ran, whatever came of them;
    printed counts name none.
    """

    tests: int = 0
    skipped: int = 0
    failed: int = 0
    names: frozenset[str] = frozenset()

    @property
    def ran(self) -> int:
        """How many were carried out."""
        return self.tests - self.skipped

    @property
    def passed(self) -> int:
        """How many were carried out and found good."""
        return self.ran - self.failed


def judge(plan: GatePlan, observations: Sequence[Observation], base: Counts | None = None) -> Verdict:
    """The verdict on a tree. base: the counts at its green base, to be held against; None when judging a base.

    observations: in the plan's order; none need follow the first that is not green, and that one decides. Where all
    are green, tests that ran on the base and did not run here, or are skipped here, are findings for a person.
    """
    for seen in observations:
        verdict = _against(seen, on_base=base is None)
        if verdict is not None:
            return verdict
    if tuple(seen.gate for seen in observations) != plan.gates:
        return Inconclusive(reason="not every gate was run")
    counts = summarise(observations)
    findings = () if base is None else _held_against(base, counts)
    told = _told(plan, counts, [seen.gate.name for seen in observations if _is_silent(seen)])
    return NeedsHuman(summary=told, findings=findings) if findings else Passed(summary=told)


def summarise(observations: Sequence[Observation]) -> Counts:
    """What the readable reports and the printed counts add up to; a report that cannot be read adds nothing."""
    reports = [report for seen in observations if isinstance(report := _evidence(seen), JUnit)]
    prints = [printed for seen in observations if (printed := _printed(seen)) is not None]
    return Counts(
        tests=sum(report.tests for report in reports) + sum(printed.tests for printed in prints),
        skipped=sum(report.count(CaseOutcome.SKIPPED) for report in reports)
        + sum(printed.skipped for printed in prints),
        failed=sum(len(report.red) for report in reports) + sum(printed.failed for printed in prints),
        names=frozenset(
            case.full_name for report in reports for case in report.cases if case.outcome is not CaseOutcome.SKIPPED
        ),
    )


def _is_silent(seen: Observation) -> bool:
    """Whether a gate whose runner was expected to tell counts told none, so that its exit status is all there is."""
    return seen.gate.printed and _evidence(seen) is None and _printed(seen) is None


def _told(plan: GatePlan, counts: Counts, silent: Sequence[str]) -> str:
    gates = ", ".join(gate.name for gate in plan.gates)
    if not counts.tests:
        return f"{gates}: green by exit status alone, no test was counted"
    skipped = f", {counts.skipped} skipped" if counts.skipped else ""
    alone = f"; {', '.join(silent)} by exit status alone" if silent else ""
    return f"{gates}: {_many(counts.passed, 'test')} passed{skipped}{alone}"


def _held_against(base: Counts, head: Counts) -> tuple[str, ...]:
    findings = []
    gone = sorted(base.names - head.names)
    # Two tests may bear one name, so that fewer run although no name is gone.
    fewer = max(len(gone), base.ran - head.ran)
    if fewer > 0:
        shown = ", ".join(clean(name, 120) for name in gone[:_NAMED]) + (", …" if len(gone) > _NAMED else "")
        findings.append(f"{_many(fewer, 'test')} that ran on the base did not run{': ' if shown else ''}{shown}")
    if head.skipped > base.skipped:
        more = head.skipped - base.skipped
        findings.append(f"{_many(more, 'more test')} {'is' if more == 1 else 'are'} skipped than on the base")
    return tuple(findings)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _against(seen: Observation, *, on_base: bool) -> Failed | Inconclusive | None:
    """What one gate says against the tree; None if it is green."""
    name, code = seen.gate.name, seen.exit_code
    if not seen.started:
        return Inconclusive(reason=f"gate {name} never ran")
    if seen.service_down is not None:
        return Inconclusive(reason=f"gate {name}: {clean(seen.service_down, 400)}")
    if seen.oom:
        return Inconclusive(reason=f"gate {name} was killed for memory; give it more with ASHIGARU_GATE_MEMORY")
    stopped = _stopped(seen)
    if stopped is not None:
        return _no(seen, stopped)
    if code is None:
        return Inconclusive(reason=f"gate {name} vanished before it ended")
    if code in _KILLED:
        return Inconclusive(reason=f"gate {name} was killed from outside (exit {code})")
    broken = _broken(seen, code)
    if broken is not None:
        return Inconclusive(reason=f"{broken}: {_last_line(seen.output)}") if on_base else _no(seen, broken)
    if code == _PYTEST_NOTHING and _PYTEST.search(seen.gate.run):
        return _no(seen, f"gate {name}: no tests ran")
    if code != 0:
        return _no(seen, _count_failures(seen, code))
    return _green_without_evidence(seen)


def _stopped(seen: Observation) -> str | None:
    """Why the gate was stopped before it ended; None if it was not."""
    if seen.overran is not None:
        return f"gate {seen.gate.name} {seen.overran}"
    return f"gate {seen.gate.name} did not finish within {seen.gate.timeout_s} s" if seen.timed_out else None


def _broken(seen: Observation, code: int) -> str | None:
    """Why the gate could not do its work at all; None if it could."""
    if code in _NOT_FOUND:
        return f"gate {seen.gate.name}'s command cannot be run (exit {code})"
    if code in _PYTEST_BROKEN and _PYTEST.search(seen.gate.run):
        return f"gate {seen.gate.name}: pytest could not do its work (exit {code})"
    return None


def _green_without_evidence(seen: Observation) -> Failed | None:
    """An exit status of 0 is a claim; where a report was promised, it has to bear it out."""
    claim = f"gate {seen.gate.name} exited 0 but"
    printed = _printed(seen)
    if printed is not None and printed.failed:
        return _no(seen, f"{claim} printed that {_many(printed.failed, 'test')} failed")
    if printed is not None and not printed.passed:
        return _no(seen, f"{claim} {'every test was skipped' if printed.skipped else 'ran no test'}")
    if printed is not None or seen.gate.junit is None:
        return None
    match _evidence(seen):
        case None:
            return _no(seen, f"{claim} left no {seen.gate.junit}, so there is no word that a test ran")
        case BadReport(reason=reason):
            return _no(seen, f"{claim} {reason}")
        case JUnit(cases=()):
            return _no(seen, f"{claim} ran no test")
        case JUnit(red=red) if red:
            return _no(seen, f"{claim} its report tells of {_many(len(red), 'failed test')}")
        case JUnit() as report if not report.count(CaseOutcome.PASSED):
            return _no(seen, f"{claim} every test was skipped")
        case JUnit():
            return None
        case never:
            assert_never(never)


def _count_failures(seen: Observation, code: int) -> str:
    report = _evidence(seen)
    if isinstance(report, JUnit) and report.red:
        return f"gate {seen.gate.name}: {len(report.red)} of {_many(report.tests, 'test')} failed"
    printed = _printed(seen)
    if printed is not None and printed.failed:
        return f"gate {seen.gate.name}: {printed.failed} of {_many(printed.tests, 'test')} failed"
    return f"gate {seen.gate.name} exited {code}"


def _no(seen: Observation, summary: str) -> Failed:
    report = _evidence(seen)
    red = report.red if isinstance(report, JUnit) else ()
    return Failed(summary=summary, report=failure_report(f"{summary} (command: {seen.gate.run})", red, seen.output))


def _evidence(seen: Observation) -> Evidence | None:
    """The report, where one was promised and left."""
    return None if seen.gate.junit is None or seen.junit is None else read_report(seen.junit)


def _printed(seen: Observation) -> Printed | None:
    """The counts that were printed, where they are evidence."""
    return read_printed(seen.output) if seen.gate.printed and seen.junit is None else None


def _last_line(output: bytes) -> str:
    lines = [line for line in output[-4000:].decode("utf-8", "replace").splitlines() if line.strip()]
    return clean(lines[-1], 200) if lines else "it printed nothing"
