"""How the durable engine is called: as if from outside any workflow, and with its faults as ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Final, TypeVar

from dbos import error
from sqlalchemy.exc import SQLAlchemyError

from runner.adapters.sql_faults import trouble
from runner.errors import RecordsDown, RecordsFault

DATABASE: Final = "The round engine's database"
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
