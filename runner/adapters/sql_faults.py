"""What a database says no with, as the runner's faults: which of them will pass, and what a person can do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from runner.errors import RecordsDown, RecordsFault

_CURES: Final = MappingProxyType(
    {
        sqlite3.SQLITE_FULL: "the disk is full; free some space",
        sqlite3.SQLITE_IOERR: "the disk fails or lets nothing be written; look at the host's log",
        sqlite3.SQLITE_READONLY: "its file may only be read; make it writable, or mount its file system so",
        sqlite3.SQLITE_CANTOPEN: "its file cannot be opened; check its URL, its disk, its rights and LimitNOFILE",
        sqlite3.SQLITE_BUSY: "another program holds its file; see who does",
        sqlite3.SQLITE_LOCKED: "another program holds its file; see who does",
        sqlite3.SQLITE_NOMEM: "the host has no memory left; free some",
    }
)
"""Of SQLite's primary result codes those that say something of the host, and what is to be done."""
_WRONG_FILE: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
_DEEPEST: Final = 4
_CLASS_OF: Final = slice(0, 2)
_POSTGRES: Final = MappingProxyType(
    {
        "08": "its server cannot be reached; see that it runs",
        "53": "its server is out of disk, memory or connections; give it some",
        "57": "its server is stopping or starting; see that it runs",
        "58": "its server's disk fails; look at the server's log",
    }
)
"""The same for the classes of PostgreSQL's error codes (its appendix A)."""


def trouble(what: str, exc: BaseException) -> str | None:
    """Why `what` ("The records") cannot be written for now, as one sentence with its cure; None: it is no such trouble.

    exc: of SQLAlchemy, or of sqlite3 itself.
    """
    # A disk that is full takes a savepoint with it, so that what comes of that is what is raised in the end.
    chain = [exc]
    while chain[-1].__context__ is not None and len(chain) < _DEEPEST:
        chain.append(chain[-1].__context__)
    cure = next((found for found in map(_cure, chain) if found is not None), None)
    return None if cure is None else f"{what} cannot be written: {cure}. It goes on by itself after that."


def records_fault(exc: SQLAlchemyError, otherwise: str, *, starting: bool = False) -> RecordsFault:
    """The fault of ours that the library's means; one that will not pass says `otherwise`.

    starting: before anything was written, a file that cannot be opened or written is most likely the wrong one.
    """
    passing = trouble("The records", exc)
    if starting and isinstance(exc, DBAPIError) and _code(exc.orig) in _WRONG_FILE:
        passing = None
    return RecordsFault(otherwise) if passing is None else RecordsDown(passing)


def report(engine: Engine, what: str, tell: Callable[[str], None]) -> None:
    """Have `tell` told, from now on, of every trouble that whoever uses the engine meets."""

    @sa.event.listens_for(engine, "handle_error")
    def _tell(context: ExceptionContext) -> None:
        told = trouble(what, context.sqlalchemy_exception or context.original_exception)
        if told is not None:
            tell(told)


def _cure(exc: BaseException) -> str | None:
    match exc:
        case PoolTimeout():
            return "all of its connections are taken; see what holds them"
        case DBAPIError() if exc.orig is not None:
            return _cure(exc.orig) or (_POSTGRES["08"] if _cut(exc) else None)
        case sqlite3.Error():
            return _CURES.get(_code(exc))
        case _:
            state = getattr(exc, "sqlstate", None)
            return _POSTGRES.get(state[_CLASS_OF]) if isinstance(state, str) else None


def _code(exc: BaseException | None) -> int:
    """SQLite's primary result code: the low byte of an extended one (sqlite.org/rescode.html); 0 for another's."""
    return int(getattr(exc, "sqlite_errorcode", 0)) & 0xFF


def _cut(exc: DBAPIError) -> bool:
    """Whether it is about the way to a server: psycopg has no code for that."""
    unnamed = isinstance(exc, OperationalError) and not isinstance(exc.orig, sqlite3.Error)
    return exc.connection_invalidated or (unnamed and getattr(exc.orig, "sqlstate", None) is None)
