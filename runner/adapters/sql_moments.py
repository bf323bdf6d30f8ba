"""`runner.timeline.MomentBook` in the records' database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Engine, RowMapping

from runner.adapters.sql_schema import moments
from runner.adapters.sql_turns import SqlBook
from runner.moments import Moment
from runner.timeline import Kept


class SqlMoments(SqlBook):
    """The moments of one host in a SQL database that `migrate` has brought up to date."""

    def __init__(self, engine: Engine, host: str) -> None:
        """Use the pool; opens nothing yet."""
        super().__init__(engine)
        self._host = host

    def keep(self, kept: Kept) -> None:
        """See `MomentBook.keep`."""
        begun = kept.begun
        clocks = {"utc": begun.utc, "boot": begun.boot, "awake": begun.awake, "up": begun.up}
        with self._writing() as db:
            db.execute(moments.delete().where(*self._which(kept.name)))
            row = {"host": self._host, "name": kept.name, "seconds": kept.seconds} | clocks
            db.execute(moments.insert().values(**row))

    def all(self, prefix: str) -> list[Kept]:
        """See `MomentBook.all`."""
        named = sa.func.substr(moments.c.name, 1, len(prefix)) == prefix
        query = sa.select(moments).where(moments.c.host == self._host, named).order_by(moments.c.name)
        with self._reading() as db:
            return [_kept(row) for row in db.execute(query).mappings()]

    def forget(self, name: str) -> None:
        """See `MomentBook.forget`."""
        with self._writing() as db:
            db.execute(moments.delete().where(*self._which(name)))

    def _which(self, name: str) -> tuple[sa.ColumnElement[bool], ...]:
        return (moments.c.host == self._host, moments.c.name == name)


def _kept(row: RowMapping) -> Kept:
    begun = Moment(utc=row["utc"], boot=row["boot"], awake=row["awake"], up=row["up"])
    return Kept(name=row["name"], seconds=row["seconds"], begun=begun)
