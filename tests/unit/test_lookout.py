"""Many who wait, one who looks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runner.adapters.system_clock import SystemClock
from runner.agent_watch import AgentWatch
from runner.errors import RecordsFault
from runner.lookout import Lookout
from runner.model import Tier
from tests.fakes.clocks import HandClock

_PATIENCE_S = 30.0
_TICK_S = 0.005
_TIER = Tier(name="t", model="sonnet", effort="low", max_turns=1, max_micro_usd=1, wall_s=10_000, idle_s=10_000)


@dataclass
class Counting(HandClock):
    """How often it was slept on."""

    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        super().sleep(seconds)


@dataclass
class Stuck(HandClock):
    """Who sleeps on it sleeps until it is let go."""

    sleeping: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def sleep(self, seconds: float) -> None:
        self.sleeping.set()
        assert self.let_go.wait(_PATIENCE_S)
        self.passes(seconds)


@contextmanager
def looked_for_by_somebody_stuck() -> Iterator[Lookout]:
    """A lookout whose looker sleeps long between two looks."""
    clock = Stuck()
    lookout = Lookout(clock)
    with ThreadPoolExecutor(1) as pool:
        looker = pool.submit(lookout.wait, lambda: False, every_s=3600.0, at_most_s=3600.0)
        assert clock.sleeping.wait(_PATIENCE_S)
        try:
            yield lookout
            assert not looker.done()
        finally:
            clock.let_go.set()
        looker.result(_PATIENCE_S)


def test_one_alone_looks_at_its_own_pace_until_it_has_come() -> None:
    clock = Counting()
    Lookout(clock).wait(lambda: len(clock.slept) == 3, every_s=0.25, at_most_s=10.0)
    assert clock.slept == [0.25] * 3


def test_what_does_not_come_is_waited_for_no_longer_than_was_said() -> None:
    clock = Counting()
    Lookout(clock).wait(lambda: False, every_s=0.25, at_most_s=0.625)
    assert clock.slept == [0.25, 0.25, 0.125]


def raising() -> bool:
    raise RecordsFault("The records do not answer; try again.")


@pytest.mark.parametrize("come", [lambda: True, raising], ids=["come", "cannot be told"])
def test_what_has_come_already_is_not_waited_for_although_the_looker_sleeps(come: Callable[[], bool]) -> None:
    with looked_for_by_somebody_stuck() as lookout:
        lookout.wait(come, every_s=1.0, at_most_s=_PATIENCE_S)


def test_who_waits_beside_a_looker_that_sleeps_long_is_back_in_its_own_time() -> None:
    with looked_for_by_somebody_stuck() as lookout:
        lookout.wait(lambda: False, every_s=1.0, at_most_s=0.01)


def test_an_agent_that_has_just_begun_does_not_wait_for_the_slow_looks_of_others(tmp_path: Path) -> None:
    with looked_for_by_somebody_stuck() as others:
        clock = Counting()
        AgentWatch(clock, _TIER, 0.0, lambda: False, beside=others).rest(tmp_path / "exit.json", lambda: False)
        assert max(clock.slept) == 0.005


def test_one_that_has_worked_for_long_is_looked_for_by_others(tmp_path: Path) -> None:
    class Quick(Lookout):
        def wait(self, come: Callable[[], bool], *, every_s: float, at_most_s: float) -> None:
            asked.append((come(), every_s, at_most_s))

    asked: list[tuple[bool, float, float]] = []
    clock = HandClock()
    AgentWatch(clock, _TIER, 3600.0, lambda: False, beside=Quick(clock)).rest(tmp_path / "exit.json", lambda: False)
    assert asked == [(False, 0.25, 1.0)]


@dataclass
class Arrival:
    """Something that comes when the test says so, and who looked for it."""

    here: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    lookers: list[int] = field(default_factory=list)

    def come(self) -> bool:
        self.lookers.append(threading.get_ident())
        if len(self.lookers) > 1:
            self.asked.set()
        return self.here.is_set()


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]], ids=str)
def test_each_is_called_when_its_own_has_come_whoever_looks(order: list[int]) -> None:
    lookout, arrivals = Lookout(SystemClock()), [Arrival() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        waits: list[Future[None]] = []
        for one in arrivals:
            waits.append(pool.submit(lookout.wait, one.come, every_s=_TICK_S, at_most_s=_PATIENCE_S))
            # Looked for a second time: it has joined, and somebody looks.
            assert one.asked.wait(_PATIENCE_S)
        for here in order:
            arrivals[here].here.set()
            waits[here].result(_PATIENCE_S)
            assert not any(waits[other].done() for other in order[order.index(here) + 1 :])


def test_one_thread_looks_for_all() -> None:
    lookout, arrivals = Lookout(SystemClock()), [Arrival() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        waits = []
        for one in arrivals:
            waits.append(pool.submit(lookout.wait, one.come, every_s=_TICK_S, at_most_s=_PATIENCE_S))
            assert one.asked.wait(_PATIENCE_S)
        # The first time each looks for itself, before it waits.
        lookers = {looker for one in arrivals for looker in one.lookers[1:]}
        for one in arrivals:
            one.here.set()
        for wait in waits:
            wait.result(_PATIENCE_S)
    assert lookers == {arrivals[0].lookers[0]}
