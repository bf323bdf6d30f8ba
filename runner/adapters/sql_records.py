"""`runner.records.Records` on SQLAlchemy Core: SQLite in WAL mode, or PostgreSQL."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from gates.verdict import Inconclusive
from runner.adapters import sql_statements
from runner.adapters.sql_following import SqlFollowing
from runner.adapters.sql_rows import (
    COUNTS,
    TRANSCRIPT,
    VERDICT,
    attempt_of,
    attempt_where,
    event_of,
    event_row,
    judgement_of,
    round_where,
    run_of,
    which,
)
from runner.adapters.sql_schema import attempts, claims, events, judgements, reservations, rounds, runs
from runner.errors import RecordsFault
from runner.facts_json import input_from_json, input_to_json
from runner.model import LIVE_PHASES, Phase, RoundInput
from runner.records import AttemptRecord, Judgement, RunChange, RunRecord, SeenEvent
from runner.transcript import Event, Kinds, Transcript


class SqlRecords(SqlFollowing):
    """The daemon's memory in a SQL database that `migrate` has brought up to date."""

    # --- runs ---

    def claim(self, run: RunRecord) -> RunRecord:
        """See `Records.claim`."""
        with self._writing() as db:
            held = db.execute(_holder(run.repo, run.issue)).mappings().first()
            if held is None and _claimed(db, run):
                return run
        if held is None:
            # Somebody claimed it between our look and our claim; what was written for ours is undone.
            with self._writing() as db:
                held = db.execute(_holder(run.repo, run.issue)).mappings().first()
        if held is None:
            raise RecordsFault("The issue was claimed and let go at once by another run; ask again.")
        return run_of(held)

    def reclaim(self, run_id: str) -> bool:
        """See `Records.reclaim`."""
        with self._writing() as db:
            row = db.execute(sa.select(runs).where(runs.c.run_id == run_id)).mappings().one()
            held = db.execute(_holder(row["repo"], row["issue"])).mappings().first()
            if held is None:
                return _claimed(db, run_of(row), known=True)
            return bool(held["run_id"] == run_id)

    def release(self, run_id: str) -> None:
        """See `Records.release`."""
        with self._writing() as db:
            db.execute(claims.delete().where(claims.c.run_id == run_id))

    def run(self, run_id: str) -> RunRecord | None:
        """See `Records.run`."""
        with self._reading() as db:
            row = db.execute(sql_statements.RUN, {"run": run_id}).mappings().first()
        return None if row is None else run_of(row)

    def cancelling(self) -> frozenset[str]:
        """See `CancelBook.cancelling`."""
        with self._reading() as db:
            return frozenset(db.execute(sql_statements.CANCELLING).scalars())

    def run_of_pull(self, repo: str, pull: int) -> RunRecord | None:
        """See `Records.run_of_pull`."""
        with self._reading() as db:
            row = db.execute(sa.select(runs).where(_named(repo), runs.c.pull == pull)).mappings().first()
        return None if row is None else run_of(row)

    def runs(
        self,
        *,
        repo: str | None = None,
        phases: frozenset[Phase] | None = None,
        owner: str | None = None,
        limit: int = 50,
    ) -> list[RunRecord]:
        """See `Records.runs`."""
        query = sql_statements.newest_runs(repo=repo is not None, phases=phases is not None, owner=owner is not None)
        asked = {"repo": (repo or "").lower(), "phases": sorted(phases or ()), "owner": owner, "most": limit}
        with self._reading() as db:
            return [run_of(row) for row in db.execute(query, asked).mappings()]

    def change(self, run_id: str, change: RunChange, at: float) -> None:
        """See `Records.change`."""
        with self._writing() as db:
            db.execute(
                runs.update()
                .where(runs.c.run_id == run_id)
                .values(**change, updated_at=at, harness_at=at, cursor=runs.c.cursor + 1)
            )
            if change.get("phase", Phase.QUEUED) not in LIVE_PHASES:
                db.execute(claims.delete().where(claims.c.run_id == run_id))

    def touch(self, run_id: str, at: float) -> None:
        """See `Records.touch`."""
        with self._writing() as db:
            db.execute(sql_statements.TOUCH, {"run": run_id, "at": at})

    # --- rounds and attempts ---

    def save_round(self, round_input: RoundInput, at: float) -> None:
        """See `Records.save_round`."""
        row = {
            "run_id": round_input.run_id,
            "number": round_input.number,
            "input": input_to_json(round_input),
            "created_at": at,
        }
        run_id, number = round_input.run_id, round_input.number
        begun = sa.select(runs.c.run_id).where(runs.c.run_id == run_id, runs.c.round >= number)
        with self._writing() as db:
            if db.execute(begun).first() is None:
                db.execute(rounds.delete().where(rounds.c.run_id == run_id, rounds.c.number == number))
                self._forget_taken_up(db, run_id, number, but=round_input.remarks)
            if db.execute(round_where(run_id, number)).first() is None:
                db.execute(rounds.insert().values(**row))

    def round_input(self, run_id: str, number: int) -> RoundInput | None:
        """See `Records.round_input`."""
        with self._reading() as db:
            row = db.execute(round_where(run_id, number)).scalar()
        return None if row is None else input_from_json(row)

    def begin_attempt(self, attempt: AttemptRecord) -> AttemptRecord:
        """See `Records.begin_attempt`."""
        row = asdict(attempt) | {"transcript": None}
        with self._writing() as db:
            known = db.execute(attempt_where(attempt.run_id, attempt.attempt)).mappings().first()
            if known is None:
                db.execute(attempts.insert().values(**row))
        return attempt if known is None else attempt_of(known)

    def attempt(self, run_id: str, attempt: int) -> AttemptRecord | None:
        """See `Records.attempt`."""
        with self._reading() as db:
            row = db.execute(attempt_where(run_id, attempt)).mappings().first()
        return None if row is None else attempt_of(row)

    def attempts(self, run_id: str) -> list[AttemptRecord]:
        """See `Records.attempts`."""
        with self._reading() as db:
            return [attempt_of(row) for row in db.execute(sql_statements.ATTEMPTS, {"run": run_id}).mappings()]

    def append_events(
        self, run_id: str, attempt: int, new: tuple[Event, ...], offset: int, transcript: Transcript, at: float
    ) -> None:
        """See `Records.append_events`."""
        its = {"run": run_id, "number": attempt}
        with self._writing() as db:
            known = db.execute(sql_statements.READ_UP_TO, its).scalar_one()
            fresh = [event_row(event, run_id, attempt, at) for event in new if event.offset >= known]
            if fresh:
                db.execute(events.insert(), fresh)
                db.execute(sql_statements.SPOKE, {"run": run_id, "at": at})
            if offset > known:
                if not fresh:
                    db.execute(sql_statements.TOUCH, {"run": run_id, "at": at})
                dumped = TRANSCRIPT.dump_python(transcript, mode="json")
                db.execute(sql_statements.READ, its | {"upto": offset, "said": dumped})

    def end_attempt(
        self, run_id: str, attempt: int, *, ending: str, detail: str, retry_at: float | None, at: float
    ) -> None:
        """See `Records.end_attempt`."""
        with self._writing() as db:
            db.execute(
                attempts.update()
                .where(*which(run_id, attempt))
                .values(ending=ending, detail=detail, retry_at=retry_at, ended_at=at)
            )
            db.execute(runs.update().where(runs.c.run_id == run_id).values(harness_at=at, cursor=runs.c.cursor + 1))

    def events(
        self, run_id: str, *, attempt: int | None = None, after: int | None = None, kinds: Kinds = (), limit: int = 20
    ) -> list[SeenEvent]:
        """See `Records.events`."""
        query = sql_statements.events_of_run(attempt=attempt is not None, kinds=bool(kinds), after=after is not None)
        asked = {"run": run_id, "most": limit, "number": attempt, "kinds": sorted(kinds), "after": after}
        with self._reading() as db:
            rows = [event_of(row) for row in db.execute(query, asked).mappings()]
        return rows[::-1] if after is None else rows

    # --- money ---

    def spent(self, run_id: str) -> int:
        """See `Records.spent`."""
        with self._reading() as db:
            total = db.execute(sa.select(sa.func.sum(attempts.c.micro_usd)).where(attempts.c.run_id == run_id)).scalar()
            held = db.execute(
                sa.select(sa.func.sum(reservations.c.micro_usd)).where(reservations.c.run_id == run_id)
            ).scalar()
        return int(total or 0) + int(held or 0)

    # --- judgements ---

    def judged(self, key: str) -> Judgement | None:
        """See `Records.judged`."""
        query = sa.select(judgements).where(judgements.c.key == key).order_by(judgements.c.at)
        with self._reading() as db:
            found = [judgement_of(row) for row in db.execute(query).mappings()]
        return next((one for one in found if not isinstance(one.verdict, Inconclusive)), None)

    def save_judgement(self, judgement: Judgement) -> None:
        """See `Records.save_judgement`."""
        row = {field.name: getattr(judgement, field.name) for field in fields(judgement)}
        row["verdict"] = VERDICT.dump_python(judgement.verdict, mode="json")
        row["counts"] = COUNTS.dump_python(judgement.counts, mode="json")
        same = [judgements.c[name] == row[name] for name in ("run_id", "what", "attempt", "take", "base_sha")]
        with self._writing() as db:
            if db.execute(sa.select(judgements.c.key).where(*same)).first() is None:
                db.execute(judgements.insert().values(**row))
                db.execute(
                    runs.update()
                    .where(runs.c.run_id == judgement.run_id)
                    .values(harness_at=judgement.at, cursor=runs.c.cursor + 1)
                )

    def judgements(self, run_id: str) -> list[Judgement]:
        """See `Records.judgements`."""
        with self._reading() as db:
            rows = list(db.execute(sql_statements.JUDGEMENTS, {"run": run_id}).mappings())
        return [judgement_of(row) for row in rows]


def _named(repo: str) -> sa.ColumnElement[bool]:
    """Whose repository it is, however it is spelled: forges do not tell names apart by case."""
    return sa.func.lower(runs.c.repo) == repo.lower()


def _holder(repo: str, issue: int) -> sa.Select[Any]:
    joined = sa.select(runs).join(claims, claims.c.run_id == runs.c.run_id)
    return joined.where(claims.c.repo == repo.lower(), claims.c.issue == issue)


def _claimed(db: Connection, run: RunRecord, *, known: bool = False) -> bool:
    """Whether the run, written unless it is known, has the claim now; if not, nothing was written."""
    try:
        with db.begin_nested():
            if not known:
                db.execute(runs.insert().values(**asdict(run)))
            db.execute(claims.insert().values(repo=run.repo.lower(), issue=run.issue, run_id=run.run_id))
    except IntegrityError:
        return False
    return True
