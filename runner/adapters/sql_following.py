"""The half of `runner.records.Records` that is about what follows a pull request."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from runner.adapters import sql_statements
from runner.adapters.sql_rows import check_of, notice_of, taken_up_of
from runner.adapters.sql_schema import checks, notices, receipts, remarks, runs
from runner.adapters.sql_turns import SqlBook, one_look
from runner.ci import AWAITED
from runner.model import DONE_PHASES, REVIEW_PHASES, Check, Phase, ReviewedHead
from runner.receipts import Kind, Stage
from runner.records import Notice, NoticeKind
from runner.remarks import TakenUp
from runner.watched import Watched

_INTENTS = 100
_IN_REVIEW = runs.c.phase.in_(sorted(REVIEW_PHASES))
_IN_PIPELINE = sa.and_(runs.c.phase.in_(sorted(DONE_PHASES)), runs.c.pipeline.in_(sorted(AWAITED)))

_WATCHED = (
    sa.select(runs.c.run_id, runs.c.repo, runs.c.phase)
    .where(sa.or_(_IN_REVIEW, _IN_PIPELINE))
    .order_by(runs.c.updated_at)
    .limit(sa.bindparam("most", type_=sa.Integer))
)


class SqlFollowing(SqlBook):
    """Transactions, and what the follower of pull requests keeps."""

    def one_look(self) -> AbstractContextManager[None]:
        """See `Records.one_look`."""
        return one_look(self._engine)

    def save_checks(self, run_id: str, seen: tuple[Check, ...], at: float) -> None:
        """See `Records.save_checks`."""
        latest = {(one.source, one.workflow, one.name): one for one in seen}
        rows = [asdict(check) | {"run_id": run_id} for check in latest.values()]
        query = sa.select(checks).where(checks.c.run_id == run_id)
        with self._writing() as db:
            known = [dict(row) for row in db.execute(query).mappings()]
            news = sorted(known, key=_of_check) != sorted(rows, key=_of_check)
            if news:
                db.execute(checks.delete().where(checks.c.run_id == run_id))
                if rows:
                    db.execute(checks.insert(), rows)
            db.execute(
                runs.update()
                .where(runs.c.run_id == run_id)
                .values(checks_as_of=at, cursor=runs.c.cursor + (1 if news else 0))
            )

    def merge_begun(self, run_id: str) -> ReviewedHead | None:
        """See `Records.merge_begun`. Of the run's newest intents; there is no telling of deeds before those."""
        query = (
            sa.select(receipts.c.body)
            .where(receipts.c.run_id == run_id, receipts.c.stage == Stage.INTENT.value)
            .order_by(receipts.c.number.desc())
            .limit(_INTENTS)
        )
        with self._reading() as db:
            told = [json.loads(body) for body in db.execute(query).scalars()]
        begun = next((one["detail"] for one in told if one["kind"] == Kind.MERGE), None)
        if begun is None:
            return None
        return ReviewedHead(
            repo=begun["repo"],
            pull=begun["pull"],
            head_sha=begun["head"],
            base_sha=begun["base"],
            tree=begun["tree"],
        )

    def checks(self, run_id: str) -> tuple[Check, ...]:
        """See `Records.checks`."""
        with self._reading() as db:
            return tuple(check_of(row) for row in db.execute(sql_statements.CHECKS, {"run": run_id}).mappings())

    def watched(self, limit: int) -> list[Watched]:
        """See `Records.watched`."""
        with self._reading() as db:
            told = db.execute(_WATCHED, {"most": limit})
            return [Watched(run_id=run_id, repo=repo, phase=Phase(phase)) for run_id, repo, phase in told]

    def notify(self, run_id: str, key: str, kind: NoticeKind, text: str, at: float) -> bool:
        """See `Records.notify`."""
        same = sa.select(notices.c.id).where(notices.c.run_id == run_id, notices.c.key == key)
        with self._writing() as db:
            if db.execute(same).first() is not None:
                return False
            db.execute(notices.insert().values(run_id=run_id, key=key, kind=kind.value, text=text, at=at))
            db.execute(runs.update().where(runs.c.run_id == run_id).values(cursor=runs.c.cursor + 1))
        return True

    def notices(self, run_id: str, *, limit: int = 20) -> list[Notice]:
        """See `Records.notices`."""
        with self._reading() as db:
            rows = list(db.execute(sql_statements.NOTICES, {"run": run_id, "most": limit}).mappings())
        return [notice_of(row) for row in reversed(rows)]

    def take_up(self, run_id: str, number: int, remarks_told: tuple[tuple[str, float], ...]) -> None:
        """See `Records.take_up`."""
        with self._writing() as db:
            for place, (remark, at) in enumerate(remarks_told, start=1):
                which = (remarks.c.run_id == run_id, remarks.c.remark == remark)
                known = db.execute(sa.select(remarks.c.round).where(*which)).scalar()
                if known is not None and known > number:
                    continue
                row = {"round": number, "number": place, "at": at, "answered_at": None}
                if known is None:
                    db.execute(remarks.insert().values(run_id=run_id, remark=remark, **row))
                else:
                    db.execute(remarks.update().where(*which).values(**row))

    def _forget_taken_up(self, db: Connection, run_id: str, number: int, *, but: tuple[str, ...]) -> None:
        its = (remarks.c.run_id == run_id, remarks.c.round == number)
        db.execute(remarks.delete().where(*its, remarks.c.remark.not_in(but)))

    def taken_up(self, run_id: str) -> list[TakenUp]:
        """See `Records.taken_up`."""
        query = sa.select(remarks).where(remarks.c.run_id == run_id).order_by(remarks.c.round, remarks.c.number)
        with self._reading() as db:
            return [taken_up_of(row) for row in db.execute(query).mappings()]

    def answered(self, run_id: str, remark: str, at: float) -> None:
        """See `Records.answered`."""
        with self._writing() as db:
            db.execute(
                remarks.update().where(remarks.c.run_id == run_id, remarks.c.remark == remark).values(answered_at=at)
            )


def _of_check(row: dict[str, object]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("source", "name", "state", "summary", "workflow", "url", "ref"))
