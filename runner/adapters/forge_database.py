"""Transactions of the local forge's memory, and the lock by which one repository is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runner.adapters.forge_tables import ForgeTables
from runner.adapters.sql_turns import reading, writing
from runner.errors import UnknownRepo

_CURE: Final = "The local forge's records cannot be used; check their database."


@dataclass(frozen=True, kw_only=True)
class ForgeDatabase:
    """The database that holds the forge's tables."""

    engine: Engine
    tables: ForgeTables

    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction, rolled back when it is left by an exception. Raises RecordsFault."""
        return writing(self.engine, _CURE)

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that changes nothing. Raises RecordsFault."""
        return reading(self.engine, _CURE)

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
