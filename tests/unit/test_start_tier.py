"""At which tier a ticket starts."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.ledger import Trials
from runner.model import Tier
from runner.start_tier import LEAST_TRIALS, Start, start

few = settings(max_examples=60, deadline=None)
LADDER = tuple(
    Tier(name=name, model="m", effort="low", max_turns=1, max_micro_usd=1_000_000, wall_s=1, idle_s=1)
    for name in ("small", "large", "huge")
)
NAMES = tuple(tier.name for tier in LADDER)


@st.composite
def tried(draw: st.DrawFn, least: int = 0) -> Trials:
    trials = draw(st.integers(least, 60))
    return Trials(
        trials=trials, successes=draw(st.integers(0, trials)), micro_usd=trials * draw(st.integers(0, 3_000_000))
    )


ledgers = st.dictionaries(st.sampled_from(NAMES), tried())
full = st.fixed_dictionaries({name: tried(LEAST_TRIALS) for name in NAMES})


def rate(one: Trials) -> Fraction:
    return Fraction(1 + one.successes, 2 + one.trials)


def cost(one: Trials) -> Fraction:
    return (one.micro_usd + Fraction(1_000_000, 4)) / (one.trials + 1)


@few
@given(ledgers)
def test_with_few_trials_at_the_first_tier_nothing_changes(seen: dict[str, Trials]) -> None:
    seen["small"] = Trials(trials=LEAST_TRIALS - 1, successes=0, micro_usd=10**9)
    assert start(LADDER, seen) == Start(tier=0)


def test_with_no_trials_at_all_it_is_the_first_tier() -> None:
    assert start(LADDER, {}) == start((), {}) == Start(tier=0)


@few
@given(ledgers)
def test_it_never_starts_at_a_tier_of_which_nothing_is_known(seen: dict[str, Trials]) -> None:
    found = start(LADDER, seen)
    assert found.tier == 0 or seen[NAMES[found.tier]].trials >= LEAST_TRIALS
    assert (found.why is None) == (found.tier == 0)


@few
@given(full)
def test_it_never_starts_at_a_tier_that_another_is_better_than(seen: dict[str, Trials]) -> None:
    chosen = seen[NAMES[start(LADDER, seen).tier]]
    for other in seen.values():
        better = cost(other) <= cost(chosen) and rate(other) >= rate(chosen)
        assert not better or (cost(other), rate(other)) == (cost(chosen), rate(chosen))


@few
@given(full)
def test_no_other_start_of_those_that_none_is_better_than_is_expected_to_cost_less(seen: dict[str, Trials]) -> None:
    def expected(place: int) -> Fraction:
        """By the sum over all ways a climb can end, not by the recursion."""
        reach, paid, merged = Fraction(1), Fraction(0), Fraction(0)
        for name in NAMES[place:]:
            paid += reach * cost(seen[name])
            merged += reach * rate(seen[name])
            reach *= 1 - rate(seen[name])
        return paid / merged

    chosen = start(LADDER, seen).tier
    fit = [
        place
        for place, name in enumerate(NAMES)
        if not any(
            cost(other) <= cost(seen[name])
            and rate(other) >= rate(seen[name])
            and (cost(other), rate(other)) != (cost(seen[name]), rate(seen[name]))
            for other in seen.values()
        )
    ]
    assert chosen in fit
    assert expected(chosen) == min(expected(place) for place in fit)


@few
@given(full)
def test_one_more_success_where_it_starts_keeps_it_there(seen: dict[str, Trials]) -> None:
    chosen = NAMES[start(LADDER, seen).tier]
    one = seen[chosen]
    better = replace(one, trials=one.trials + 1, successes=one.successes + 1)
    assert NAMES[start(LADDER, seen | {chosen: better}).tier] == chosen


@few
@given(full, st.integers(1, 20))
def test_more_failures_below_where_it_starts_do_not_bring_it_down(seen: dict[str, Trials], failures: int) -> None:
    chosen = start(LADDER, seen).tier
    for name in NAMES[:chosen]:
        one = seen[name]
        # Each as dear as a trial there is taken to be.
        paid = one.micro_usd + failures * (round(cost(one)) + 1)
        worse = replace(one, trials=one.trials + failures, micro_usd=paid)
        assert start(LADDER, seen | {name: worse}).tier >= chosen


@few
@given(full)
def test_the_same_ledger_gives_the_same_tier(seen: dict[str, Trials]) -> None:
    assert start(LADDER, seen) == start(LADDER, dict(reversed(seen.items())))


def test_a_first_tier_that_costs_next_to_nothing_is_worth_a_try_though_it_mostly_fails() -> None:
    seen = {
        "small": Trials(trials=20, successes=2, micro_usd=20_000),
        "large": Trials(trials=20, successes=18, micro_usd=20_000_000),
    }
    assert start(LADDER, seen).tier == 0


def test_a_first_tier_that_costs_as_much_and_mostly_fails_is_passed_over() -> None:
    seen = {
        "small": Trials(trials=20, successes=2, micro_usd=10_000_000),
        "large": Trials(trials=20, successes=18, micro_usd=20_000_000),
    }
    found = start(LADDER, seen)
    assert found.tier == 1
    assert found.why is not None
    assert "2 of 20 trials" in found.why
    assert len(found.why) <= 200
