"""`runner.records.Records` on SQLAlchemy Core: SQLite in WAL mode, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from pydantic import Field, TypeAdapter
from sqlalchemy.engine import Connection, Engine, RowMapping, make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

import runner
from gates.judge import Counts
from gates.verdict import Inconclusive, Verdict
from runner.adapters.sql_schema import attempts, checks, claims, events, judgements, rounds, runs
from runner.errors import RecordsFault
from runner.facts import input_from_json, input_to_json
from runner.model import Check, CheckState, Phase, RoundInput
from runner.records import AttemptRecord, Judgement, RunChange, RunRecord, SeenEvent
from runner.transcript import Event, Transcript

_VERDICT: TypeAdapter[Verdict] = TypeAdapter(Annotated[Verdict, Field(discriminator="kind")])
_COUNTS: TypeAdapter[Counts] = TypeAdapter(Counts)
_TRANSCRIPT: TypeAdapter[Transcript] = TypeAdapter(Transcript)
_RUN_FIELDS = {field.name for field in fields(RunRecord)}


def open_engine(url: str) -> Engine:
    """A connection pool for the records. A new SQLite file is in WAL mode from its first page."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, pool_pre_ping=True)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(parsed, connect_args={"timeout": 30, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _write_at_once(connection: Connection) -> None:
        # A transaction that reads first and writes later cannot wait for another writer; one that starts as a writer can.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def migrate(engine: Engine) -> None:
    """Bring the records' tables to this version's schema. Raises RecordsFault."""
    config = Config()
    config.set_main_option("script_location", str(Path(runner.__file__).parent / "migrations"))
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as exc:
        raise RecordsFault("The records database cannot be opened; check its URL, its disk and its rights.") from exc


class SqlRecords:
    """The daemon's memory in a SQL database that `migrate` has brought up to date."""

    def __init__(self, engine: Engine) -> None:
        """Use the pool; opens nothing yet."""
        self._engine = engine

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as exc:
            raise RecordsFault("The records database did not take part; check its disk and its rights.") from exc

    # --- runs ---

    def claim(self, run: RunRecord) -> RunRecord:
        """See `Records.claim`."""
        with self._transaction() as db:
            held = (
                db.execute(
                    sa.select(runs)
                    .join(claims, claims.c.run_id == runs.c.run_id)
                    .where(claims.c.repo == run.repo, claims.c.issue == run.issue)
                )
                .mappings()
                .first()
            )
            if held is not None:
                return _run(held)
            db.execute(runs.insert().values(**asdict(run)))
            db.execute(claims.insert().values(repo=run.repo, issue=run.issue, run_id=run.run_id))
        return run

    def reclaim(self, run_id: str) -> bool:
        """See `Records.reclaim`."""
        with self._transaction() as db:
            row = db.execute(sa.select(runs.c.repo, runs.c.issue).where(runs.c.run_id == run_id)).one()
            holder = db.execute(
                sa.select(claims.c.run_id).where(claims.c.repo == row.repo, claims.c.issue == row.issue)
            ).scalar()
            if holder is None:
                db.execute(claims.insert().values(repo=row.repo, issue=row.issue, run_id=run_id))
            return holder in {None, run_id}

    def release(self, run_id: str) -> None:
        """See `Records.release`."""
        with self._transaction() as db:
            db.execute(claims.delete().where(claims.c.run_id == run_id))

    def run(self, run_id: str) -> RunRecord | None:
        """See `Records.run`."""
        with self._transaction() as db:
            row = db.execute(sa.select(runs).where(runs.c.run_id == run_id)).mappings().first()
        return None if row is None else _run(row)

    def run_of_pull(self, repo: str, pull: int) -> RunRecord | None:
        """See `Records.run_of_pull`."""
        with self._transaction() as db:
            row = db.execute(sa.select(runs).where(runs.c.repo == repo, runs.c.pull == pull)).mappings().first()
        return None if row is None else _run(row)

    def runs(
        self, *, repo: str | None = None, phases: frozenset[Phase] | None = None, limit: int = 50
    ) -> list[RunRecord]:
        """See `Records.runs`."""
        query = sa.select(runs).order_by(runs.c.created_at.desc(), runs.c.run_id).limit(limit)
        if repo is not None:
            query = query.where(runs.c.repo == repo)
        if phases is not None:
            query = query.where(runs.c.phase.in_(sorted(phases)))
        with self._transaction() as db:
            return [_run(row) for row in db.execute(query).mappings()]

    def change(self, run_id: str, change: RunChange, at: float) -> None:
        """See `Records.change`."""
        with self._transaction() as db:
            db.execute(
                runs.update()
                .where(runs.c.run_id == run_id)
                .values(**change, updated_at=at, harness_at=at, cursor=runs.c.cursor + 1)
            )

    def touch(self, run_id: str, at: float) -> None:
        """See `Records.touch`."""
        with self._transaction() as db:
            db.execute(runs.update().where(runs.c.run_id == run_id).values(harness_at=at))

    # --- rounds and attempts ---

    def save_round(self, round_input: RoundInput, at: float) -> None:
        """See `Records.save_round`."""
        row = {
            "run_id": round_input.run_id,
            "number": round_input.number,
            "input": input_to_json(round_input),
            "created_at": at,
        }
        with self._transaction() as db:
            if db.execute(_round(round_input.run_id, round_input.number)).first() is None:
                db.execute(rounds.insert().values(**row))

    def round_input(self, run_id: str, number: int) -> RoundInput | None:
        """See `Records.round_input`."""
        with self._transaction() as db:
            row = db.execute(_round(run_id, number)).scalar()
        return None if row is None else input_from_json(row)

    def begin_attempt(self, attempt: AttemptRecord) -> AttemptRecord:
        """See `Records.begin_attempt`."""
        row = asdict(attempt) | {"transcript": None}
        with self._transaction() as db:
            known = db.execute(_attempt(attempt.run_id, attempt.attempt)).mappings().first()
            if known is None:
                db.execute(attempts.insert().values(**row))
        return attempt if known is None else _attempt_record(known)

    def attempt(self, run_id: str, attempt: int) -> AttemptRecord | None:
        """See `Records.attempt`."""
        with self._transaction() as db:
            row = db.execute(_attempt(run_id, attempt)).mappings().first()
        return None if row is None else _attempt_record(row)

    def attempts(self, run_id: str) -> list[AttemptRecord]:
        """See `Records.attempts`."""
        query = sa.select(attempts).where(attempts.c.run_id == run_id).order_by(attempts.c.attempt)
        with self._transaction() as db:
            return [_attempt_record(row) for row in db.execute(query).mappings()]

    def append_events(
        self, run_id: str, attempt: int, new: tuple[Event, ...], offset: int, transcript: Transcript, at: float
    ) -> None:
        """See `Records.append_events`."""
        with self._transaction() as db:
            known = db.execute(sa.select(attempts.c.offset).where(*_which(run_id, attempt))).scalar_one()
            fresh = [
                {
                    "run_id": run_id,
                    "attempt": attempt,
                    "offset": event.offset,
                    "index": event.index,
                    "kind": event.kind.value,
                    "summary": event.summary,
                    "tool": event.tool,
                    "at": at,
                }
                for event in new
                if event.offset >= known
            ]
            if fresh:
                db.execute(events.insert(), fresh)
                db.execute(
                    runs.update()
                    .where(runs.c.run_id == run_id)
                    .values(agent_at=at, harness_at=at, cursor=runs.c.cursor + 1)
                )
            if offset > known:
                dumped = _TRANSCRIPT.dump_python(transcript, mode="json")
                db.execute(attempts.update().where(*_which(run_id, attempt)).values(offset=offset, transcript=dumped))

    def end_attempt(
        self, run_id: str, attempt: int, *, ending: str, detail: str, retry_at: float | None, at: float
    ) -> None:
        """See `Records.end_attempt`."""
        with self._transaction() as db:
            db.execute(
                attempts.update()
                .where(*_which(run_id, attempt))
                .values(ending=ending, detail=detail, retry_at=retry_at, ended_at=at)
            )
            db.execute(runs.update().where(runs.c.run_id == run_id).values(harness_at=at, cursor=runs.c.cursor + 1))

    def events(self, run_id: str, *, limit: int = 20) -> list[SeenEvent]:
        """See `Records.events`."""
        query = sa.select(events).where(events.c.run_id == run_id).order_by(events.c.id.desc()).limit(limit)
        with self._transaction() as db:
            rows = list(db.execute(query).mappings())
        return [
            SeenEvent(
                id=r["id"], attempt=r["attempt"], kind=r["kind"], summary=r["summary"], tool=r["tool"], at=r["at"]
            )
            for r in reversed(rows)
        ]

    # --- money ---

    def spent(self, run_id: str) -> int:
        """See `Records.spent`."""
        with self._transaction() as db:
            total = db.execute(sa.select(sa.func.sum(attempts.c.micro_usd)).where(attempts.c.run_id == run_id)).scalar()
        return int(total or 0)

    def spend(self, run_id: str, attempt: int, micro_usd: int, at: float) -> None:
        """See `Records.spend`."""
        with self._transaction() as db:
            db.execute(
                attempts.update().where(*_which(run_id, attempt)).values(micro_usd=attempts.c.micro_usd + micro_usd)
            )
            db.execute(runs.update().where(runs.c.run_id == run_id).values(updated_at=at, cursor=runs.c.cursor + 1))

    # --- judgements and checks ---

    def judged(self, key: str) -> Judgement | None:
        """See `Records.judged`."""
        query = sa.select(judgements).where(judgements.c.key == key).order_by(judgements.c.at)
        with self._transaction() as db:
            found = [_judgement(row) for row in db.execute(query).mappings()]
        return next((one for one in found if not isinstance(one.verdict, Inconclusive)), None)

    def save_judgement(self, judgement: Judgement) -> None:
        """See `Records.save_judgement`."""
        row = {field.name: getattr(judgement, field.name) for field in fields(judgement)}
        row["verdict"] = _VERDICT.dump_python(judgement.verdict, mode="json")
        row["counts"] = _COUNTS.dump_python(judgement.counts, mode="json")
        same = [judgements.c[name] == row[name] for name in ("run_id", "what", "attempt", "take", "base_sha")]
        with self._transaction() as db:
            if db.execute(sa.select(judgements.c.key).where(*same)).first() is None:
                db.execute(judgements.insert().values(**row))
                db.execute(
                    runs.update()
                    .where(runs.c.run_id == judgement.run_id)
                    .values(harness_at=judgement.at, cursor=runs.c.cursor + 1)
                )

    def judgements(self, run_id: str) -> list[Judgement]:
        """See `Records.judgements`."""
        query = sa.select(judgements).where(judgements.c.run_id == run_id).order_by(judgements.c.at)
        with self._transaction() as db:
            rows = list(db.execute(query).mappings())
        return [_judgement(row) for row in rows]

    def save_checks(self, run_id: str, seen: tuple[Check, ...], at: float) -> None:
        """See `Records.save_checks`."""
        with self._transaction() as db:
            db.execute(checks.delete().where(checks.c.run_id == run_id))
            for check in seen:
                db.execute(
                    checks.insert().values(
                        run_id=run_id, name=check.name, state=check.state.value, summary=check.summary
                    )
                )
            db.execute(runs.update().where(runs.c.run_id == run_id).values(checks_as_of=at, cursor=runs.c.cursor + 1))

    def checks(self, run_id: str) -> tuple[Check, ...]:
        """See `Records.checks`."""
        query = sa.select(checks).where(checks.c.run_id == run_id).order_by(checks.c.name)
        with self._transaction() as db:
            rows = list(db.execute(query).mappings())
        return tuple(Check(name=r["name"], state=CheckState(r["state"]), summary=r["summary"]) for r in rows)


def _judgement(row: RowMapping) -> Judgement:
    parsed = {"verdict": _VERDICT.validate_python(row["verdict"]), "counts": _COUNTS.validate_python(row["counts"])}
    return Judgement(**(dict(row) | parsed))


def _run(row: RowMapping) -> RunRecord:
    values = {name: row[name] for name in _RUN_FIELDS} | {"phase": Phase(row["phase"])}
    return RunRecord(**values)


def _attempt_record(row: RowMapping) -> AttemptRecord:
    transcript = None if row["transcript"] is None else _TRANSCRIPT.validate_python(row["transcript"])
    return AttemptRecord(**(dict(row) | {"transcript": transcript}))


def _round(run_id: str, number: int) -> sa.Select[tuple[Any]]:
    return sa.select(rounds.c.input).where(rounds.c.run_id == run_id, rounds.c.number == number)


def _attempt(run_id: str, attempt: int) -> sa.Select[Any]:
    return sa.select(attempts).where(*_which(run_id, attempt))


def _which(run_id: str, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (attempts.c.run_id == run_id, attempts.c.attempt == attempt)
