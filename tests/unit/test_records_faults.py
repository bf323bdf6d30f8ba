"""What a database cannot do, told as what it is: full, held, read-only, away; or a fault of ours."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from runner.adapters.sql_engine import probe
from runner.adapters.sql_faults import records_fault, report, trouble
from runner.adapters.sql_moments import SqlMoments
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_schema import day_bills, runs
from runner.adapters.sql_slots import SqlSlots
from runner.errors import RecordsDown, RecordsFault
from runner.moments import Moment
from runner.timeline import Kept
from tests.unit.test_promotion import RUN

FULL = "The records cannot be written: the disk is full; free some space."


def full(engine: Engine) -> None:
    """The database may not grow any more: SQLite's own way to say that the disk is full."""

    @sa.event.listens_for(engine, "begin", insert=True)
    def _no_more(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count=1")


def grow(engine: Engine) -> None:
    """Write more than there is room for in the pages that are there."""
    rows = [{"day": day, "repo": "x" * 4000, "micro_usd": 1} for day in range(50)]
    with engine.begin() as db:
        db.execute(day_bills.insert(), rows)


def test_a_full_disk_is_a_fault_that_passes_and_names_its_cure(engine: Engine) -> None:
    full(engine)
    with pytest.raises(OperationalError) as caught:
        grow(engine)
    fault = records_fault(caught.value, "otherwise")
    assert isinstance(fault, RecordsDown)
    assert str(fault).startswith(FULL)


def test_whoever_wants_to_know_is_told_of_a_full_disk_and_of_no_fault_of_ours(engine: Engine) -> None:
    told: list[str] = []
    report(engine, "The records", told.append)
    with pytest.raises(DBAPIError), engine.begin() as db:
        db.execute(sa.text("select nothing from nowhere"))
    assert told == []
    full(engine)
    with pytest.raises(DBAPIError):
        grow(engine)
    assert [one.startswith(FULL) for one in told] == [True]


def test_a_database_that_another_program_holds_and_one_that_may_only_be_read_pass_too(tmp_path: Path) -> None:
    path = tmp_path / "held.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("create table t (x)")
    holder.execute("begin exclusive")
    impatient = sqlite3.connect(path, timeout=0)
    with pytest.raises(sqlite3.OperationalError) as held:
        impatient.execute("select * from t")
    holder.execute("rollback")
    impatient.execute("pragma query_only=1")
    with pytest.raises(sqlite3.OperationalError) as readonly:
        impatient.execute("insert into t values (1)")
    for connection in (holder, impatient):
        connection.close()
    assert "another program holds its file" in (trouble("The records", held.value) or "")
    assert "may only be read" in (trouble("The records", readonly.value) or "")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("53100", "out of disk"),
        ("08006", "cannot be reached"),
        ("57P01", "stopping or starting"),
        ("58030", "disk fails"),
    ],
)
def test_a_postgres_that_is_full_or_away_passes_and_one_that_refuses_does_not(state: str, words: str) -> None:
    class Psycopg(Exception):
        sqlstate: str | None = state

    assert words in (trouble("The records", OperationalError("insert", {}, Psycopg())) or "")
    Psycopg.sqlstate = "23505"
    assert trouble("The records", OperationalError("insert", {}, Psycopg())) is None
    Psycopg.sqlstate = None
    assert "cannot be reached" in (trouble("The records", OperationalError("connect", {}, Psycopg())) or "")


def test_a_row_that_breaks_the_schema_is_no_disk_that_is_full(engine: Engine) -> None:
    with pytest.raises(RecordsFault) as caught:
        SqlRecords(engine).release({"no": "text"})  # type: ignore[arg-type]
    assert not isinstance(caught.value, RecordsDown)


def test_trying_whether_records_can_be_written_leaves_nothing_and_says_when_they_cannot(engine: Engine) -> None:
    probe(engine)
    with engine.begin() as db:
        assert db.execute(sa.select(sa.func.count()).select_from(day_bills)).scalar() == 0
    engine.dispose()

    @sa.event.listens_for(engine, "begin")
    def _read_only(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA query_only=1")

    with pytest.raises(RecordsDown, match="may only be read"):
        probe(engine)


def test_no_room_for_waits_and_slots_is_a_fault_that_passes(engine: Engine) -> None:
    moments, slots = SqlMoments(engine, "here"), SqlSlots(engine, host="here")
    begun = Moment(utc=1.0, boot="b", awake=1.0, up=1.0)
    with engine.begin() as db:
        db.execute(runs.insert(), [dataclasses.asdict(RUN) | {"run_id": f"run-{number}"} for number in range(1000)])
    full(engine)

    def wait(number: int) -> None:
        moments.keep(Kept(name=f"wait/{number}", seconds=1.0, begun=begun))

    def hold(number: int) -> None:
        slots.hold(f"run-{number}", 1, number, 1.0)

    for deed in (wait, hold):
        with pytest.raises(RecordsDown, match="the disk is full"):
            many(deed)


def many(deed: Callable[[int], None]) -> None:
    for number in range(1000):
        deed(number)
