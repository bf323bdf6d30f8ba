"""The clocks of an attempt."""

from __future__ import annotations

from dataclasses import dataclass

from runner.agent_watch import AgentWatch
from runner.conclusion import Stopped
from runner.model import Tier
from runner.transcript import Transcript

TIER = Tier(name="t", model="sonnet", effort="low", max_turns=1, max_micro_usd=1, wall_s=1000, idle_s=100)


@dataclass(kw_only=True)
class Turned:
    """A clock that the test turns."""

    at: float = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def test_an_agent_that_does_nothing_and_gets_nothing_is_idle() -> None:
    clock = Turned()
    watch = AgentWatch(clock, TIER, 0.0, lambda: False)
    clock.at = 100.0
    assert watch.over(Transcript()) is None
    clock.at = 101.0
    assert watch.over(Transcript()) is Stopped.IDLE


def test_an_agent_whose_answer_is_on_its_way_is_not_idle_until_its_time_is_up() -> None:
    clock = Turned()
    answers = [True]
    watch = AgentWatch(clock, TIER, 0.0, lambda: answers[0])
    for clock.at in (101.0, 202.0, 303.0):
        assert watch.over(Transcript()) is None
    answers[0] = False
    clock.at = 404.0
    assert watch.over(Transcript()) is Stopped.IDLE
    answers[0] = True
    clock.at = 1001.0
    assert watch.over(Transcript()) is Stopped.WALL


def test_an_agent_that_never_falls_silent_is_looked_at_twice_a_second_and_stopped_in_time() -> None:
    clock = Turned()
    watch = AgentWatch(clock, TIER, 0.0, lambda: True)
    looks = 0
    stopped = None
    while stopped is None:
        clock.at += 0.125
        if watch.heard():
            looks += 1
            stopped = watch.over(Transcript())
    assert (stopped, looks) == (Stopped.WALL, 2001)
