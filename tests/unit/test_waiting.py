"""How long is waited until the next look at a sandbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from runner.agent_watch import AgentWatch
from runner.model import Tier
from runner.sandbox_run import pause_s

TIER = Tier(name="t", model="m", effort="low", max_turns=1, max_micro_usd=1, wall_s=60, idle_s=30)


@dataclass(kw_only=True)
class Told:
    """A clock that only goes when it is slept on."""

    time: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@given(st.floats(min_value=0.0, max_value=1e9))
def test_a_pause_is_a_tenth_of_the_wait_within_bounds(waited: float) -> None:
    assert 0.004 <= pause_s(waited) <= 0.1


def test_a_short_wait_is_looked_at_more_often_than_a_long_one() -> None:
    assert pause_s(0.0) < pause_s(0.5) < pause_s(5.0) == pause_s(3600.0)


def test_an_agent_that_has_not_said_its_last_word_is_let_be(tmp_path: Path) -> None:
    clock = Told()
    AgentWatch(clock, TIER, 0.0, lambda: False).rest(tmp_path / "exit.json", lambda: False)
    assert 0.1 < sum(clock.slept) < 0.2


def test_a_last_word_is_answered_at_once_and_one_that_ends_nothing_more_and_more_slowly(tmp_path: Path) -> None:
    clock = Told()
    word = tmp_path / "exit.json"
    word.write_text("{}", encoding="utf-8")
    watch = AgentWatch(clock, TIER, 0.0, lambda: False)
    for _ in range(200):
        watch.rest(word, lambda: False)
    assert clock.slept[0] == pause_s(0.0)
    assert clock.slept[-1] == pause_s(3600.0)


def test_the_longer_an_agent_has_worked_the_less_often_it_is_looked_at(tmp_path: Path) -> None:
    clock = Told()
    AgentWatch(clock, TIER, 3600.0, lambda: False).rest(tmp_path / "exit.json", lambda: False)
    assert sum(clock.slept) == 1.0
    assert max(clock.slept) == 0.25


def test_a_cancel_ends_the_wait_at_its_next_tick(tmp_path: Path) -> None:
    clock = Told()
    AgentWatch(clock, TIER, 3600.0, lambda: False).rest(tmp_path / "exit.json", lambda: bool(clock.slept))
    assert clock.slept == [0.25]
