"""Who is being answered goes first, and nobody waits for that for long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from mcp_ashigaru.web.foremost import Foremost
from runner.fair_queue import Held, Queued
from runner.halting import HaltWatch
from runner.lookout import Lookout
from runner.pool import Pool
from runner.precedence import Precedence
from runner.watch import Watch
from runner.watched import Watched
from tests.fakes.clocks import HandClock
from tests.fakes.precedences import Putting

_PATIENCE_S = 20.0
_LONGER_S = 60.0
_SHORT_S = 0.001


@dataclass
class Asked(HandClock):
    """Tells when somebody else than who made it asks for the time: then they have looked whether they must wait."""

    mine: int = field(default_factory=threading.get_ident)
    asked: threading.Event = field(default_factory=threading.Event)

    def monotonic(self) -> float:
        if threading.get_ident() != self.mine:
            self.asked.set()
        return super().monotonic()


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def waits(precedence: Precedence, begun: threading.Event) -> None:
    with precedence.after():
        begun.set()


@contextmanager
def begun_beside(
    beside: ThreadPoolExecutor, precedence: Precedence, clock: Asked
) -> Iterator[tuple[threading.Event, Future[None]]]:
    """Something that can wait, which has seen by now whether it has to."""
    begun = threading.Event()
    told = beside.submit(waits, precedence, begun)
    assert clock.asked.wait(_PATIENCE_S)
    yield begun, told


def test_what_can_wait_begins_when_the_answer_is_there(beside: ThreadPoolExecutor) -> None:
    clock = Asked()
    precedence = Precedence(clock, patience_s=_LONGER_S)
    with precedence.first(), begun_beside(beside, precedence, clock) as (begun, told):
        assert not begun.is_set()
    told.result(_PATIENCE_S)


def test_an_answer_that_failed_is_waited_for_no_longer() -> None:
    precedence = Precedence(HandClock(), patience_s=_PATIENCE_S)
    with pytest.raises(ValueError, match="x"), precedence.first():
        raise ValueError("x")
    with precedence.after():
        pass


def test_a_request_that_takes_long_is_given_way_to_only_at_its_beginning(beside: ThreadPoolExecutor) -> None:
    clock = HandClock()
    precedence = Precedence(clock, patience_s=_LONGER_S)
    with precedence.first():
        clock.passes(_LONGER_S)
        beside.submit(waits, precedence, threading.Event()).result(_PATIENCE_S)


def test_where_there_is_always_somebody_to_be_answered_everything_goes_on_all_the_same() -> None:
    precedence = Precedence(HandClock(), patience_s=_SHORT_S)
    with precedence.first(), precedence.after():
        pass


def test_of_what_can_wait_one_goes_at_a_time(beside: ThreadPoolExecutor) -> None:
    precedence = Precedence(HandClock(), line_s=_LONGER_S)
    two_inside = threading.Barrier(2)

    def met() -> bool:
        with precedence.after():
            try:
                two_inside.wait(0.1)
            except threading.BrokenBarrierError:
                return False
            return True

    assert [told.result(_PATIENCE_S) for told in [beside.submit(met) for _ in range(2)]] == [False, False]


def test_one_that_takes_long_does_not_hold_the_others(beside: ThreadPoolExecutor) -> None:
    precedence = Precedence(HandClock(), line_s=_SHORT_S)
    with precedence.after():
        beside.submit(waits, precedence, begun := threading.Event()).result(_PATIENCE_S)
    assert begun.is_set()


def test_the_app_answers_first_whoever_has_come_in(beside: ThreadPoolExecutor) -> None:
    clock = Asked()
    precedence = Precedence(clock, patience_s=_PATIENCE_S)
    seen: list[bool] = []

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        with begun_beside(beside, precedence, clock) as (begun, _):
            seen.append(begun.is_set())

    async def receive() -> Message:
        raise AssertionError

    async def send(_message: Message) -> None:
        raise AssertionError

    asyncio.run(Foremost(app, precedence)({"type": "http"}, receive, send))
    assert seen == [False]


class Nothing:
    """Records and books in which nobody waits; spending is halted."""

    def held(self) -> list[Held]:
        return []

    def queued(self, _most: int) -> list[Queued]:
        return []

    def watched(self, _most: int) -> list[Watched]:
        return []

    def halted(self) -> str:
        return "halted"


def the_pool(putting: Putting) -> Callable[[], object]:
    nothing: Any = Nothing()
    pool = Pool(engine=nothing, book=nothing, records=nothing, clock=HandClock(), slots=1, precedence=putting)
    pool.open()
    nothing.close = lambda _deadline_s: True
    return lambda: pool.close(_PATIENCE_S)


def the_watch(putting: Putting) -> Callable[[], object]:
    watch = Watch(Nothing(), lambda _: False, HandClock(), every_s=_SHORT_S, precedence=putting)
    watch.start()
    return lambda: watch.close(_PATIENCE_S)


def the_halts(putting: Putting) -> Callable[[], object]:
    nothing: Any = Nothing()
    halts = HaltWatch(records=nothing, rounds=nothing, spending=nothing, precedence=putting, every_s=_SHORT_S)
    halts.start()
    return lambda: halts.close(_PATIENCE_S)


def the_lookout(putting: Putting) -> Callable[[], object]:
    Lookout(HandClock(), putting).wait(lambda: False, every_s=1.0, at_most_s=3.0)
    return lambda: None


@pytest.mark.parametrize("begin", [the_pool, the_watch, the_halts, the_lookout], ids=lambda one: one.__name__)
def test_what_looks_of_its_own_accord_comes_after_whoever_is_being_answered(
    begin: Callable[[Putting], Callable[[], object]],
) -> None:
    putting = Putting(HandClock())
    end = begin(putting)
    try:
        assert putting.some.wait(_PATIENCE_S)
    finally:
        end()
