"""Statements that are asked many times a second, made once: to make one takes three times as long as to carry it out.

Their parameters: `run`, the run's id; `number`, an attempt's; `most`, of rows; `at`, in UTC seconds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from runner.adapters.sql_schema import (
    attempts,
    checks,
    events,
    judgements,
    notices,
    runs,
    slots,
)
from runner.model import WORKING_PHASES

_run: Final[sa.BindParameter[str]] = sa.bindparam("run")
_most: Final = sa.bindparam("most", type_=sa.Integer)
_of_attempt: Final = (attempts.c.run_id == _run, attempts.c.attempt == sa.bindparam("number"))

RUN: Final = sa.select(runs).where(runs.c.run_id == _run)
# The phases are few and have an index, the flag has none.
CANCELLING: Final = sa.select(runs.c.run_id).where(runs.c.phase.in_(sorted(WORKING_PHASES)), runs.c.cancel_requested)
ATTEMPTS: Final = sa.select(attempts).where(attempts.c.run_id == _run).order_by(attempts.c.attempt)
JUDGEMENTS: Final = sa.select(judgements).where(judgements.c.run_id == _run).order_by(judgements.c.at)
CHECKS: Final = (
    sa.select(checks).where(checks.c.run_id == _run).order_by(checks.c.name, checks.c.source, checks.c.workflow)
)
NOTICES: Final = sa.select(notices).where(notices.c.run_id == _run).order_by(notices.c.id.desc()).limit(_most)
HELD: Final = (
    sa.select(slots.c.slot, slots.c.run_id, slots.c.number, sa.func.lower(runs.c.repo), slots.c.since)
    .join(runs, runs.c.run_id == slots.c.run_id)
    .where(slots.c.host == sa.bindparam("host"))
    .order_by(slots.c.slot)
)
HELD_BY: Final = HELD.where(slots.c.run_id.in_(sa.bindparam("ids", expanding=True)))

TOUCH: Final = runs.update().where(runs.c.run_id == _run).values(harness_at=sa.bindparam("at"))
READ_UP_TO: Final = sa.select(attempts.c.offset).where(*_of_attempt)
SPOKE: Final = (
    runs.update()
    .where(runs.c.run_id == _run)
    .values(agent_at=sa.bindparam("at"), harness_at=sa.bindparam("at"), cursor=runs.c.cursor + 1)
)
READ: Final = attempts.update().where(*_of_attempt).values(offset=sa.bindparam("upto"), transcript=sa.bindparam("said"))


@lru_cache(maxsize=16)
def events_of_run(*, attempt: bool, kinds: bool, after: bool) -> sa.Select[Any]:
    """Events of a run, `most` of them: of one attempt, of some `kinds`, the first `after` one; else the newest."""
    query = sa.select(events).where(events.c.run_id == _run).limit(_most)
    if attempt:
        query = query.where(events.c.attempt == sa.bindparam("number"))
    if kinds:
        query = query.where(events.c.kind.in_(sa.bindparam("kinds", expanding=True)))
    if after:
        query = query.where(events.c.id > sa.bindparam("after"))
    return query.order_by(events.c.id if after else events.c.id.desc())


@lru_cache(maxsize=8)
def newest_runs(*, repo: bool, phases: bool, owner: bool) -> sa.Select[Any]:
    """The newest runs, `most` of them: of a `repo` (in lower case), in some `phases`, of one `owner`."""
    query = sa.select(runs).order_by(runs.c.created_at.desc(), runs.c.run_id).limit(_most)
    if repo:
        query = query.where(sa.func.lower(runs.c.repo) == sa.bindparam("repo"))
    if phases:
        query = query.where(runs.c.phase.in_(sa.bindparam("phases", expanding=True)))
    if owner:
        query = query.where(runs.c.owner == sa.bindparam("owner"))
    return query
