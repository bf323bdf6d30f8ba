"""From what was observed of each gate to a verdict. Evidence, not exit codes. Pure.

| a gate … | says |
|---|---|
| never ran, vanished, was killed from outside or for memory | Inconclusive |
| did not finish in time, or used more of the disk than it may | Failed |
| exits 126 or 127 (no such command), or pytest exits 3 or 4 (cannot work) | Inconclusive on a base, Failed on a head |
| exits with anything else but 0 | Failed |
| exits 0, and the report it promised is missing, malformed, red, or tells of no test that passed | Failed |
| exits 0 without a report, and prints counts that tell of a failure, or of no test that passed | Failed |
| claims to be green, and its report does not show the tests of ours in its tree exactly | Failed |
| exits 0, and what it promised bears that out | green |
| exits otherwise, with tests of ours in its tree that fail, and with no other failure | green |

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
from typing import Final, assert_never

from gates.evidence import BadReport, CaseOutcome, JUnit
from gates.observed import Observation, summarise
from gates.plan import GatePlan
from gates.report import failure_report
from gates.text import clean
from gates.verdict import Failed, Inconclusive, Passed, Verdict

_NOT_FOUND: Final = (126, 127)
# A shell's 128 + SIGKILL and 128 + SIGTERM: what stopping a sandbox, or a machine short of memory, looks like.
_KILLED: Final = (137, 143)
# pytest's exit codes (docs.pytest.org, "Exit codes"): 3 internal error, 4 usage error, 5 no tests collected.
_PYTEST_BROKEN: Final = (3, 4)
_PYTEST_NOTHING: Final = 5
_PYTEST: Final = re.compile(r"(?<![\w-])(?:pytest|py\.test)(?![\w-])")


def judge(plan: GatePlan, observations: Sequence[Observation]) -> Verdict:
    """The verdict on a base, whose observations are in the plan's order; none need follow the first that is not green.

    That one decides, unless the plan goes on with a red base: then a base whose reports name what fails is Passed.
    """
    for seen in observations:
        if not seen.gate.required:
            continue
        verdict = word_on(seen, on_base=True)
        excused = plan.policy.allow_red_base and isinstance(verdict, Failed) and _is_named(seen)
        if verdict is not None and not excused:
            return verdict
    if tuple(seen.gate for seen in observations) != plan.gates:
        return Inconclusive(reason="not every gate was run")
    return Passed(summary=told(plan, observations))


def _is_named(seen: Observation) -> bool:
    report = seen.evidence
    return isinstance(report, JUnit) and bool(report.red)


def told(plan: GatePlan, observations: Sequence[Observation]) -> str:
    """The line for a person on gates that are all green."""
    counts = summarise(observations)
    gates = ", ".join(gate.name for gate in plan.gates)
    if not counts.tests:
        return f"{gates}: green by exit status alone, no test was counted"
    failed = f", {counts.failed} failed" if counts.failed else ""
    skipped = f", {counts.skipped} skipped" if counts.skipped else ""
    silent = [seen.gate.name for seen in observations if seen.silent]
    alone = f"; {', '.join(silent)} by exit status alone" if silent else ""
    return f"{gates}: {many(counts.passed, 'test')} passed{failed}{skipped}{alone}"


def many(count: int, what: str) -> str:
    """That many of those, in words."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def word_on(
    seen: Observation, *, on_base: bool = False, excused: frozenset[str] = frozenset()
) -> Failed | Inconclusive | None:
    """What one gate says against the tree; None if it is green. excused: names of tests whose failure is no news."""
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
    doubt = None if on_base else distrust(seen, excused)
    if code != 0 and doubt is None and not _is_explained(seen, excused):
        return _no(seen, _count_failures(seen, code))
    return _green_without_evidence(seen, excused) or (None if doubt is None else _no(seen, f"gate {name}: {doubt}"))


def distrust(seen: Observation, excused: frozenset[str] = frozenset()) -> str | None:
    """Why the report of a gate that claims to be green is not believed; None where it is, or where it claims no such.

    It is believed if it shows the tests of ours in its tree exactly, and the exit status bears them out.
    """
    report = seen.evidence
    if not seen.planted or not isinstance(report, JUnit) or not _all_in(report, excused):
        return None
    if not seen.loud and seen.exit_code != 0 and not report.red:
        return None
    missing = seen.not_shown
    if missing:
        where = clean(missing[0].path, 120) + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
        return f"its report is not trusted: tests that the judge added to {where} did not end as they must"
    if seen.loud and seen.exit_code == 0:
        return "its report is not trusted: it exited 0 although tests that the judge added fail"
    return None


def _is_explained(seen: Observation, excused: frozenset[str]) -> bool:
    """Whether an exit status that is not 0 tells of nothing but the tests of ours, and of tests that are excused."""
    report = seen.evidence
    return isinstance(report, JUnit) and _all_in(report, excused) and (seen.loud or bool(report.red))


def _all_in(report: JUnit, excused: frozenset[str]) -> bool:
    return all(case.full_name in excused for case in report.red)


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


def _green_without_evidence(seen: Observation, excused: frozenset[str]) -> Failed | None:
    """An exit status of 0 is a claim; where a report was promised, it has to bear it out."""
    claim = f"gate {seen.gate.name} exited {seen.exit_code} but"
    printed = seen.printed
    if printed is not None and printed.failed:
        return _no(seen, f"{claim} printed that {many(printed.failed, 'test')} failed")
    if printed is not None and not printed.passed:
        return _no(seen, f"{claim} {'every test was skipped' if printed.skipped else 'ran no test'}")
    if printed is not None or seen.gate.junit is None:
        return None
    match seen.evidence:
        case None:
            return _no(seen, f"{claim} left no {seen.gate.junit}, so there is no word that a test ran")
        case BadReport(reason=reason):
            return _no(seen, f"{claim} {reason}")
        case JUnit(cases=()):
            return _no(seen, f"{claim} ran no test")
        case JUnit() as report if not _all_in(report, excused):
            return _no(seen, f"{claim} its report tells of {many(len(report.red), 'failed test')}")
        case JUnit() as report if not report.count(CaseOutcome.PASSED):
            return _no(seen, f"{claim} every test was skipped")
        case JUnit():
            return None
        case never:
            assert_never(never)


def _count_failures(seen: Observation, code: int) -> str:
    report = seen.evidence
    if isinstance(report, JUnit) and report.red:
        return f"gate {seen.gate.name}: {len(report.red)} of {many(report.tests, 'test')} failed"
    printed = seen.printed
    if printed is not None and printed.failed:
        return f"gate {seen.gate.name}: {printed.failed} of {many(printed.tests, 'test')} failed"
    return f"gate {seen.gate.name} exited {code}"


def _no(seen: Observation, summary: str) -> Failed:
    report = seen.evidence
    red = report.red if isinstance(report, JUnit) else ()
    return Failed(summary=summary, report=failure_report(f"{summary} (command: {seen.gate.run})", red, seen.output))


def _last_line(output: bytes) -> str:
    lines = [line for line in output[-4000:].decode("utf-8", "replace").splitlines() if line.strip()]
    return clean(lines[-1], 200) if lines else "it printed nothing"
