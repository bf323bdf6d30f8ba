"""Transactions of the records: those that write take turns, those that only read never wait for them.

SQLite has one writer at a time and no line before it: who waits looks again and again, less and less often, so that
among a hundred one can be passed over for half a minute. Within this process, the line is here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Final

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as WaitedTooLong

from runner.adapters.sql_faults import records_fault

TURNS: Final = "ashigaru_turns"
"""The engine's execution option that holds its `Turns`; one without has many writers, and needs none."""
READING: Final = "ashigaru_reading"
"""The connection's execution option by which the begin of a transaction knows that it will only read."""

_CURE: Final = "The records database did not take part; check its disk and its rights."
_PATIENCE_S: Final = 30.0
_look: ContextVar[tuple[Engine, Connection] | None] = ContextVar("look", default=None)
"""The transaction in which this thread reads for now, where it does so in one."""


class Turns:
    """A lock that is had in the order in which it was asked for."""

    def __init__(self) -> None:
        """Free."""
        self._guard = threading.Lock()
        self._taken = False
        self._line: deque[threading.Lock] = deque()

    @contextmanager
    def turn(self, patience_s: float = _PATIENCE_S) -> Iterator[None]:
        """Have it until the block is left. Raises sqlalchemy.exc.TimeoutError after `patience_s` seconds of waiting."""
        called = threading.Lock()
        with self._guard:
            waits, self._taken = self._taken, True
            if waits:
                called.acquire()
                self._line.append(called)
        if waits and not called.acquire(timeout=patience_s):
            with self._guard:
                given_up = called in self._line
                if given_up:
                    self._line.remove(called)
            if given_up:
                raise WaitedTooLong
        try:
            yield
        finally:
            with self._guard:
                if self._line:
                    self._line.popleft().release()
                else:
                    self._taken = False


@contextmanager
def writing(engine: Engine, otherwise: str = _CURE) -> Iterator[Connection]:
    """A transaction that no other writer of the engine overlaps on SQLite; an exception that leaves it rolls it back.

    Not to be begun inside another of the same thread. Raises RecordsDown, RecordsFault, which says `otherwise`.
    """
    turns: Turns | None = engine.get_execution_options().get(TURNS)
    turn = turns.turn() if turns is not None else nullcontext()
    with _translated(otherwise), turn, engine.begin() as connection:
        yield connection


class SqlBook:
    """A book in a SQL database that `migrate` has brought up to date."""

    def __init__(self, engine: Engine) -> None:
        """Use the pool; opens nothing yet."""
        self._engine = engine

    def _writing(self) -> AbstractContextManager[Connection]:
        return writing(self._engine)

    def _reading(self) -> AbstractContextManager[Connection]:
        return reading(self._engine)


@contextmanager
def one_look(engine: Engine) -> Iterator[None]:
    """All that this thread reads inside is of one moment. Raises RecordsDown, RecordsFault."""
    # A transaction of SQLite's sees one state of the database in any case.
    level = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with _begun(engine, _CURE, level) as connection:
        before = _look.set((engine, connection))
        try:
            yield
        finally:
            _look.reset(before)


@contextmanager
def reading(engine: Engine, otherwise: str = _CURE) -> Iterator[Connection]:
    """A transaction that changes nothing, the one of `one_look` inside of it. Raises RecordsDown, RecordsFault."""
    look = _look.get()
    if look is not None and look[0] is engine:
        with _translated(otherwise):
            yield look[1]
        return
    with _begun(engine, otherwise, {}) as connection:
        yield connection


@contextmanager
def _begun(engine: Engine, otherwise: str, options: Mapping[str, str]) -> Iterator[Connection]:
    with _translated(otherwise), engine.connect() as connection:
        connection.execution_options(**{READING: True}, **options, postgresql_readonly=True)
        with connection.begin():
            yield connection


@contextmanager
def _translated(otherwise: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as exc:
        raise records_fault(exc, otherwise) from exc
