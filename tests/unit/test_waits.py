"""A wait is as long as it was to be, whatever becomes of the wall clock and of the daemon."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from runner.errors import RecordsFault
from runner.model import Phase, RoundInput
from runner.records import RunChange, RunRecord
from runner.rounds import RoundKey, RoundState, state_of
from runner.waits import SPARE_S, PatientRounds
from tests.fakes.a_round import INPUT
from tests.fakes.clocks import DAY_S, HandClock
from tests.fakes.moments import FakeMoments

RUN = "widgets-1-aaaaaa"
ROUND = replace(INPUT, run_id=RUN, number=2)


@dataclass(kw_only=True)
class Engine:
    """The durable engine: what it was given, and what it was told to do at once."""

    given: dict[tuple[str, int], float] = field(default_factory=dict)
    hastened: list[tuple[str, int]] = field(default_factory=list)
    down: bool = False
    rang: threading.Event = field(default_factory=threading.Event)

    def launch(self) -> None:
        pass

    def submit(self, round_input: RoundInput, *, delay_s: float = 0.0) -> None:
        self.given.setdefault((round_input.run_id, round_input.number), delay_s)

    def hasten(self, run_id: str, number: int) -> None:
        if self.down:
            raise RecordsFault("away")
        self.hastened.append((run_id, number))
        self.rang.set()

    def states(self, rounds: Sequence[RoundKey]) -> dict[RoundKey, RoundState]:
        return {one: RoundState.DELAYED if one in self.given else RoundState.ABSENT for one in rounds}

    def close(self, deadline_s: float) -> bool:
        return deadline_s >= 0


@dataclass(kw_only=True)
class Runs:
    """The one run there is."""

    is_now: RunRecord

    def run(self, run_id: str) -> RunRecord | None:
        return self.is_now if run_id == RUN else None

    def change(self, run_id: str, change: RunChange, at: float) -> None:
        assert run_id == RUN
        self.is_now = replace(self.is_now, **change, updated_at=at)


@dataclass(kw_only=True)
class World:
    """What outlives the daemon."""

    clock: HandClock = field(default_factory=HandClock)
    engine: Engine = field(default_factory=Engine)
    book: FakeMoments = field(default_factory=FakeMoments)
    runs: Runs = field(
        default_factory=lambda: Runs(
            is_now=RunRecord(
                run_id=RUN,
                repo="widgets",
                issue=1,
                brief="Mend it.",
                model=None,
                phase=Phase.WAITING,
                base_branch="main",
                branch="ashigaru/1",
                created_at=0.0,
                updated_at=0.0,
                start_tier=0,
                round=2,
                retry_at=HandClock().now() + 900.0,
            )
        )
    )

    def daemon(self) -> PatientRounds:
        records: Any = self.runs
        rounds = PatientRounds(rounds=self.engine, book=self.book, records=records, timeline=self.clock.timeline())
        rounds.launch()
        return rounds

    def passes(self, rounds: PatientRounds, seconds: float) -> bool:
        """Time passes; whether the round was begun after it."""
        self.clock.passes(seconds)
        rounds.look()
        return self.engine.hastened != []


def waiting(world: World) -> PatientRounds:
    """A daemon with a round that is to begin after 900 s."""
    rounds = world.daemon()
    rounds.submit(ROUND, delay_s=900.0)
    rounds.look()
    return rounds


def test_a_wait_is_over_when_its_time_has_passed_and_is_forgotten_then() -> None:
    world = World()
    rounds = waiting(world)
    assert not world.passes(rounds, 899.0)
    assert world.passes(rounds, 1.0)
    assert world.engine.hastened == [(RUN, 2)]
    assert world.book.kept == {}
    rounds.look()
    assert len(world.engine.hastened) == 1


def test_the_engine_itself_would_be_late_and_never_early() -> None:
    world = World()
    rounds = waiting(world)
    assert world.engine.given[RUN, 2] == 900.0 + SPARE_S > 900.0 + 20 * DAY_S
    rounds.submit(replace(ROUND, number=3))
    assert world.engine.given[RUN, 3] == 0.0


@pytest.mark.parametrize("setting", [DAY_S, -DAY_S, 20 * DAY_S, -20 * DAY_S])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_is_set_neither_hastens_a_wait_nor_draws_it_out(setting: float, *, restarted: bool) -> None:
    world = World()
    rounds = waiting(world)
    assert not world.passes(rounds, 300.0)
    world.clock.is_set(setting)
    if restarted:
        rounds = world.daemon()
    assert not world.passes(rounds, 599.0)
    assert world.passes(rounds, 1.0)


def test_a_wait_goes_on_while_the_host_sleeps() -> None:
    world = World()
    rounds = waiting(world)
    world.clock.is_suspended(900.0)
    assert world.passes(rounds, 0.0)


@pytest.mark.parametrize("setting", [-DAY_S, -20 * DAY_S])
def test_after_a_boot_with_a_clock_set_back_a_wait_is_at_most_as_long_again(setting: float) -> None:
    world = World()
    waiting(world)
    world.clock.boots(away_s=600.0)
    world.clock.is_set(setting)
    rounds = world.daemon()
    assert not world.passes(rounds, 899.0)
    assert world.passes(rounds, 1.0)


def test_after_a_boot_the_time_that_the_host_was_away_counts_and_a_clock_set_from_then_on_does_not() -> None:
    world = World()
    waiting(world)
    world.clock.boots(away_s=600.0)
    rounds = world.daemon()
    world.clock.is_set(DAY_S)
    assert not world.passes(rounds, 299.0)
    assert world.passes(rounds, 1.0)


def test_the_time_of_the_next_try_is_told_anew_when_the_clock_was_set() -> None:
    world = World()
    rounds = waiting(world)
    first = world.runs.is_now.retry_at
    world.passes(rounds, 100.0)
    assert world.runs.is_now.retry_at == first
    world.clock.is_set(DAY_S)
    rounds.look()
    assert world.runs.is_now.retry_at == pytest.approx(world.clock.now() + 800.0)
    world.clock.is_set(-3 * DAY_S)
    world.daemon().look()
    assert world.runs.is_now.retry_at == pytest.approx(world.clock.now() + 800.0)


def test_a_run_that_waits_no_more_is_not_told_a_time() -> None:
    world = World()
    rounds = waiting(world)
    world.runs.is_now = replace(world.runs.is_now, phase=Phase.CANCELLED, retry_at=None)
    world.clock.is_set(DAY_S)
    rounds.look()
    assert world.runs.is_now.retry_at is None


def test_a_wait_that_is_asked_for_twice_is_as_long_as_it_was_first() -> None:
    world = World()
    rounds = waiting(world)
    world.passes(rounds, 500.0)
    rounds.submit(ROUND, delay_s=900.0)
    world.daemon().submit(ROUND, delay_s=900.0)
    assert world.passes(rounds, 400.0)


def test_a_wait_on_record_that_the_engine_was_never_told_of_is_waited_out() -> None:
    world = World()
    waiting(world)
    world.engine.given.clear()
    rounds = world.daemon()
    assert state_of(rounds, RUN, 2) is RoundState.ABSENT
    world.clock.is_set(-DAY_S)
    rounds.submit(ROUND, delay_s=900.0 + DAY_S)
    assert not world.passes(rounds, 899.0)
    assert world.passes(rounds, 1.0)


def test_what_is_hastened_waits_no_more() -> None:
    world = World()
    rounds = waiting(world)
    rounds.hasten(RUN, 2)
    assert world.passes(rounds, 900.0)
    assert world.engine.hastened == [(RUN, 2)]


def test_an_engine_that_is_away_is_told_again() -> None:
    world = World()
    rounds = waiting(world)
    world.engine.down = True
    world.clock.passes(900.0)
    with pytest.raises(RecordsFault):
        rounds.look()
    world.engine.down = False
    rounds.look()
    assert world.engine.hastened == [(RUN, 2)]


def test_it_looks_as_soon_as_the_next_wait_is_over() -> None:
    world = World()
    rounds = waiting(world)
    world.clock.passes(899.75)
    assert rounds.look() == pytest.approx(0.25)


def test_a_thread_ends_waits_by_itself_until_it_is_closed() -> None:
    world = World()
    rounds = world.daemon()
    rounds.start()
    rounds.submit(ROUND, delay_s=900.0)
    world.clock.passes(900.0)
    assert world.engine.rang.wait(20)
    assert rounds.close(1.0)
    assert world.engine.hastened == [(RUN, 2)]
