"""The book of slots: one suite for SQLite and, where ASHIGARU_TEST_POSTGRES_URL names one, PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from runner.adapters.sql_slots import SqlSlots
from runner.fair_queue import Priority, Queued
from runner.model import Phase
from runner.records import Records
from runner.slots import Counted, SlotBook
from tests.contract.test_records import a_round, run


@pytest.fixture
def book(engine: Engine) -> SlotBook:
    return SqlSlots(engine, host="here")


def queue(records: Records, run_id: str, issue: int, **changes: object) -> Queued:
    """A run that waits for a slot, as `Service` leaves it."""
    made = run(run_id, issue=issue, **({"queued_at": 100.0 + issue} | changes))
    records.claim(made)
    records.save_round(a_round(run_id, made.round), 10.0)
    return Queued(
        run_id=run_id,
        number=made.round,
        repo=made.repo.lower(),
        priority=made.priority,
        since=made.queued_at or made.updated_at,
        begun=made.round > 1,
    )


def test_what_waits_is_told_longest_waiting_first(records: Records, book: SlotBook) -> None:
    second = queue(records, "b", 2, priority=Priority.HIGH)
    first = queue(records, "a", 1, repo="Acme/Widgets")
    again = queue(records, "c", 3, round=2)
    assert book.queued(10) == [first, second, again]
    assert book.queued(1) == [first]


def test_only_a_round_that_is_on_record_waits(records: Records, book: SlotBook) -> None:
    records.claim(run("claimed", issue=1))
    queue(records, "at-work", 2, phase=Phase.AGENT)
    records.claim(run("begun", issue=3, phase=Phase.AGENT))
    records.claim(run("over", issue=4, phase=Phase.ESCALATED))
    assert book.queued(10) == []
    assert sorted(book.unsaved(10)) == ["begun", "claimed"]
    records.save_round(a_round("begun"), 1.0)
    records.save_round(a_round("claimed"), 1.0)
    assert [one.run_id for one in book.queued(10)] == ["claimed"]
    assert book.unsaved(10) == []


def test_a_slot_is_held_by_one_round_and_a_run_holds_one(records: Records, book: SlotBook) -> None:
    first, second = queue(records, "a", 1), queue(records, "b", 2)
    assert book.take(first, 1, 200.0)
    assert not book.take(first, 2, 201.0)
    assert not book.take(second, 1, 202.0)
    assert book.queued(10) == [second]
    assert book.take(second, 2, 203.0)
    assert [(one.name, one.run_id, one.since) for one in book.held()] == [
        ("ashigaru-1", "a", 200.0),
        ("ashigaru-2", "b", 203.0),
    ]
    assert [one.run_id for one in book.held(["b", "nobody"])] == ["b"]
    assert book.held([]) == []


def test_what_is_cancelled_or_has_gone_on_takes_no_slot(records: Records, book: SlotBook) -> None:
    gone, later = queue(records, "a", 1), queue(records, "b", 2)
    records.change("a", {"phase": Phase.CANCELLED}, 150.0)
    assert not book.take(gone, 1, 200.0)
    assert not book.take(replace(later, number=2), 1, 200.0)
    assert book.held() == []


def test_hosts_share_the_line_and_not_the_slots(engine: Engine, records: Records, book: SlotBook) -> None:
    elsewhere = SqlSlots(engine, host="there")
    first, second = queue(records, "a", 1), queue(records, "b", 2)
    assert book.take(first, 1, 200.0)
    assert not elsewhere.take(first, 1, 200.0)
    assert elsewhere.take(second, 1, 200.0)
    assert [one.run_id for one in elsewhere.held()] == ["b"]
    assert not elsewhere.leave("a", 1, 300.0)
    assert book.queued(10) == elsewhere.queued(10) == []


def test_of_many_that_take_a_round_at_once_one_has_it(engine: Engine, records: Records) -> None:
    wanted = queue(records, "a", 1)
    books = [SqlSlots(engine, host=f"host{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda one: one.take(wanted, 1, 200.0), books)) == [False, False, False, True]


def test_leaving_is_remembered_once(records: Records, book: SlotBook) -> None:
    first = queue(records, "a", 1, repo="Widgets")
    book.take(first, 1, 200.0)
    assert book.last_had(1000.0) == {}
    assert not book.leave("a", 2, 250.0)
    assert book.leave("a", 1, 260.0)
    assert not book.leave("a", 1, 270.0)
    assert book.held() == []
    assert book.last_had(1000.0) == {"widgets": 260.0}
    assert book.lengths().of("widgets") == [60.0]
    assert book.lengths().of("gadgets") == [60.0]


def test_a_turn_that_ended_by_a_clock_that_was_ahead_is_not_held_against_its_repository(
    records: Records, book: SlotBook
) -> None:
    for run_id, issue, begun in (("a", 1, 200.0), ("b", 2, 86_400.0)):
        assert book.take(queue(records, run_id, issue), issue, begun)
        assert book.leave(run_id, 1, begun + 60.0)
    assert book.last_had(1000.0) == {"widgets": 260.0}


def test_the_newest_turns_of_a_repository_are_told(records: Records, book: SlotBook) -> None:
    queue(records, "a", 1)
    for number in range(30):
        book.hold("a", number, 1, 1000.0 * number)
        book.leave("a", number, 1000.0 * number + number)
    assert sorted(book.lengths().repos["widgets"]) == [float(number) for number in range(10, 30)]
    assert len(book.lengths().all) == 30


def test_a_clock_that_was_set_back_makes_no_turn_shorter_than_nothing(records: Records, book: SlotBook) -> None:
    book.take(queue(records, "a", 1), 1, 200.0)
    book.leave("a", 1, 100.0)
    assert book.lengths().all == [0.0]


def test_a_round_whose_time_has_come_joins_the_line_then(records: Records, book: SlotBook) -> None:
    queue(records, "a", 1, phase=Phase.WAITING, round=2, retry_at=400.0, reason="busy")
    assert book.ready("a", 2, 500.0)
    assert book.ready("a", 2, 600.0), "a second time it keeps its place"
    (waits,) = book.queued(10)
    assert (waits.since, waits.begun) == (500.0, True)
    after = records.run("a")
    assert after is not None
    assert (after.phase, after.retry_at, after.reason) == (Phase.QUEUED, None, None)


def test_a_round_that_is_over_or_cancelled_is_not_brought_back(records: Records, book: SlotBook) -> None:
    queue(records, "a", 1, phase=Phase.WAITING, round=2)
    assert not book.ready("a", 1, 500.0)
    records.change("a", {"phase": Phase.CANCELLED}, 501.0)
    assert not book.ready("a", 2, 502.0)
    assert not book.ready("nobody", 1, 503.0)
    after = records.run("a")
    assert after is not None
    assert after.phase is Phase.CANCELLED


def test_runs_are_counted_by_repository_and_by_owner(records: Records, book: SlotBook) -> None:
    queue(records, "a", 1, owner="bot")
    queue(records, "b", 2, repo="Widgets", phase=Phase.AWAITING_REVIEW)
    queue(records, "c", 3, phase=Phase.MERGED)
    queue(records, "d", 4, repo="gadgets", owner="bot", phase=Phase.WAITING)
    assert book.counted(repo="WIDGETS") == Counted(live=2, queued=1)
    assert book.counted(owner="bot") == Counted(live=2, queued=1)
    assert book.counted(owner="nobody") == Counted()
