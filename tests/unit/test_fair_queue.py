"""The line before the slots: nobody starves, the urgent go first, repositories take turns."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.fair_queue import AGING_S, Held, Priority, Queued, free_slots, line, urgency

NOW = 1_000_000.0
calm = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
REPOS = ("alpha", "beta", "gamma", "delta")


def waiting(
    run: int, repo: str = "alpha", priority: Priority = Priority.NORMAL, *, for_s: float = 0.0, begun: bool = False
) -> Queued:
    return Queued(run_id=f"r{run:04}", number=1, repo=repo, priority=priority, since=NOW - for_s, begun=begun)


def at_work(slot: int, repo: str, *, for_s: float = 1.0) -> Held:
    return Held(slot=slot, run_id=f"w{slot}", number=1, repo=repo, since=NOW - for_s)


def names(*found: Queued) -> list[str]:
    return [one.run_id for one in found]


@st.composite
def queues(draw: st.DrawFn) -> tuple[list[Queued], list[Held], int, dict[str, float]]:
    slots = draw(st.integers(1, 6))
    queued = [
        Queued(
            run_id=f"r{number:04}",
            number=1,
            repo=draw(st.sampled_from(REPOS)),
            priority=draw(st.sampled_from(list(Priority))),
            since=NOW - draw(st.integers(-100, 5000)),
            begun=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 25)))
    ]
    # More may be held than there are slots: the operator has lowered their number.
    held = [
        at_work(slot, draw(st.sampled_from(REPOS)), for_s=draw(st.integers(0, 500)))
        for slot in draw(st.sets(st.integers(1, 8), max_size=8))
    ]
    served = draw(st.dictionaries(st.sampled_from(REPOS), st.integers(0, 2_000_000).map(float)))
    return queued, held, slots, served


@calm
@given(queues())
def test_everybody_is_in_the_line_once(world: tuple[list[Queued], list[Held], int, dict[str, float]]) -> None:
    queued, held, slots, served = world
    assert Counter(names(*line(queued, held, slots, served, NOW))) == Counter(names(*queued))


@calm
@given(queues(), st.randoms())
def test_the_order_in_which_the_queue_is_read_makes_no_difference(
    world: tuple[list[Queued], list[Held], int, dict[str, float]], chance: random.Random
) -> None:
    queued, held, slots, served = world
    shuffled = chance.sample(queued, len(queued))
    assert list(line(queued, held, slots, served, NOW)) == list(line(shuffled, held, slots, served, NOW))


@calm
@given(queues())
def test_the_first_is_of_a_repository_that_asks_with_the_most_urgent_ticket(
    world: tuple[list[Queued], list[Held], int, dict[str, float]],
) -> None:
    queued, held, slots, had = world
    first = next(line(queued, held, slots, had, NOW), None)
    if first is not None:
        asks = {one.repo: 9 for one in queued}
        for one in queued:
            has_one = any(other.repo == one.repo for other in held)
            since = NOW if has_one else had.get(one.repo, 0.0)
            asks[one.repo] = min(asks[one.repo], urgency(one, NOW, since))
        assert asks[first.repo] == min(asks.values())


@calm
@given(queues())
def test_within_a_repository_the_begun_go_first_and_then_the_longest_waiting(
    world: tuple[list[Queued], list[Held], int, dict[str, float]],
) -> None:
    queued, held, slots, served = world
    for repo in REPOS:
        own = [one for one in line(queued, held, slots, served, NOW) if one.repo == repo]
        assert own == sorted(own, key=lambda one: (urgency(one, NOW), not one.begun, one.since, one.run_id))


@calm
@given(st.lists(st.sampled_from(REPOS), min_size=1, max_size=20), st.lists(st.sampled_from(REPOS), max_size=5))
def test_among_the_equally_urgent_a_slot_goes_to_a_repository_that_holds_fewest(
    wanting: list[str], holding: list[str]
) -> None:
    queued = [waiting(number, repo) for number, repo in enumerate(wanting)]
    held = [at_work(slot, repo) for slot, repo in enumerate(holding, 1)]
    first = next(line(queued, held, 6, {}, NOW))
    holds = Counter(holding)
    assert holds[first.repo] == min(holds[repo] for repo in wanting)


def begins(queued: list[Queued], *, slots: int, turn_s: float, arrivals: dict[int, list[Queued]]) -> dict[str, int]:
    """In which turn each began, when a slot comes free every `turn_s` and is held until `slots` more were given."""
    begun: dict[str, int] = {}
    held: list[Held] = []
    had: dict[str, float] = {}
    for turn in range(400):
        now = NOW + turn * turn_s
        queued = queued + arrivals.get(turn, [])
        if len(held) >= slots:
            had[held.pop(0).repo] = now
        (slot, *_) = free_slots(held, slots)
        chosen = next(line(queued, held, slots, had, now), None)
        if chosen is None:
            break
        queued = [one for one in queued if one is not chosen]
        begun[chosen.run_id] = turn
        held.append(Held(slot=slot, run_id=chosen.run_id, number=1, repo=chosen.repo, since=now))
    return begun


@calm
@given(st.integers(1, 6), st.integers(0, 30), st.sampled_from([1.0, AGING_S / 3, 2 * AGING_S]))
def test_fifty_of_one_repository_hold_up_anothers_single_ticket_for_one_turn_at_most(
    slots: int, after: int, turn_s: float
) -> None:
    burst = [waiting(number, "alpha", for_s=50 - number) for number in range(50)]
    single = Queued(run_id="single", number=1, repo="beta", priority=Priority.NORMAL, since=NOW + after * turn_s)
    begun = begins(burst, slots=slots, turn_s=turn_s, arrivals={after: [single]})
    assert begun["single"] <= after + 1
    assert len(begun) == 51


@calm
@given(st.lists(st.sampled_from(REPOS), min_size=1, max_size=4, unique=True), st.integers(1, 5))
def test_repositories_with_much_to_do_share_the_slots_evenly(repos: list[str], slots: int) -> None:
    queued = [waiting(100 * index + n, repo) for index, repo in enumerate(repos) for n in range(40)]
    order = list(line(queued, [], slots, {}, NOW))
    shares = Counter(one.repo for one in order[: 20 * len(repos)])
    assert max(shares.values()) - min(shares.values()) <= slots


@settings(max_examples=3, deadline=None)
@given(st.integers(1, 3))
def test_a_low_ticket_begins_though_urgent_ones_keep_coming(slots: int) -> None:
    low = waiting(0, "beta", Priority.LOW)
    turn_s = AGING_S / 20
    arrivals = {
        turn: [Queued(run_id=f"h{turn}", number=1, repo="alpha", priority=Priority.HIGH, since=NOW + turn * turn_s)]
        for turn in range(200)
    }
    begun = begins([low], slots=slots, turn_s=turn_s, arrivals={**arrivals, 0: arrivals[0]})
    # Two steps of waiting make it as urgent as they are, and then its repository is next.
    assert 20 < begun["r0000"] <= 2 * 20 + 1


def test_in_its_own_repository_an_aged_ticket_goes_before_younger_urgent_ones() -> None:
    old = waiting(1, "alpha", Priority.LOW, for_s=2 * AGING_S)
    young = waiting(2, "alpha", Priority.HIGH)
    assert names(*line([young, old], [], 1, {}, NOW)) == ["r0001", "r0002"]


def test_high_goes_before_normal_before_low() -> None:
    queued = [waiting(1, "alpha", Priority.LOW), waiting(2, "beta"), waiting(3, "gamma", Priority.HIGH)]
    assert names(*line(queued, [], 1, {}, NOW)) == ["r0003", "r0002", "r0001"]


def test_in_its_own_repository_a_low_ticket_begins_though_urgent_ones_keep_coming() -> None:
    turn_s = AGING_S / 20
    arrivals = {
        turn: [Queued(run_id=f"h{turn}", number=1, repo="alpha", priority=Priority.HIGH, since=NOW + turn * turn_s)]
        for turn in range(100)
    }
    begun = begins([waiting(0, "alpha", Priority.LOW)], slots=1, turn_s=turn_s, arrivals=arrivals)
    assert 20 < begun["r0000"] <= 2 * 20 + 1


def test_among_equals_the_repository_goes_first_whose_last_turn_is_longest_ago() -> None:
    queued = [waiting(1, "alpha", for_s=9), waiting(2, "beta", for_s=5), waiting(3, "gamma", for_s=1)]
    served = {"alpha": NOW - 10, "beta": NOW - 20}
    assert names(*line(queued, [], 1, served, NOW)) == ["r0003", "r0002", "r0001"]


def test_the_line_reckons_with_slots_that_come_free() -> None:
    held = [at_work(slot, "alpha", for_s=10 - slot) for slot in (1, 2)]
    queued = [waiting(number, repo) for number, repo in enumerate(["alpha", "alpha", "beta", "beta"], 1)]
    assert names(*line(queued, held, 2, {"alpha": NOW - 8}, NOW)) == ["r0003", "r0001", "r0004", "r0002"]


def test_a_clock_that_was_set_back_takes_nothing_from_nobody() -> None:
    assert urgency(waiting(1, for_s=-86_400), NOW) == 1


@calm
@given(st.sets(st.integers(1, 10)), st.integers(1, 8))
def test_no_more_slots_are_given_than_there_are(taken: set[int], slots: int) -> None:
    held = [at_work(slot, "alpha") for slot in taken]
    free = free_slots(held, slots)
    assert not set(free) & taken
    assert len(free) == max(0, slots - len(taken))
    assert all(1 <= one <= slots for one in free)
