"""`runner.timeline.MomentBook` in the records' database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, RowMapping
from sqlalchemy.exc import SQLAlchemyError

from runner.adapters.sql_faults import records_fault
from runner.adapters.sql_schema import moments
from runner.moments import Moment
from runner.timeline import Kept


class SqlMoments:
    """The moments of one host in a SQL database that `migrate` has brought up to date."""

    def __init__(self, engine: Engine, host: str) -> None:
        """Use the pool; opens nothing yet."""
        self._engine = engine
        self._host = host

    def keep(self, kept: Kept) -> None:
        """See `MomentBook.keep`."""
        begun = kept.begun
        clocks = {"utc": begun.utc, "boot": begun.boot, "awake": begun.awake, "up": begun.up}
        with self._transaction() as db:
            db.execute(moments.delete().where(*self._which(kept.name)))
            row = {"host": self._host, "name": kept.name, "seconds": kept.seconds} | clocks
            db.execute(moments.insert().values(**row))

    def all(self, prefix: str) -> list[Kept]:
        """See `MomentBook.all`."""
        named = sa.func.substr(moments.c.name, 1, len(prefix)) == prefix
        query = sa.select(moments).where(moments.c.host == self._host, named).order_by(moments.c.name)
        with self._transaction() as db:
            return [_kept(row) for row in db.execute(query).mappings()]

    def forget(self, name: str) -> None:
        """See `MomentBook.forget`."""
        with self._transaction() as db:
            db.execute(moments.delete().where(*self._which(name)))

    def _which(self, name: str) -> tuple[sa.ColumnElement[bool], ...]:
        return (moments.c.host == self._host, moments.c.name == name)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as exc:
            cure = "The records database did not take part; check its disk and its rights."
            raise records_fault(exc, cure) from exc


def _kept(row: RowMapping) -> Kept:
    begun = Moment(utc=row["utc"], boot=row["boot"], awake=row["awake"], up=row["up"])
    return Kept(name=row["name"], seconds=row["seconds"], begun=begun)
