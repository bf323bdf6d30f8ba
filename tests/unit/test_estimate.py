"""The estimate of a queued run: from what was, and unknown where nothing was."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.estimate import Lengths, Place, left_of, places, words
from runner.fair_queue import Held, Priority, Queued

NOW = 1000.0
NONE = Lengths(repos={}, all=())
MINUTES = Lengths(repos={"alpha": (60.0, 120.0, 600.0)}, all=(60.0, 120.0, 600.0, 30.0, 30.0))


def queued(number: int, repo: str = "alpha") -> Queued:
    return Queued(run_id=f"r{number}", number=1, repo=repo, priority=Priority.NORMAL, since=NOW)


def held(slot: int, for_s: float, repo: str = "alpha") -> Held:
    return Held(slot=slot, run_id=f"w{slot}", number=1, repo=repo, since=NOW - for_s)


def starts(line: list[Queued], at_work: list[Held], slots: int, lengths: Lengths) -> list[float | None]:
    found = places(line, at_work, slots, lengths, NOW)
    return [found[one.run_id].starts_in_s for one in line]


def test_the_next_begins_when_the_median_turn_is_over() -> None:
    assert starts([queued(1), queued(2), queued(3)], [held(1, 20)], 1, MINUTES) == [100, 220, 340]


def test_a_free_slot_is_free_now() -> None:
    assert starts([queued(1), queued(2)], [held(1, 20)], 2, MINUTES) == [0, 100]


def test_a_turn_that_is_longer_than_the_median_is_judged_by_the_longer_ones() -> None:
    assert left_of(130, (60, 120, 600)) == 470
    assert left_of(0, (60, 120, 600)) == 120


def test_a_turn_that_is_longer_than_any_ends_at_no_known_time() -> None:
    assert left_of(700, (60, 120, 600)) == math.inf
    assert starts([queued(1)], [held(1, 700)], 1, MINUTES) == [None]
    assert starts([queued(1)], [held(1, 700), held(2, 0)], 2, MINUTES) == [120]


def test_a_repository_without_a_history_is_judged_by_all() -> None:
    found = places([queued(1, "beta"), queued(2, "beta")], [], 1, MINUTES, NOW)
    assert (found["r2"].starts_in_s, found["r2"].earlier) == (60, 5)


def test_with_no_history_at_all_only_what_is_free_now_is_known() -> None:
    assert starts([queued(1), queued(2)], [], 1, NONE) == [0, None]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["alpha", "beta"]), max_size=30), st.integers(1, 5), st.lists(st.floats(0, 900)))
def test_nobody_begins_before_whoever_goes_before(repos: list[str], slots: int, elapsed: list[float]) -> None:
    line = [queued(number, repo) for number, repo in enumerate(repos)]
    at_work = [held(slot, one) for slot, one in enumerate(elapsed[: slots + 2], 1)]
    found = places(line, at_work, slots, MINUTES, NOW)
    assert [found[one.run_id].place for one in line] == list(range(1, len(line) + 1))
    begin = [math.inf if one.starts_in_s is None else one.starts_in_s for one in found.values()]
    assert all(first <= second for first, second in pairwise(begin))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "under a minute"),
        (60, "about 1 minute"),
        (720, "about 12 minutes"),
        (5399, "about 90 minutes"),
        (7300, "about 2 hours"),
        (200_000, "about 2 days"),
    ],
)
def test_the_place_is_a_sentence_for_a_phone(seconds: float, said: str) -> None:
    told = words(Place(place=3, of=7, starts_in_s=seconds, earlier=4))
    assert told == f"Place 3 of 7 in the queue; begins in {said} if runs take as long as they did."


def test_unknown_is_said_to_be_unknown() -> None:
    assert "nobody can say" in words(Place(place=1, of=1, starts_in_s=None, earlier=0))
