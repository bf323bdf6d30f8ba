"""Writers of one database take turns in the order in which they came; who reads waits for none of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import TimeoutError as WaitedTooLong

from runner.adapters.sql_schema import day_bills
from runner.adapters.sql_turns import Turns, one_look, reading, writing
from runner.errors import RecordsFault

DEADLINE_S = 20.0
ROW = {"day": 1, "repo": "widgets", "micro_usd": 5}


def bills(engine: Engine) -> int:
    with reading(engine) as db:
        return int(db.execute(sa.select(sa.func.count()).select_from(day_bills)).scalar_one())


def in_line(turns: Turns, count: int) -> None:
    """So many wait."""
    tick = threading.Event()
    for _ in range(int(DEADLINE_S * 100)):
        if len(turns._line) == count:
            return
        tick.wait(0.01)
    raise AssertionError(f"{count} are not in the line")


def test_turns_are_had_in_the_order_in_which_they_were_asked_for() -> None:
    turns, had = Turns(), list[int]()

    def work(number: int) -> None:
        with turns.turn(DEADLINE_S):
            had.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    with turns.turn():
        for number, thread in enumerate(threads):
            thread.start()
            in_line(turns, number + 1)
    for thread in threads:
        thread.join(DEADLINE_S)
    assert had == list(range(20))


def test_one_at_a_time_has_its_turn() -> None:
    turns, inside, most = Turns(), list[int](), list[int]()

    def work() -> None:
        for _ in range(50):
            with turns.turn(DEADLINE_S):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert most == [1] * 400


def test_who_has_waited_too_long_leaves_the_line_and_the_next_is_not_held_up() -> None:
    turns = Turns()
    with turns.turn():
        with pytest.raises(WaitedTooLong), turns.turn(0.01):
            raise AssertionError
        assert len(turns._line) == 0
    with turns.turn(0.01):
        pass


def test_a_turn_that_ended_badly_is_the_next_ones() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.turn():
        raise ZeroDivisionError
    with turns.turn(0.01):
        pass


def test_who_reads_waits_for_no_writer_and_sees_what_was_there_before(engine: Engine) -> None:
    seen = list[int]()
    with writing(engine) as db:
        db.execute(day_bills.insert().values(**ROW))
        reader = threading.Thread(target=lambda: seen.append(bills(engine)))
        reader.start()
        reader.join(DEADLINE_S)
        assert seen == [0]
    assert bills(engine) == 1


def test_what_is_read_in_one_look_is_of_one_moment(engine: Engine) -> None:
    with one_look(engine):
        before = bills(engine)
        writer = threading.Thread(target=lambda: _add(engine))
        writer.start()
        writer.join(DEADLINE_S)
        assert (before, bills(engine)) == (0, 0)
    assert bills(engine) == 1


def test_a_look_is_its_threads_own(engine: Engine) -> None:
    seen = list[int]()
    with one_look(engine):
        bills(engine)
        _add(engine)
        other = threading.Thread(target=lambda: seen.append(bills(engine)))
        other.start()
        other.join(DEADLINE_S)
    assert seen == [1]


def test_what_an_exception_leaves_is_taken_back_and_the_line_goes_on(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError):
        _add(engine, at_last=lambda: 1 // 0)
    assert bills(engine) == 0
    _add(engine)
    assert bills(engine) == 1


def test_a_fault_in_a_look_is_told_in_the_words_of_whoever_read(engine: Engine) -> None:
    with (
        pytest.raises(RecordsFault, match="Those words"),
        one_look(engine),
        reading(engine, "Those words.") as db,
    ):
        db.execute(sa.text("select nothing from nowhere"))


def _add(engine: Engine, at_last: Callable[[], object] = lambda: None) -> None:
    with writing(engine) as db:
        db.execute(day_bills.insert().values(**ROW))
        at_last()
