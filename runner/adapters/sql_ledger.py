"""`runner.ledger.Ledger` on the records' tables."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from runner.adapters.sql_following import SqlFollowing
from runner.adapters.sql_schema import attempts, judgements, reverts, rounds, runs
from runner.ledger import AttemptLine, Landed, RunLine
from runner.model import Phase

_AT_ONCE = 500
"""Runs whose attempts are asked for together: SQLite bounds the values of one question."""


class SqlLedger(SqlFollowing):
    """Reads the ledger; writes which merges were taken back."""

    def lines(self, *, since: float, repo: str | None = None, owner: str | None = None, limit: int) -> list[RunLine]:
        """See `Ledger.lines`."""
        query = (
            sa.select(runs.c.run_id, runs.c.repo, runs.c.phase, reverts.c.at.label("reverted_at"))
            .select_from(runs.outerjoin(reverts, reverts.c.run_id == runs.c.run_id))
            .where(runs.c.created_at >= since)
            .order_by(runs.c.created_at.desc(), runs.c.run_id)
            .limit(limit)
        )
        if repo is not None:
            query = query.where(sa.func.lower(runs.c.repo) == repo.lower())
        if owner is not None:
            query = query.where(runs.c.owner == owner)
        told: dict[str, list[AttemptLine]] = {}
        with self._reading() as db:
            found = db.execute(query).all()
            for first in range(0, len(found), _AT_ONCE):
                told |= _attempts(db, [row.run_id for row in found[first : first + _AT_ONCE]])
        return [
            RunLine(
                run_id=row.run_id,
                repo=row.repo,
                phase=Phase(row.phase),
                attempts=tuple(told.get(row.run_id, ())),
                reverted_at=row.reverted_at,
            )
            for row in found
        ]

    def landed(self, since: float, limit: int) -> list[Landed]:
        """See `Ledger.landed`."""
        query = (
            sa.select(runs.c.run_id, runs.c.repo, runs.c.base_branch, runs.c.merged_sha, reverts.c.by)
            .select_from(runs.outerjoin(reverts, reverts.c.run_id == runs.c.run_id))
            .where(runs.c.merged_sha.is_not(None), runs.c.merged_at >= since)
            .order_by(runs.c.merged_at.desc(), runs.c.run_id)
            .limit(limit)
        )
        with self._reading() as db:
            return [
                Landed(run_id=row[0], repo=row[1], branch=row[2], sha=row[3], reverted_by=row[4])
                for row in db.execute(query)
            ]

    def reverted(self, run_id: str, by: str | None, at: float) -> None:
        """See `Ledger.reverted`."""
        mine = reverts.c.run_id == run_id
        with self._writing() as db:
            known = db.execute(sa.select(reverts.c.by).where(mine)).scalar()
            if known == by:
                return
            db.execute(reverts.delete().where(mine))
            if by is not None:
                db.execute(reverts.insert().values(run_id=run_id, by=by, at=at))


def _attempts(db: Connection, run_ids: list[str]) -> dict[str, list[AttemptLine]]:
    words: dict[tuple[str, int], Any] = {}
    said = sa.select(
        judgements.c.run_id, judgements.c.attempt, judgements.c.at, judgements.c.verdict["kind"].as_string()
    )
    heads = said.where(judgements.c.run_id.in_(run_ids), judgements.c.what == "head").order_by(judgements.c.at)
    for run_id, attempt, at, outcome in db.execute(heads):
        words[run_id, attempt] = (outcome, at)
    query = (
        sa.select(
            *(attempts.c[name] for name in ("run_id", "attempt", "round", "tier", "started_at", "ended_at", "ending")),
            attempts.c.micro_usd,
            rounds.c.created_at.label("asked_at"),
        )
        .select_from(
            attempts.outerjoin(
                rounds, sa.and_(rounds.c.run_id == attempts.c.run_id, rounds.c.number == attempts.c.round)
            )
        )
        .where(attempts.c.run_id.in_(run_ids))
        .order_by(attempts.c.run_id, attempts.c.attempt)
    )
    told: dict[str, list[AttemptLine]] = defaultdict(list)
    begun: set[tuple[str, int]] = set()
    for row in db.execute(query):
        first = (row.run_id, row.round) not in begun
        begun.add((row.run_id, row.round))
        outcome, at = words.get((row.run_id, row.attempt), (None, None))
        told[row.run_id].append(
            AttemptLine(
                attempt=row.attempt,
                tier=row.tier,
                started_at=row.started_at,
                asked_at=row.asked_at if first else None,
                ended_at=row.ended_at,
                ending=row.ending,
                micro_usd=row.micro_usd,
                outcome=outcome,
                judged_at=at,
            )
        )
    return told
