"""`runner.slots.SlotBook` on SQLAlchemy Core, in the records' database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from runner.adapters.sql_schema import rounds, runs, slots, turns
from runner.adapters.sql_statements import HELD, HELD_BY
from runner.adapters.sql_turns import SqlBook
from runner.estimate import Lengths
from runner.fair_queue import Held, Priority, Queued
from runner.model import LIVE_PHASES, WORKING_PHASES, Phase
from runner.slots import Counted

_OF_A_REPO: Final = 20
_OF_ALL: Final = 50
_KEPT: Final = 2000
_SINCE: Final = sa.func.coalesce(runs.c.queued_at, runs.c.updated_at)
_REPO: Final = sa.func.lower(runs.c.repo)


class SqlSlots(SqlBook):
    """The book of one host's slots; the line is shared by all hosts of the database."""

    def __init__(self, engine: Engine, *, host: str) -> None:
        """Use the pool; opens nothing yet."""
        super().__init__(engine)
        self._host = host

    def ready(self, run_id: str, number: int, at: float) -> bool:
        """See `SlotBook.ready`."""
        at_it = (runs.c.run_id == run_id, runs.c.round == number)
        waits = runs.c.phase == Phase.QUEUED
        with self._writing() as db:
            brought = db.execute(
                runs.update()
                .where(*at_it, runs.c.phase.in_(sorted(WORKING_PHASES)), sa.not_(waits))
                .values(
                    phase=Phase.QUEUED,
                    queued_at=at,
                    retry_at=None,
                    reason=None,
                    updated_at=at,
                    cursor=runs.c.cursor + 1,
                )
            )
            return brought.rowcount > 0 or db.execute(sa.select(runs.c.run_id).where(*at_it, waits)).first() is not None

    def queued(self, limit: int) -> list[Queued]:
        """See `SlotBook.queued`."""
        query = (
            sa.select(runs.c.run_id, runs.c.round, _REPO, runs.c.priority, _SINCE, runs.c.attempt)
            .join(rounds, sa.and_(rounds.c.run_id == runs.c.run_id, rounds.c.number == runs.c.round))
            .outerjoin(slots, slots.c.run_id == runs.c.run_id)
            .where(runs.c.phase == Phase.QUEUED, slots.c.run_id.is_(None))
            .order_by(_SINCE, runs.c.run_id)
            .limit(limit)
        )
        with self._reading() as db:
            found = db.execute(query).all()
        return [
            Queued(
                run_id=run_id,
                number=number,
                repo=repo,
                priority=Priority(priority),
                since=since,
                begun=number > 1 or attempt > 0,
            )
            for run_id, number, repo, priority, since, attempt in found
        ]

    def take(self, wanted: Queued, slot: int, at: float) -> bool:
        """See `SlotBook.take`."""
        waiting = sa.select(runs.c.run_id).where(
            runs.c.run_id == wanted.run_id, runs.c.round == wanted.number, runs.c.phase == Phase.QUEUED
        )
        with self._writing() as db:
            return db.execute(waiting).first() is not None and self._given(db, wanted.run_id, wanted.number, slot, at)

    def hold(self, run_id: str, number: int, slot: int, at: float) -> bool:
        """See `SlotBook.hold`."""
        with self._writing() as db:
            return self._given(db, run_id, number, slot, at)

    def _given(self, db: Connection, run_id: str, number: int, slot: int, at: float) -> bool:
        try:
            with db.begin_nested():
                db.execute(slots.insert().values(host=self._host, slot=slot, run_id=run_id, number=number, since=at))
        except IntegrityError:
            return False
        return True

    def unsaved(self, limit: int) -> list[str]:
        """See `SlotBook.unsaved`."""
        query = (
            sa.select(runs.c.run_id)
            .outerjoin(rounds, sa.and_(rounds.c.run_id == runs.c.run_id, rounds.c.number == runs.c.round))
            .where(runs.c.phase.in_(sorted(WORKING_PHASES)), rounds.c.run_id.is_(None))
            .limit(limit)
        )
        with self._reading() as db:
            return list(db.execute(query).scalars())

    def held(self, run_ids: Sequence[str] | None = None) -> list[Held]:
        """See `SlotBook.held`."""
        query, wanted = (HELD, {}) if run_ids is None else (HELD_BY, {"ids": list(run_ids)})
        with self._reading() as db:
            return [
                Held(slot=slot, run_id=run_id, number=number, repo=repo, since=since)
                for slot, run_id, number, repo, since in db.execute(query, {"host": self._host} | wanted)
            ]

    def leave(self, run_id: str, number: int, at: float) -> bool:
        """See `SlotBook.leave`."""
        its = (slots.c.host == self._host, slots.c.run_id == run_id, slots.c.number == number)
        with self._writing() as db:
            since = db.execute(sa.select(slots.c.since).where(*its)).scalar()
            if since is None:
                return False
            db.execute(slots.delete().where(*its))
            repo = db.execute(sa.select(_REPO).where(runs.c.run_id == run_id)).scalar_one()
            db.execute(turns.delete().where(turns.c.run_id == run_id, turns.c.number == number))
            seconds = max(0.0, at - since)
            db.execute(turns.insert().values(run_id=run_id, number=number, repo=repo, since=since, seconds=seconds))
            oldest = db.execute(sa.select(turns.c.since).order_by(turns.c.since.desc()).offset(_KEPT).limit(1)).scalar()
            if oldest is not None:
                db.execute(turns.delete().where(turns.c.since <= oldest))
            return True

    def last_had(self, now: float) -> Mapping[str, float]:
        """See `SlotBook.last_had`."""
        ended = turns.c.since + turns.c.seconds
        query = sa.select(turns.c.repo, sa.func.max(ended)).where(ended <= now).group_by(turns.c.repo)
        with self._reading() as db:
            return {row[0]: row[1] for row in db.execute(query)}

    def lengths(self) -> Lengths:
        """See `SlotBook.lengths`."""
        newest = sa.func.row_number().over(partition_by=turns.c.repo, order_by=(turns.c.since.desc(), turns.c.run_id))
        ranked = sa.select(turns.c.repo, turns.c.seconds, newest.label("nth")).subquery()
        own = sa.select(ranked.c.repo, ranked.c.seconds).where(ranked.c.nth <= _OF_A_REPO)
        of_all = sa.select(turns.c.seconds).order_by(turns.c.since.desc(), turns.c.run_id).limit(_OF_ALL)
        with self._reading() as db:
            repos: dict[str, list[float]] = {}
            for repo, seconds in db.execute(own):
                repos.setdefault(repo, []).append(seconds)
            return Lengths(repos=repos, all=list(db.execute(of_all).scalars()))

    def counted(self, *, repo: str | None = None, owner: str | None = None) -> Counted:
        """See `SlotBook.counted`."""
        query = sa.select(runs.c.phase, sa.func.count()).where(runs.c.phase.in_(sorted(LIVE_PHASES)))
        if repo is not None:
            query = query.where(_named(repo))
        if owner is not None:
            query = query.where(runs.c.owner == owner)
        with self._reading() as db:
            found: dict[str, int] = {row[0]: row[1] for row in db.execute(query.group_by(runs.c.phase))}
        return Counted(live=sum(found.values()), queued=found.get(Phase.QUEUED, 0))


def _named(repo: str) -> sa.ColumnElement[bool]:
    return sa.func.lower(runs.c.repo) == repo.lower()
