"""How the durable engine is called: as if from outside any workflow, and with its faults as ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, Final, TypeVar

from dbos import DBOS, error
from sqlalchemy.exc import SQLAlchemyError

from runner.adapters.sql_faults import trouble
from runner.errors import RecordsDown, RecordsFault

DATABASE: Final = "The round engine's database"
# A round is recovered at every restart of the daemon while it is in flight: that is no sign of a fault.
_MAX_RECOVERIES: Final = 10_000

Answer = TypeVar("Answer")


def outside(deed: Callable[[], Answer]) -> Answer:
    """Do it as if from outside any workflow: the engine would number it as a step of the round it is called from."""
    with translated():
        return Context().run(deed)


@contextmanager
def translated() -> Iterator[None]:
    """The engine's faults as RecordsFault."""
    try:
        yield
    except (error.DBOSException, SQLAlchemyError, sqlite3.Error) as exc:
        why = trouble(DATABASE, exc)
        if why is not None:
            raise RecordsDown(why) from exc
        raise RecordsFault(f"{DATABASE} cannot be used; see the log and `doctor`.") from exc


def workflow(name: str, body: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """The body as a workflow of the engine's."""

    def registered(data: dict[str, Any]) -> None:
        # DBOS writes attributes on what it registers, which a bound method does not take.
        body(data)

    return DBOS.workflow(name=name, max_recovery_attempts=_MAX_RECOVERIES)(registered)
