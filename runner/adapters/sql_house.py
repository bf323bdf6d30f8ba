"""What the records keep of runs that ended long ago, and what of it is kept no longer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from runner.adapters.sql_following import SqlFollowing
from runner.adapters.sql_schema import attempts, checks, events, remarks, rounds, runs
from runner.model import LIVE_PHASES
from runner.retention import Kind, Thing

_AT_ONCE: Final = 500
_ENDED: Final = runs.c.phase.not_in(sorted(LIVE_PHASES))


class SqlHistory(SqlFollowing):
    """Events, remarks, checks and earlier rounds of ended runs."""

    kind = Kind.HISTORY

    def things(self) -> Iterator[Thing]:
        """See `Stock.things`; the 500 runs that ended longest ago."""
        has_events = sa.exists().where(events.c.run_id == runs.c.run_id)
        query = sa.select(runs.c.run_id, runs.c.updated_at).where(_ENDED, has_events)
        with self._reading() as db:
            found = db.execute(query.order_by(runs.c.updated_at, runs.c.run_id).limit(_AT_ONCE)).all()
        for run_id, updated_at in found:
            yield Thing(kind=self.kind, name=run_id, used_at=updated_at, runs=frozenset({run_id}))

    def put_away(self, thing: Thing) -> bool:
        """See `Stock.put_away`. The last round stays: it is what a retry or a request for changes goes on from."""
        with self._writing() as db:
            last = db.execute(sa.select(runs.c.round).where(runs.c.run_id == thing.name, _ENDED)).scalar()
            if last is None:
                return False
            for table in (events, remarks, checks):
                db.execute(table.delete().where(table.c.run_id == thing.name))
            db.execute(rounds.delete().where(rounds.c.run_id == thing.name, rounds.c.number < last))
            db.execute(attempts.update().where(attempts.c.run_id == thing.name).values(transcript=sa.null()))
        return True
