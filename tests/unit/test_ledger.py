"""What runs came to and what they cost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.ledger import AttemptLine, RunLine, Tally, Trials, tallies, trials
from runner.model import Ending, Phase


def attempt(number: int, tier: str, outcome: str | None = None, **more: object) -> AttemptLine:
    told = {"ending": "completed", "started_at": 100.0, "micro_usd": 10, "outcome": outcome} | more
    return AttemptLine(attempt=number, tier=tier, **told)  # type: ignore[arg-type]


def run(phase: Phase, *attempts: AttemptLine, repo: str = "Widgets", reverted_at: float | None = None) -> RunLine:
    return RunLine(run_id="r", repo=repo, phase=phase, attempts=attempts, reverted_at=reverted_at)


CLIMBED = (attempt(1, "small", "failed"), attempt(2, "large", "passed"))

attempts = st.builds(
    AttemptLine,
    attempt=st.integers(1, 9),
    tier=st.sampled_from(("small", "large")),
    started_at=st.floats(0, 100),
    asked_at=st.none() | st.floats(0, 100),
    ended_at=st.none() | st.floats(0, 100),
    ending=st.none() | st.sampled_from([one.value for one in Ending]) | st.just("a word of an older version"),
    micro_usd=st.integers(0, 1000),
    outcome=st.sampled_from((None, "passed", "failed", "needs_human", "inconclusive")),
    judged_at=st.none() | st.floats(0, 100),
)
runs = st.lists(
    st.builds(
        RunLine,
        run_id=st.just("r"),
        repo=st.sampled_from(("one", "One", "two")),
        phase=st.sampled_from(Phase),
        attempts=st.lists(attempts, max_size=4).map(tuple),
        reverted_at=st.none() | st.just(1.0),
    ),
    max_size=6,
)


@settings(max_examples=30, deadline=None)
@given(runs)
def test_the_sum_of_a_repository_is_the_sum_of_its_tiers(lines: list[RunLine]) -> None:
    told = tallies(lines)
    for whole in (one for one in told if one.tier is None):
        parts = [one for one in told if one.repo == whole.repo and one.tier is not None]
        for name in ("attempts", "passes", "merged", "reverted", "micro_usd"):
            assert getattr(whole, name) == sum(getattr(part, name) for part in parts)
        assert whole.runs == sum(run.repo.lower() == whole.repo for run in lines)
        assert whole.reverted <= whole.merged <= whole.runs
        assert min(whole.agent_s, whole.gate_s, whole.queue_s) >= 0
    assert sum(one.micro_usd for one in told if one.tier is None) == sum(
        one.micro_usd for run in lines for one in run.attempts
    )


@settings(max_examples=30, deadline=None)
@given(runs)
def test_no_trial_succeeds_twice_and_none_costs_more_than_was_spent(lines: list[RunLine]) -> None:
    found = trials(lines)
    assert all(0 <= one.successes <= one.trials for one in found.values())
    assert sum(one.micro_usd for one in found.values()) <= sum(a.micro_usd for run in lines for a in run.attempts)
    assert sum(one.successes for one in found.values()) <= len(lines)


def test_a_merge_counts_at_the_tier_that_made_it_and_money_wherever_it_was_spent() -> None:
    large, small, whole = tallies([run(Phase.MERGED, *CLIMBED)])
    assert (small.tier, small.attempts, small.passes, small.merged) == ("small", 1, 0, 0)
    assert (large.tier, large.attempts, large.passes, large.merged) == ("large", 1, 1, 1)
    assert (whole.repo, whole.tier, whole.runs, whole.micro_usd) == ("widgets", None, 1, 20)
    assert whole.micro_usd_per_merge == 20


def test_what_was_taken_back_is_no_merge_that_stood() -> None:
    whole = tallies([run(Phase.MERGED, *CLIMBED, reverted_at=5.0)])[-1]
    assert (whole.merged, whole.reverted, whole.micro_usd_per_merge) == (1, 1, None)


def test_minutes_are_of_the_agent_the_gates_and_the_wait_before() -> None:
    line = attempt(1, "small", "passed", asked_at=40.0, started_at=100.0, ended_at=160.0, judged_at=190.0)
    tally = tallies([run(Phase.CI, line)])[0]
    assert (tally.queue_s, tally.agent_s, tally.gate_s) == (60.0, 60.0, 30.0)
    back = attempt(1, "small", "passed", asked_at=40.0, started_at=10.0, ended_at=5.0, judged_at=1.0)
    assert tallies([run(Phase.CI, back)])[0] == Tally(
        repo="widgets", tier="small", runs=1, attempts=1, passes=1, micro_usd=10
    )


def test_a_run_that_never_had_an_agent_is_counted() -> None:
    assert tallies([run(Phase.BLOCKED)]) == (Tally(repo="widgets", tier=None, runs=1),)


def test_a_climb_that_was_merged_is_a_failure_below_and_a_success_above() -> None:
    assert trials([run(Phase.MERGED, *CLIMBED)]) == {
        "small": Trials(trials=1, successes=0, micro_usd=10),
        "large": Trials(trials=1, successes=1, micro_usd=10),
    }


def test_a_merge_that_was_taken_back_is_a_failure() -> None:
    assert trials([run(Phase.SHIPPED, *CLIMBED, reverted_at=1.0)])["large"].successes == 0


def test_what_is_not_decided_yet_and_what_a_person_cancelled_says_nothing() -> None:
    for phase in (Phase.AWAITING_REVIEW, Phase.CANCELLED):
        assert trials([run(phase, attempt(1, "small", "passed"))]) == {}


def test_an_attempt_that_quota_or_the_network_ended_says_nothing_of_its_tier() -> None:
    ended = (attempt(1, "small", ending="quota"), attempt(2, "small", ending="network"), attempt(3, "small", "passed"))
    assert trials([run(Phase.MERGED, *ended)]) == {"small": Trials(trials=1, successes=1, micro_usd=10)}


def test_work_that_was_shown_and_worked_on_again_costs_money_and_is_one_trial() -> None:
    reviewed = (attempt(1, "small", "passed"), attempt(2, "small", "passed"))
    assert trials([run(Phase.MERGED, *reviewed)]) == {"small": Trials(trials=1, successes=1, micro_usd=20)}
