"""One daemon at a time for each host of a records database: another state directory does not keep them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from runner.adapters.file_lock import held
from runner.errors import CheckoutFault, NotPossible, RecordsFault

_SPACE: Final = 0x41736869
"""Ours among the server's advisory locks."""


@contextmanager
def only_host(engine: Engine, host_id: str) -> Iterator[None]:
    """Nobody else is that host in these records meanwhile. Raises NotPossible where another daemon is, RecordsFault.

    The lock ends with this process: PostgreSQL holds it for as long as we are connected, beside a SQLite file it is one
    of the kernel's.
    """
    with ExitStack() as stack:
        try:
            server = engine.dialect.name == "postgresql"
            taken = _on_server(stack, engine, host_id) if server else _beside(stack, engine)
        except (SQLAlchemyError, OSError) as exc:
            raise RecordsFault("The records database gives no lock; check its URL, its disk and its rights.") from exc
        if not taken:
            raise NotPossible(
                f"Another daemon works as host {host_id} on these records; stop it, or give this one another "
                "ASHIGARU_HOST_ID or ASHIGARU_DATABASE_URL."
            )
        yield


def _on_server(stack: ExitStack, engine: Engine, host_id: str) -> bool:
    connection: Connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    stack.callback(connection.close)
    # The pool would keep the connection, and with it the lock.
    stack.callback(connection.invalidate)
    key = int.from_bytes(hashlib.sha256(host_id.encode("utf-8")).digest()[:4], "big", signed=True)
    return bool(connection.execute(sa.select(sa.func.pg_try_advisory_lock(_SPACE, key))).scalar_one())


def _beside(stack: ExitStack, engine: Engine) -> bool:
    """A file of SQLite has one daemon, whatever its host is called."""
    if not engine.url.database:
        return True
    file = Path(engine.url.database)
    try:
        stack.enter_context(held(file.with_name(f"{file.name}.lock"), timeout_s=0.0))
    except CheckoutFault:
        return False
    return True
