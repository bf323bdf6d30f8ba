"""The laws of the ladder: whatever happens in a round, and in whatever order, they hold."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.verdict import Failed, NeedsHuman, Passed, Unjudged, Verdict
from runner.facts import (
    AgentEnded,
    BaseJudged,
    CancelSeen,
    ChangesRefused,
    Close,
    Collect,
    Collected,
    Fact,
    HeadJudged,
    JudgeBase,
    JudgeHead,
    LeakFound,
    NothingChanged,
    Outcome,
    Prepare,
    Prepared,
    Publish,
    Published,
    RunAgent,
    SaveWork,
    Step,
    Unworkable,
    WorkSaved,
)
from runner.ladder import Round, advance, begin, most_steps
from runner.model import Bounds, Candidate, Ending, RoundInput
from runner.reasons import MAX_REASON_CHARS
from tests.fakes.a_round import (
    BASE,
    DOUBT,
    GREEN,
    INPUT,
    LADDER,
    LONG,
    RED,
    TROUBLE,
    UNSURE,
)

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

verdicts: st.SearchStrategy[Verdict] = st.sampled_from([GREEN, DOUBT, RED, UNSURE])
anytime: st.SearchStrategy[Fact] = st.sampled_from(
    [TROUBLE, CancelSeen(), Unworkable(reason="no"), LeakFound(detail="It held a secret.")]
)
inputs = st.builds(
    lambda tiers, start, bounds, rejudge, feedback, kept: replace(
        INPUT,
        ladder=(LADDER * 2)[:tiers],
        start_tier=start % tiers,
        bounds=bounds,
        rejudge=rejudge,
        feedback=feedback,
        start_commit="c" * 40 if feedback or rejudge else None,
        candidate=Candidate(commit="e" * 40, tree="kept") if kept and not rejudge else None,
    ),
    st.integers(1, 4),
    st.integers(0, 3),
    st.builds(
        Bounds, infra_retries=st.integers(0, 3), gate_retries=st.integers(0, 3), policy_warnings=st.integers(0, 2)
    ),
    st.booleans(),
    st.none() | st.just("a reviewer's notes"),
    st.booleans(),
)


def answer(data: st.DataObject, now: Round, step: Step, count: int) -> Fact:  # noqa: C901 - one for each step
    """Some fact that an engine might answer `step` with; rarely one of those that may come at any time."""
    if data.draw(st.integers(0, 19)) == 0:
        return data.draw(anytime)
    fresh = Candidate(commit=f"{count:040d}", tree=f"t{count}")
    match step:
        case Prepare():
            unjudged = data.draw(st.integers(0, 4)) == 0
            return Prepared(base_sha=BASE, rejudged=fresh if now.input.rejudge else None, unjudged=unjudged)
        case RunAgent() if not now.base_ok and not now.unjudged and data.draw(st.integers(0, 4)) == 0:
            return BaseJudged(verdict=data.draw(verdicts))
        case RunAgent():
            return AgentEnded(ending=data.draw(st.sampled_from(Ending)), detail=LONG)
        case JudgeBase():
            return BaseJudged(verdict=data.draw(verdicts))
        case Collect():
            refused = ChangesRefused(refusals=("no",) * data.draw(st.integers(0, 3)))
            done = Collected(candidate=fresh, files=1, diff="+")
            found: st.SearchStrategy[Fact] = st.sampled_from([done, done, done, NothingChanged(), refused])
            return data.draw(found)
        case JudgeHead(candidate=candidate):
            return HeadJudged(candidate=candidate, verdict=data.draw(verdicts))
        case Publish(candidate=candidate):
            return Published(pull=1, url="u", head_sha=candidate.commit)
        case SaveWork():
            return WorkSaved(commit=data.draw(st.none() | st.just("d" * 40)))
        case Close():
            raise AssertionError("a closed round is asked nothing")


@dataclass(frozen=True)
class Played:
    given: RoundInput
    steps: list[Step]
    happened: list[Fact]

    @property
    def end(self) -> Close:
        last = self.steps[-1]
        assert isinstance(last, Close)
        return last


@st.composite
def rounds(draw: st.DrawFn) -> Played:
    given = draw(inputs)
    data = draw(st.data())
    now, step = begin(given)
    steps: list[Step] = [step]
    happened: list[Fact] = []
    while not isinstance(step, Close) and len(steps) <= most_steps(given):
        fact = answer(data, now, step, len(steps))
        now, step = advance(now, fact)
        happened.append(fact)
        steps.append(step)
    return Played(given=given, steps=steps, happened=happened)


@calm
@given(rounds())
def test_every_round_ends_within_its_bound(played: Played) -> None:
    assert isinstance(played.steps[-1], Close)
    assert len(played.steps) <= most_steps(played.given)


@calm
@given(rounds())
def test_nothing_is_published_that_the_gates_did_not_allow(played: Played) -> None:
    allowed: set[Candidate] = set()
    refused: set[Candidate] = set()
    base_ok = unjudged = False
    newest = played.given.candidate
    for step, fact in zip(played.steps[1:], played.happened, strict=True):
        if isinstance(fact, Prepared):
            unjudged, newest = fact.unjudged, fact.rejudged or newest
        if isinstance(fact, Collected):
            newest = fact.candidate
        if isinstance(step, Publish) and unjudged:
            assert (step.candidate, step.verdict) == (newest, Unjudged())
            continue
        if isinstance(fact, BaseJudged):
            base_ok = isinstance(fact.verdict, Passed | NeedsHuman)
        if isinstance(fact, HeadJudged):
            if isinstance(fact.verdict, Passed | NeedsHuman):
                allowed.add(fact.candidate)
            elif isinstance(fact.verdict, Failed):
                refused.add(fact.candidate)
        if isinstance(step, Publish):
            assert base_ok
            assert step.candidate in allowed - refused
            assert isinstance(fact, HeadJudged)
            assert (step.candidate, step.verdict) == (fact.candidate, fact.verdict)
    published = any(isinstance(step, Publish) for step in played.steps)
    assert published or played.end.outcome is not Outcome.PUBLISHED


@calm
@given(rounds())
def test_the_ladder_is_climbed_one_rung_at_a_time_and_only_for_a_reason(played: Played) -> None:
    tier = played.given.start_tier
    spent = False
    for step, fact in zip(played.steps[1:], played.happened, strict=True):
        spent = spent or (isinstance(fact, AgentEnded) and fact.ending is Ending.RUN_BUDGET)
        if isinstance(step, RunAgent) and step.tier != tier:
            assert step.tier == tier + 1
            no = isinstance(fact, HeadJudged) and isinstance(fact.verdict, Failed)
            assert no or isinstance(fact, NothingChanged)
            tier = step.tier
        if isinstance(step, RunAgent):
            assert not spent


@calm
@given(rounds())
def test_attempts_are_numbered_upwards_and_no_number_is_given_to_two(played: Played) -> None:
    runs = [step for step in played.steps if isinstance(step, RunAgent)]
    distinct = list(dict.fromkeys(runs))
    first = played.given.first_attempt + (played.given.candidate is not None)
    assert [run.attempt for run in distinct] == list(range(first, first + len(distinct)))
    if played.end.resume is not None:
        again = played.end.resume.candidate is not None
        assert played.end.resume.attempt == first + len(distinct) - again


@calm
@given(rounds())
def test_no_work_that_passed_the_policy_is_lost(played: Played) -> None:
    collected_ones = [fact.candidate for fact in played.happened if isinstance(fact, Collected)]
    last = collected_ones[-1] if collected_ones else played.given.candidate
    # Work with a secret in it goes nowhere, not to a branch either.
    leaked = any(isinstance(fact, LeakFound) for fact in played.happened)
    if last is None or leaked or played.end.outcome is Outcome.PUBLISHED:
        return
    if played.end.outcome is Outcome.WAITING:
        assert played.end.resume is not None
        assert last.commit == played.end.resume.start_commit or last == played.end.resume.candidate
    else:
        assert any(isinstance(step, SaveWork) and step.candidate == last for step in played.steps)


@calm
@given(rounds())
def test_a_rejudgement_runs_no_agent_and_pushes_nothing(played: Played) -> None:
    if played.given.rejudge:
        assert not any(isinstance(step, RunAgent | Collect | SaveWork) for step in played.steps)
        published = [step for step in played.steps if isinstance(step, Publish)]
        assert all(isinstance(step.verdict, Unjudged) for step in published)


@calm
@given(rounds())
def test_a_reason_is_a_short_clean_sentence_and_only_waiting_resumes(played: Played) -> None:
    end = played.end
    assert 0 < len(end.reason) <= MAX_REASON_CHARS
    assert end.reason.isprintable()
    assert end.reason.endswith((".", "[…]"))
    waiting = end.outcome is Outcome.WAITING
    assert (end.resume is not None) is waiting
    assert ((end.retry_at is None) != (end.retry_after_s is None)) is waiting


@calm
@given(rounds())
def test_a_cancel_that_nothing_outran_ends_in_cancelled(played: Played) -> None:
    for step, fact in zip(played.steps, played.happened, strict=False):
        if isinstance(fact, CancelSeen) and not isinstance(step, SaveWork):
            assert played.end.outcome is Outcome.CANCELLED
