"""The connection pool of the records, and the way to this version's tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

import runner
from runner.adapters.sql_faults import records_fault
from runner.adapters.sql_schema import day_bills
from runner.adapters.sql_turns import READING, TURNS, Turns, writing
from runner.errors import NotPossible

_CANNOT_OPEN: Final = "The records database cannot be opened; check its URL, its disk and its rights."
_UPGRADING: Final = 0x41736869_0001
# What is opened beyond the first is closed after each use, which costs more than most of what it is used for.
# The one that was used last is used next, so that few become warm.
_POOL: Final = {"pool_size": 16, "max_overflow": 64, "pool_use_lifo": True}
# Of each connection: the system has the file in memory anyway, once for all of them.
_CACHE_KIB: Final = 256
_CACHE_PAGES: Final = 64  # of 4 KiB
# Kept ready by each connection, at some 3.5 KiB; sqlite3's own 128 come to twice what the pages take.
_STATEMENTS: Final = 48


def open_engine(url: str) -> Engine:
    """A connection pool for the records. A new SQLite file is in WAL mode from its first page."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, pool_pre_ping=True)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        parsed,
        connect_args={"timeout": 30, "check_same_thread": False, "cached_statements": _STATEMENTS},
        execution_options={TURNS: Turns()},
        # One without a file has one connection.
        **(_POOL if parsed.database else {}),
    )

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _write_at_once(connection: Connection) -> None:
        # A transaction that reads first and writes later cannot wait for another;
        # one that starts as a writer can.
        reads = connection.get_execution_options().get(READING, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def ready(engine: Engine) -> None:
    """Have this version's schema there, without changing one that holds something: for commands beside a daemon.

    Raises RecordsFault, NotPossible where an older version has written the records, or a newer one.
    """
    scripts = ScriptDirectory.from_config(_configured())
    try:
        with engine.connect() as connection:
            there = set(MigrationContext.configure(connection).get_current_heads())
    except SQLAlchemyError as exc:
        raise records_fault(exc, _CANNOT_OPEN, starting=True) from exc
    if there and there != set(scripts.get_heads()) and there <= {one.revision for one in scripts.walk_revisions()}:
        raise NotPossible(
            "The records were written by an older version of mcp-ashigaru; do this with that version, "
            "or start this one first, which brings them up to date for good."
        )
    migrate(engine)


def migrate(engine: Engine) -> None:
    """Bring the records' tables to this version's schema, all of it or nothing.

    Raises RecordsFault, NotPossible where a newer version has been there: what it wrote may not mean what we think.
    """
    config = _configured()
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                # A daemon and a command may start at once; SQLite has one writer anyway.
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADING)))
            config.attributes["connection"] = connection
            known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
            there = MigrationContext.configure(connection).get_current_heads()
            if not known.issuperset(there):
                raise NotPossible(
                    f"The records were written by a newer version of mcp-ashigaru (schema {', '.join(there)}); "
                    "start that one, or restore a backup from before its first start."
                )
            command.upgrade(config, "head")
            connection.commit()
    except SQLAlchemyError as exc:
        raise records_fault(exc, _CANNOT_OPEN, starting=True) from exc


def _configured() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(runner.__file__).parent / "migrations"))
    return config


def probe(engine: Engine) -> None:
    """Write something to the records and take it back: nothing, where they can be written. Raises RecordsFault."""
    never = {"day": -1, "repo": "", "micro_usd": 0}
    with writing(engine, "The records cannot be written; check their disk and their rights.") as db:
        db.execute(day_bills.insert().values(**never))
        db.execute(day_bills.delete().where(day_bills.c.day == -1))


def write_ahead(url: str) -> None:
    """Make a new SQLite file in WAL mode, with small caches, which it keeps, for a library that asks for neither."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(parsed.database)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            if connection.execute("PRAGMA cache_size").fetchone() != (_CACHE_PAGES,):
                # Deprecated (sqlite.org/pragma.html), and the only one that stays; where it is gone, it does nothing.
                connection.execute(f"PRAGMA default_cache_size={_CACHE_PAGES}")
        finally:
            connection.close()
