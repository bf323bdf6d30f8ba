"""The database that the records are in: its schema, and how a file of SQLite's is opened and read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Engine

from runner.adapters.sql_engine import migrate, open_engine, write_ahead
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_schema import metadata
from runner.agent_events import EventKind
from runner.errors import RecordsFault
from tests.contract.test_records import run


def test_what_the_migrations_make_is_what_the_schema_says(engine: Engine) -> None:
    def same_default(_context: object, _there: object, wanted: sa.Column[object], *told: str | None) -> bool | None:
        # PostgreSQL has no "=" for JSON, by which defaults are compared otherwise.
        return (
            told[0] != f"'{told[2]}'::json" if isinstance(wanted.type, sa.JSON) and "::json" in str(told[0]) else None
        )

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": same_default}
        )
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing_and_keeps_everything(engine: Engine) -> None:
    records = SqlRecords(engine)
    records.claim(run())
    migrate(engine)
    assert records.run("widgets-1-aaaaaa") == run()


def test_sqlite_writes_ahead_from_its_first_page(tmp_path: Path) -> None:
    file = tmp_path / "new" / "ashigaru.db"
    engine = open_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        connection.commit()
    engine.dispose()
    with sqlite3.connect(file) as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    plain.close()


def test_a_database_that_is_not_there_is_a_fault_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "ashigaru.db").mkdir()
    engine = open_engine(f"sqlite:///{tmp_path}/ashigaru.db")
    with pytest.raises(RecordsFault, match="check its URL"):
        migrate(engine)
    with pytest.raises(RecordsFault, match="its disk, its rights"):
        SqlRecords(engine).runs()
    engine.dispose()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Engine]:
    """A database in a file, migrated."""
    engine = open_engine(f"sqlite:///{tmp_path}/ashigaru.db")
    migrate(engine)
    yield engine
    engine.dispose()


def test_each_connection_of_the_records_has_a_small_page_cache(plain: Engine) -> None:
    with closing(plain.raw_connection()) as one, closing(plain.raw_connection()) as other:
        caches = [each.cursor().execute("PRAGMA cache_size").fetchone() for each in (one, other)]
    assert caches == [(-256,), (-256,)]


def test_the_connection_that_was_used_last_is_used_next_so_that_few_become_warm(plain: Engine) -> None:
    first, second = plain.raw_connection(), plain.raw_connection()
    last = second.driver_connection
    first.close()
    second.close()
    with closing(plain.raw_connection()) as following:
        assert following.driver_connection is last


def test_a_file_made_for_a_library_keeps_small_page_caches_for_whoever_opens_it(tmp_path: Path) -> None:
    file = tmp_path / "made" / "engine.db"
    for _ in range(2):
        write_ahead(f"sqlite:///{file}")
        with closing(sqlite3.connect(file)) as library:
            assert library.execute("PRAGMA cache_size").fetchone() == (64,)
            assert library.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    "wanted",
    [{}, {"after": 3}, {"kinds": (EventKind.TOOL,)}, {"attempt": 1}],
    ids=lambda wanted: next(iter(wanted), "last"),
)
def test_the_last_of_a_runs_thousands_of_events_are_found_by_an_index(plain: Engine, wanted: dict[str, Any]) -> None:
    asked: list[tuple[str, Any]] = []

    @sa.event.listens_for(plain, "before_cursor_execute")
    def _asked(*told: Any) -> None:
        asked.append((told[2], told[3]))

    SqlRecords(plain).events("widgets-1-aaaaaa", **wanted)
    query = next(one for one in asked if "FROM events" in one[0])
    with plain.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query[0]}", query[1])]
    assert len(plan) == 1
    assert plan[0].startswith("SEARCH events USING INDEX events_by_run (run_id=?")
