"""The watchdogs of an attempt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.agent_watch import AgentWatch
from runner.conclusion import Stopped
from runner.model import Tier
from runner.moments import worked_s
from runner.stuck import Moves
from runner.transcript import Transcript
from runner.watchdogs import Watchdogs
from tests.fakes.clocks import DAY_S, HandClock

TIER = Tier(name="t", model="sonnet", effort="low", max_turns=1, max_micro_usd=1, wall_s=1000, idle_s=100)
NOTHING = Transcript()


def watched(clock: HandClock, tier: Tier = TIER, elapsed_s: float = 0.0, *, lively: bool = False) -> AgentWatch:
    return AgentWatch(clock, tier, elapsed_s, lambda: lively)


def test_an_agent_that_does_nothing_and_gets_nothing_is_idle() -> None:
    clock = HandClock()
    watch = watched(clock)
    clock.passes(100.0)
    assert watch.over(NOTHING) is None
    clock.passes(1.0)
    assert watch.over(NOTHING) is Stopped.IDLE


def test_an_agent_whose_answer_is_on_its_way_is_not_idle_until_its_time_is_up() -> None:
    clock = HandClock()
    answers = [True]
    watch = AgentWatch(clock, TIER, 0.0, lambda: answers[0])
    for _ in range(3):
        clock.passes(101.0)
        assert watch.over(NOTHING) is None
    answers[0] = False
    clock.passes(101.0)
    assert watch.over(NOTHING) is Stopped.IDLE
    answers[0] = True
    clock.passes(600.0)
    assert watch.over(NOTHING) is Stopped.WALL


def test_an_agent_that_never_falls_silent_is_looked_at_twice_a_second_and_stopped_in_time() -> None:
    clock = HandClock()
    watch = watched(clock, lively=True)
    looks = 0
    stopped = None
    while stopped is None:
        clock.passes(0.125)
        if watch.heard():
            looks += 1
            stopped = watch.over(NOTHING)
    assert (stopped, looks) == (Stopped.WALL, 2001)


def test_a_word_of_an_agent_is_a_heartbeat_and_a_silence_is_told_of_now_and_then() -> None:
    clock = HandClock()
    watch = watched(clock)
    for _ in range(3):
        clock.passes(4.0)
        watch.heard()
        assert not watch.heartbeat_due()
    clock.passes(5.0)
    assert watch.heartbeat_due()
    assert not watch.heartbeat_due()


def test_an_answer_that_is_on_its_way_is_no_word_of_the_agent() -> None:
    clock = HandClock()
    watch = watched(clock, lively=True)
    clock.passes(101.0)
    assert watch.over(NOTHING) is None
    assert watch.heartbeat_due()


def test_the_time_before_a_restart_counts() -> None:
    clock = HandClock()
    watch = watched(clock, elapsed_s=990.0)
    clock.passes(10.0)
    assert watch.over(NOTHING) is None
    clock.passes(0.5)
    assert watch.over(NOTHING) is Stopped.WALL


@pytest.mark.parametrize("setting", [DAY_S, -DAY_S, 40 * 365 * DAY_S])
def test_a_clock_that_is_set_kills_no_healthy_agent_and_keeps_no_dead_one(setting: float) -> None:
    clock = HandClock()
    began = clock.moment()
    watch = watched(clock, replace(TIER, idle_s=5000))
    clock.passes(400.0)
    clock.is_set(setting)
    assert watch.over(NOTHING) is None
    clock.passes(400.0)
    # The daemon restarts, and while it is away the clock is set once more.
    clock.is_set(-2 * setting)
    clock.passes(100.0)
    watch = watched(clock, replace(TIER, idle_s=5000), worked_s(began, clock.moment()))
    assert watch.over(NOTHING) is None
    clock.passes(101.0)
    assert watch.over(NOTHING) is Stopped.WALL


def test_a_host_that_was_suspended_for_a_day_kills_no_agent_for_it() -> None:
    clock = HandClock()
    watch = watched(clock)
    clock.is_suspended(DAY_S)
    assert watch.over(NOTHING) is None
    clock.passes(101.0)
    assert watch.over(NOTHING) is Stopped.IDLE


def test_an_agent_that_has_said_its_result_has_its_grace_and_no_more() -> None:
    clock = HandClock()
    tier = replace(TIER, watchdogs=Watchdogs(grace_s=20))
    watch = watched(clock, tier)
    clock.passes(50.0)
    done = Transcript(results=1)
    assert watch.over(done) is None
    clock.passes(20.0)
    assert watch.over(done) is None
    clock.passes(1.5)
    assert watch.over(done) is Stopped.GRACE


def test_of_an_agent_that_has_said_its_result_nothing_is_asked_but_to_leave() -> None:
    clock = HandClock()
    tier = replace(TIER, idle_s=5, watchdogs=Watchdogs(grace_s=60))
    done = Transcript(results=1, moves=Moves(calls=("a",) * 60, since_edit=1000))
    watch = watched(clock, tier)
    clock.passes(30.0)
    assert watch.over(done) is None
    late = watched(clock, tier, 999.0)
    assert late.over(done) is None
    clock.passes(2.0)
    assert late.over(done) is Stopped.GRACE, "its time is up, and its result counts all the same"


def test_an_agent_that_goes_round_in_circles_is_stopped_for_it() -> None:
    watch = watched(HandClock())
    assert watch.over(Transcript(moves=Moves(calls=("a",) * 7))) is None
    assert watch.over(Transcript(moves=Moves(calls=("a",) * 8))) is Stopped.REPEATED
    assert watch.over(Transcript(moves=Moves(calls=("a", "b") * 6))) is Stopped.ALTERNATING
    assert watch.over(Transcript(moves=Moves(since_edit=150))) is Stopped.NO_EDITS


def test_every_edit_gives_it_time_for_the_next() -> None:
    clock = HandClock()
    tier = replace(TIER, wall_s=10_000, idle_s=10_000, watchdogs=Watchdogs(unedited_s=600))
    watch = watched(clock, tier)
    for edits in range(4):
        assert watch.over(Transcript(moves=Moves(edited=edits, since_edit=30))) is None
        clock.passes(599.0)
        assert watch.over(Transcript(moves=Moves(edited=edits, since_edit=30))) is None
    clock.passes(2.0)
    assert watch.over(Transcript(moves=Moves(edited=3, since_edit=19))) is None, "it does not call any tools"
    assert watch.over(Transcript(moves=Moves(edited=3, since_edit=30))) is Stopped.NO_EDITS


def test_a_long_answer_after_many_calls_is_not_taken_for_going_round_in_circles() -> None:
    clock = HandClock()
    watch = watched(clock, replace(TIER, watchdogs=Watchdogs(unedited_s=500)), lively=True)
    looked = Transcript(moves=Moves(since_edit=25))
    assert watch.over(looked) is None
    clock.passes(600.0)
    assert watch.over(looked) is None
    assert watch.over(Transcript(moves=Moves(since_edit=26))) is Stopped.NO_EDITS
