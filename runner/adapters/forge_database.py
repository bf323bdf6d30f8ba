"""Transactions of the local forge's memory, and the lock by which one repository is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from runner.adapters.forge_tables import ForgeTables
from runner.adapters.sql_faults import records_fault
from runner.errors import UnknownRepo


@dataclass(frozen=True, kw_only=True)
class ForgeDatabase:
    """The database that holds the forge's tables."""

    engine: Engine
    tables: ForgeTables

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction, rolled back when it is left by an exception. Raises RecordsFault."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as exc:
            raise records_fault(exc, "The local forge's records cannot be used; check their database.") from exc

    @contextmanager
    def writing(self, repo: str) -> Iterator[Connection]:
        """A transaction that no other writer of the repository overlaps. Raises UnknownRepo too."""
        # Begins as a writer: a transaction that reads first could not wait for another writer on SQLite.
        c = self.tables.repos.c
        touch = self.tables.repos.update().where(c.repo == repo).values(next_number=c.next_number)
        with self.transaction() as connection:
            if connection.execute(touch).rowcount == 0:
                raise UnknownRepo(f"The local forge has no repository {repo}; add it with `forge add`.")
            yield connection

    def next_number(self, connection: Connection, repo: str) -> int:
        """The repository's next number, taken; inside `writing`."""
        repos = self.tables.repos
        number = int(connection.execute(sa.select(repos.c.next_number).where(repos.c.repo == repo)).scalar_one())
        connection.execute(repos.update().where(repos.c.repo == repo).values(next_number=number + 1))
        return number
