"""One daemon at a time for each host of a records database: another state directory does not keep them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from runner.errors import NotPossible, RecordsFault

_SPACE: Final = 0x41736869
"""Ours among the server's advisory locks."""


@contextmanager
def only_host(engine: Engine, host_id: str) -> Iterator[None]:
    """Nobody else is that host in these records meanwhile. Raises NotPossible where another daemon is, RecordsFault.

    PostgreSQL holds the lock for as long as this process is connected to it; a SQLite file has the lock of the state
    directory that it is in, so nothing is done there.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    try:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except SQLAlchemyError as exc:
        raise RecordsFault("The records database cannot be opened; check its URL, its disk and its rights.") from exc
    with connection:
        key = int.from_bytes(hashlib.sha256(host_id.encode("utf-8")).digest()[:4], "big", signed=True)
        try:
            taken = connection.execute(sa.select(sa.func.pg_try_advisory_lock(_SPACE, key))).scalar_one()
        except SQLAlchemyError as exc:
            raise RecordsFault("The records database gives no lock; check that it is PostgreSQL itself.") from exc
        if not taken:
            raise NotPossible(
                f"Another daemon works as host {host_id} on these records; stop it, or give this one another "
                "ASHIGARU_HOST_ID."
            )
        try:
            yield
        finally:
            # The pool would keep the connection, and with it the lock.
            connection.invalidate()
