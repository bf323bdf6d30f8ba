"""How the gates are asked about a base and about a change to it: on which trees, how often, and what that shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from gates.concerned import concerned
from gates.evidence import JUnit
from gates.findings import Finding, FindingKind
from gates.head import Change, Reviewed, Taken, contradicts, judge_head
from gates.judge import distrust, judge, word_on
from gates.observed import Counts, Observation, summarise
from gates.plan import Gate
from gates.policy import MAX_RETRIES
from gates.reviewed import word_of
from gates.reviewers import Reviewer
from gates.sentinel_forms import can_hold
from gates.sentinels import MAX_FILES
from gates.test_files import FileKind, kind_of
from gates.verdict import Failed, Inconclusive, Verdict
from runner.gate_take import GateTakes, Place, Take, Variant
from runner.judged_trees import Trees, trees_of
from runner.side_by_side import Cancel, Places, in_order, together


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The verdict, what was counted, and every take that was made for it."""

    verdict: Verdict
    counts: Counts
    takes: tuple[tuple[Gate, Take], ...]


@dataclass(frozen=True, kw_only=True)
class TreeJudge:
    """Asks every gate of a plan. side_by_side: how many sandboxes of one judgement run at once.

    Raises what `GateTakes` raises.
    """

    takes: GateTakes
    side_by_side: int

    def base(self, place: Place, cancelled: Cancel) -> Judged:
        """The base: once with quiet tests of ours and once with loud ones, which shows where they can be relied on.

        Where that is red it is asked again as it is: what fails then is the base's, and what does not is chance, or
        cannot live with tests of ours.
        """
        one = _One(self.takes, place, Places(self.side_by_side))
        plan = place.question.plan
        seen = in_order(
            plan.gates,
            one.of_base,
            lambda told: told.is_red and not (plan.policy.allow_red_base and told.names_what_fails),
            cancelled,
            keep_going=plan.policy.keep_going,
        )
        verdict = judge(plan, [told.seen for told in seen])
        counts = replace(
            summarise([told.seen for told in seen]),
            flaky=frozenset[str]().union(*(told.flaky for told in seen)),
            proven=frozenset((told.seen.gate.name, path) for told in seen for path in told.proven),
        )
        return Judged(verdict=verdict, counts=counts, takes=tuple(one.made))

    def change(self, place: Place, base: Counts, cancelled: Cancel) -> Judged:
        """A change to a base that was judged: with its own tests, with the base's, and its tests on the base."""
        question = place.question
        trees = trees_of(self.takes.checkouts, question.run_id, question.base_sha, question.commit, base.proven)
        plan = replace(question.plan, gates=concerned(question.plan.gates, trees.paths))
        base = base.only({gate.name for gate in plan.gates})
        one = _One(self.takes, place, Places(self.side_by_side))

        def ask(gate: Gate, let_go: Cancel) -> Taken:
            return one.of_change(gate, trees, base, let_go)

        def is_red(told: Taken) -> bool:
            return word_on(told.own, excused=base.red | told.flaky) is not None

        taken = in_order(plan.gates, ask, is_red, cancelled, keep_going=plan.policy.keep_going)
        reviews: list[Reviewed] = []
        if len(taken) == len(plan.gates) and not any(map(is_red, taken)):
            reviews = together([partial(one.reviewed, reviewer, trees) for reviewer in plan.reviewers], cancelled)
        change = trees.change
        if place.installed_anew:
            told = "what is installed for the change is not what is installed for its base"
            finding = Finding(kind=FindingKind.INSTALLED_CHANGED, told=told)
            change = replace(change, findings=(*change.findings, finding))
        verdict = judge_head(plan, taken, base, change, reviews)
        return Judged(verdict=verdict, counts=summarise([told.own for told in taken]), takes=tuple(one.made))


@dataclass(frozen=True, kw_only=True)
class _OfBase:
    """One gate on a base. proven: paths whose tests of ours showed up, quiet and loud."""

    seen: Observation
    flaky: frozenset[str] = frozenset()
    proven: tuple[str, ...] = ()

    @property
    def is_red(self) -> bool:
        return word_on(self.seen, on_base=True) is not None

    @property
    def names_what_fails(self) -> bool:
        return isinstance(word_on(self.seen, on_base=True), Failed) and bool(_red(self.seen))


class _One:
    """One judgement's gates, each with as many takes as it needs."""

    def __init__(self, takes: GateTakes, place: Place, places: Places) -> None:
        self._takes = takes
        self._place = place
        self._places = places
        self.made: list[tuple[Gate, Take]] = []

    def of_base(self, gate: Gate, cancelled: Cancel) -> _OfBase:
        question = self._place.question
        files = _holders(self._takes, gate, question.run_id, question.base_sha)
        own = Take(variant=Variant.OWN, commit=question.commit, files=files)
        loud = Take(variant=Variant.BASES, commit=question.commit, files=files, loud=True)
        seen, *rest = together([self._job(gate, take) for take in ((own, loud) if files else (own,))], cancelled)
        if rest and isinstance(word_on(rest[0]), Inconclusive):
            # Nothing was seen of it: that must not be taken for a runner that cannot hold tests of ours.
            return _OfBase(seen=rest[0])
        proven = _proven(seen, rest[0]) if rest else ()
        if not files or word_on(seen, on_base=True) is None:
            return _OfBase(seen=seen, proven=proven)
        plain = Take(variant=Variant.PLAIN, commit=question.commit)
        again = self._job(gate, plain)(cancelled)
        if word_on(again, on_base=True) is not None:
            return _OfBase(seen=again, proven=proven)
        return _OfBase(seen=again, flaky=_red(seen) - _red(again), proven=proven)

    def of_change(self, gate: Gate, trees: Trees, base: Counts, cancelled: Cancel) -> Taken:
        wanted = trees.takes(gate)
        takes = [take for take in wanted if take is not None]
        seen = dict(zip([take.variant for take in takes], together(self._jobs(gate, takes), cancelled), strict=True))
        told = Taken(own=seen[Variant.OWN], bases=seen.get(Variant.BASES), old=seen.get(Variant.OLD))
        retries = min(self._place.question.plan.policy.retries, MAX_RETRIES)
        for again in range(1, retries + 1):
            doubtful = _doubtful(told, base, trees.change)
            if not doubtful:
                break
            asked = [replace(take, again=again) for take in takes if take.variant in doubtful]
            newly = dict(
                zip([take.variant for take in asked], together(self._jobs(gate, asked), cancelled), strict=True)
            )
            told = _taken_again(told, newly, base, trees.change)
        return told

    def reviewed(self, reviewer: Reviewer, trees: Trees, cancelled: Cancel) -> Reviewed:
        """What a reviewer says of the change's own tree."""
        seen = self._job(reviewer.gate(), Take(variant=Variant.OWN, commit=trees.own))(cancelled)
        return word_of(reviewer, seen)

    def _jobs(self, gate: Gate, takes: Iterable[Take]) -> list[Callable[[Cancel], Observation]]:
        return [self._job(gate, take) for take in takes]

    def _job(self, gate: Gate, take: Take) -> Callable[[Cancel], Observation]:
        self.made.append((gate, take))

        def job(cancelled: Cancel) -> Observation:
            with self._places.one(cancelled):
                return self._takes.observe(self._place, gate, take, cancelled)

        return job


def _doubtful(told: Taken, base: Counts, change: Change) -> frozenset[Variant]:
    """The takes worth doing again: their report is not trusted, or they contradict each other."""
    doubtful = {
        variant
        for variant, seen in ((Variant.OWN, told.own), (Variant.BASES, told.bases))
        if seen is not None and distrust(seen, base.red | told.flaky) is not None
    }
    chance = contradicts(told, base, change) - told.flaky
    if chance and told.bases is not None:
        doubtful |= {
            variant for variant, seen in ((Variant.OWN, told.own), (Variant.BASES, told.bases)) if _red(seen) & chance
        }
    return frozenset(doubtful)


def _taken_again(told: Taken, newly: dict[Variant, Observation], base: Counts, change: Change) -> Taken:
    """With what was seen anew; a test that contradicted itself and no longer does is flaky."""
    chance = contradicts(told, base, change)
    own = newly.get(Variant.OWN, told.own)
    bases = newly.get(Variant.BASES, told.bases)
    after = replace(told, own=own, bases=bases)
    passed = chance - contradicts(after, base, change) - _red(own)
    return replace(after, flaky=told.flaky | passed)


def _proven(quiet: Observation, loud: Observation) -> tuple[str, ...]:
    if loud.exit_code in (None, 0):
        return ()
    missing = {one.path for one in (*quiet.not_shown, *loud.not_shown)}
    return tuple(one.path for one in quiet.planted if one.path not in missing)


def _red(seen: Observation) -> frozenset[str]:
    report = seen.evidence
    return frozenset(case.full_name for case in report.red) if isinstance(report, JUnit) else frozenset()


def _holders(takes: GateTakes, gate: Gate, run_id: str, commit: str) -> dict[str, bytes]:
    """The base's test files that tests of ours could be added to, with their content; none where there is no report."""
    runner = gate.runner
    if runner is None or gate.junit is None:
        return {}
    # Whatever gets tests of ours is the base's in the run with its tests, so source must never be among it.
    paths = [
        path
        for path in takes.checkouts.paths(run_id, commit)
        if can_hold(runner, path) and kind_of(path) is FileKind.TEST
    ]
    found = ((path, takes.checkouts.read(run_id, commit, path)) for path in sorted(paths)[:MAX_FILES])
    return {path: content for path, content in found if content is not None}
