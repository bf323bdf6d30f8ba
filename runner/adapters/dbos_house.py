"""Ended rounds in the durable engine's tables. It keeps every one for ever, so the house puts them away.

With a client of the engine's own, which runs no round: it may be used beside a daemon at work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbos import DBOSClient
from sqlalchemy.engine import make_url

from runner.adapters.dbos_calls import translated
from runner.adapters.dbos_json import JsonOnly
from runner.retention import Kind, Thing

_MOST: Final = 5000
_ENDED: Final = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
"""What no engine ever takes up again; the states of what waits or is at work are not among them."""


@dataclass(frozen=True, kw_only=True)
class EndedRounds:
    """In the database at `url`, as `DbosRounds` has it."""

    url: str
    kind: Kind = Kind.ROUNDS

    def things(self) -> Iterator[Thing]:
        """See `Stock.things`; the 5000 that were begun longest ago."""
        with self._client() as client:
            found = (
                []
                if client is None
                else client.list_workflows(status=_ENDED, limit=_MOST, load_input=False, load_output=False)
            )
        for one in found:
            ended_ms = max(one.completed_at or 0, one.updated_at or 0, one.created_at or 0)
            # Its name is what it is, the run, and the round's number.
            run_id = one.workflow_id.partition(":")[2].rpartition(":")[0]
            yield Thing(kind=self.kind, name=one.workflow_id, used_at=ended_ms / 1000, runs=frozenset({run_id}))

    def put_away(self, thing: Thing) -> bool:
        """See `Stock.put_away`."""
        with self._client() as client:
            if client is None:
                return True
            if not client.list_workflows(
                workflow_ids=[thing.name], status=_ENDED, limit=1, load_input=False, load_output=False
            ):
                return False
            client.delete_workflow(thing.name)
            return True

    @contextmanager
    def _client(self) -> Iterator[DBOSClient | None]:
        """None where no round was ever begun. Raises RecordsFault."""
        parsed = make_url(self.url)
        if parsed.get_backend_name() == "sqlite" and not (parsed.database and Path(parsed.database).exists()):
            yield None
            return
        with translated():
            client = DBOSClient(system_database_url=self.url, serializer=JsonOnly(), retry_connection_errors=False)
            try:
                yield client
            finally:
                client.destroy()
