"""The verdict on a change: what its gates said with its own tests, with the base's, and of its tests on the base. Pure.

| own tests | base's tests | verdict |
|---|---|---|
| red | any | Failed; asked again first where what failed passed on the very same tree |
| green | green | Passed, or what the findings weigh |
| green | red, and the change touched tests or how they are run | a finding: tests changed |
| green | red, and it touched neither | Failed |

A test that failed and passed on one tree is a finding, however often it was asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from gates.differing import differing
from gates.evidence import CaseOutcome, JUnit
from gates.findings import Finding, FindingKind, weigh
from gates.judge import many, told, word_on
from gates.observed import Counts, Observation, summarise
from gates.plan import GatePlan
from gates.report import MAX_REPORT_BYTES, middle_cut
from gates.text import clean
from gates.uncovered import uncovered
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Verdict

_NAMED: Final = 5


Reviewed: TypeAlias = tuple[tuple[Finding, ...], Failed | Inconclusive | None]
"""What a reviewer found, and what it says against the change where it may (`gates.reviewed.word_of`)."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was seen of one gate on a change.

    own: with the change's tests. bases: with the base's, None where that is the same tree and nothing can be added to
    it. old: the change's tests on the base's source, None where it has none. flaky: names of tests that failed and
    passed on one tree.
    """

    own: Observation
    bases: Observation | None = None
    old: Observation | None = None
    flaky: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Change:
    """What the change does to what judges it. Paths, and what was found by reading it.

    edited: tests of the base that it edits or deletes. added: tests that it adds. runner: files that say how tests are
    run, which it adds, edits or deletes. edits: of `edited`, the content at the base and in the change. lines: numbers
    of the lines of source that it adds or edits.
    """

    edited: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    runner: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    edits: Mapping[str, tuple[bytes | None, bytes | None]] = field(default_factory=dict)
    lines: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def touches_judges(self) -> bool:
        """Whether the base's tests and runner files are others than its own."""
        return bool(self.edited or self.added or self.runner)


def judge_head(
    plan: GatePlan, taken: Sequence[Taken], base: Counts, change: Change, reviewed: Sequence[Reviewed] = ()
) -> Verdict:
    """The verdict on a change, whose gates are in the plan's order; none need follow the first required red one.

    base: the counts at its green base. reviewed: what the reviewers said, where the gates are green.
    """
    findings: list[Finding] = list(change.findings)
    reds: list[Failed] = []
    for seen in taken:
        word = word_on(seen.own, excused=base.red | seen.flaky)
        if word is None:
            continue
        if not seen.own.gate.required:
            findings.append(_found(FindingKind.ADVISORY, _said_by(word)))
        elif isinstance(word, Inconclusive) or not plan.policy.keep_going:
            return word
        else:
            reds.append(word)
    if reds:
        return _together(reds)
    if tuple(seen.own.gate for seen in taken) != plan.gates:
        return Inconclusive(reason="not every gate was run")
    for seen in taken:
        against = _by_bases_tests(seen, base, change, findings)
        if against is not None:
            return against
    findings += [finding for found, _ in reviewed for finding in found]
    blocking = next((word for _, word in reviewed if word is not None), None)
    if blocking is not None:
        return blocking
    findings += _held_against(plan, taken, base)
    findings += _reproduced(plan, taken, base, change)
    findings += [
        finding
        for seen in taken
        if seen.own.coverage is not None and (finding := uncovered(seen.own.coverage, change.lines)) is not None
    ]
    return _weighed(plan, [seen.own for seen in taken], findings, _side_by_side(taken, change))


def contradicts(seen: Taken, base: Counts, change: Change) -> frozenset[str]:
    """Names of tests that are red on one of the two trees and green on the other, in files that are the same in both.

    Only where that tells of chance: where the change leaves alone what is run, both trees are the same but for tests
    of ours.
    """
    if seen.bases is None or change.touches_judges:
        return frozenset()
    reports = [one.evidence for one in (seen.own, seen.bases)]
    if not all(isinstance(report, JUnit) for report in reports):
        return frozenset()
    ended = [{case.full_name: case.outcome for case in report.cases} for report in reports if isinstance(report, JUnit)]
    red = [{case.full_name for case in report.red} for report in reports if isinstance(report, JUnit)]
    one_red = (red[0] ^ red[1]) & ended[0].keys() & ended[1].keys()
    return frozenset(one_red - base.red)


def _by_bases_tests(seen: Taken, base: Counts, change: Change, findings: list[Finding]) -> Failed | Inconclusive | None:
    if seen.bases is None:
        return None
    word = word_on(seen.bases, excused=base.red | seen.flaky)
    if word is None:
        return None
    if not seen.own.gate.required:
        findings.append(_found(FindingKind.ADVISORY, f"with the base's tests: {_said_by(word)}"))
        return None
    if isinstance(word, Inconclusive):
        return word
    report = seen.bases.evidence
    red = sorted(case.full_name for case in report.red) if isinstance(report, JUnit) else []
    if not change.touches_judges or not _is_plain_no(seen.bases):
        return replace(word, summary=clean(f"with the base's own tests, {word.summary}", 500))
    which = _listed(red) if red else word.summary
    findings.append(_found(FindingKind.TESTS_CHANGED, f"the base's own tests are red on this tree: {which}"))
    return None


def _is_plain_no(seen: Observation) -> bool:
    """Whether a red gate is so because tests say no, or their files cannot be loaded: not because it hid its report."""
    report = seen.evidence
    if seen.gate.junit is None:
        return seen.exit_code is not None
    return isinstance(report, JUnit) and bool(report.red)


def _held_against(plan: GatePlan, taken: Sequence[Taken], base: Counts) -> list[Finding]:
    counts = summarise([seen.own for seen in taken])
    findings = []
    gone = sorted(base.names - counts.names)
    # Two tests may bear one name, so that fewer run although no name is gone.
    fewer = max(len(gone), base.ran - counts.ran)
    if fewer > 0:
        named = f": {_listed(gone)}" if gone else ""
        findings.append(
            _found(FindingKind.TESTS_GONE, f"{many(fewer, 'test')} that ran on the base did not run{named}")
        )
    skipped = sorted(name for seen in taken for name in _skipped(seen.own) if name in base.names)
    if counts.skipped > base.skipped:
        more = counts.skipped - base.skipped
        named = f": {_listed(skipped)}" if skipped else ""
        told_of = f"{many(more, 'more test')} {'is' if more == 1 else 'are'} skipped than on the base{named}"
        findings.append(_found(FindingKind.NEWLY_SKIPPED, told_of))
    flaky = frozenset[str]().union(*(seen.flaky for seen in taken))
    for kind, names in ((FindingKind.FLAKY, flaky - base.flaky), (FindingKind.FLAKY_BEFORE, flaky & base.flaky)):
        if names:
            findings.append(_found(kind, f"failed and passed on the same tree: {_listed(sorted(names))}"))
    proven = {gate for gate, _ in base.proven}
    findings += [
        _found(FindingKind.UNPROVEN_REPORT, f"gate {gate.name}: its report could not be proven by tests of the judge's")
        for gate in plan.gates
        if gate.runner is not None and gate.junit is not None and gate.name not in proven
    ]
    return findings


def _skipped(seen: Observation) -> list[str]:
    report = seen.evidence
    cases = report.cases if isinstance(report, JUnit) else ()
    return [case.full_name for case in cases if case.outcome is CaseOutcome.SKIPPED]


def _reproduced(plan: GatePlan, taken: Sequence[Taken], base: Counts, change: Change) -> list[Finding]:
    """Which tests of the change are red on the base's source and green on the change's."""
    proofs = sorted(frozenset[str]().union(*(_proofs(seen, base) for seen in taken if seen.old is not None)))
    findings = []
    if proofs:
        findings.append(
            _found(
                FindingKind.REPRODUCED, f"{many(len(proofs), 'test')} red on the base, green here: {_listed(proofs)}"
            )
        )
    elif change.added or change.edited or plan.policy.require_reproducer:
        findings.append(_found(FindingKind.NO_REPRODUCER, "no test of the change is red on the base and green here"))
    return findings


def _proofs(seen: Taken, base: Counts) -> frozenset[str]:
    own, old = seen.own.evidence, None if seen.old is None else seen.old.evidence
    if not isinstance(own, JUnit):
        return frozenset()
    passed = {case.full_name for case in own.cases if case.outcome is CaseOutcome.PASSED} - base.red
    if isinstance(old, JUnit):
        green = {case.full_name for case in old.cases if case.outcome is not CaseOutcome.PASSED} & passed
        # A file that does not even load on the base has its tests told of by no name there.
        unloaded = passed - base.names - {case.full_name for case in old.cases} if old.red else frozenset()
        return frozenset(green | unloaded)
    broke = seen.old is not None and seen.old.exit_code not in (None, 0)
    return frozenset(passed - base.names) if broke else frozenset()


def _side_by_side(taken: Sequence[Taken], change: Change) -> str:
    """The tests that differ, of the first gate that has any."""
    for seen in taken:
        own, bases = seen.own.evidence, None if seen.bases is None else seen.bases.evidence
        if isinstance(own, JUnit) and isinstance(bases, JUnit) and bases.red:
            return differing(own, bases, change.edits).text
    return ""


def _weighed(plan: GatePlan, own: Sequence[Observation], findings: Sequence[Finding], side_by_side: str) -> Verdict:
    weighed = weigh(findings, plan.policy.weighing())
    shown = tuple(one.told for one in weighed.show)
    if weighed.fail:
        lines = [one.told for one in weighed.fail]
        text = "The gates are green, but this repository takes no change with:\n" + "\n".join(lines)
        return Failed(summary=clean(lines[0], 300), report=middle_cut(text, MAX_REPORT_BYTES))
    summary = told(plan, own)
    if weighed.needs_human:
        told_of = tuple(one.told for one in weighed.needs_human)
        return NeedsHuman(summary=summary, findings=told_of, shown=shown, side_by_side=side_by_side)
    return Passed(summary=summary, shown=shown)


def _together(reds: Sequence[Failed]) -> Failed:
    report = "\n\n".join(one.report for one in reds)
    return Failed(summary="; ".join(one.summary for one in reds)[:500], report=middle_cut(report, MAX_REPORT_BYTES))


def _said_by(word: Failed | Inconclusive) -> str:
    return word.summary if isinstance(word, Failed) else word.reason


def _listed(names: Sequence[str]) -> str:
    return ", ".join(clean(name, 120) for name in names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _found(kind: FindingKind, words: str) -> Finding:
    return Finding(kind=kind, told=words)
