"""Rows of the records' tables read as values, and values as rows."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field, TypeAdapter
from sqlalchemy.engine import RowMapping

from gates.observed import Counts
from gates.verdict import Verdict
from runner.adapters.sql_schema import attempts, rounds
from runner.fair_queue import Priority
from runner.model import Check, CheckState, Phase
from runner.records import AttemptRecord, Judgement, Notice, NoticeKind, RunRecord, SeenEvent
from runner.remarks import TakenUp
from runner.transcript import Event, Transcript

VERDICT: TypeAdapter[Verdict] = TypeAdapter(Annotated[Verdict, Field(discriminator="kind")])
COUNTS: TypeAdapter[Counts] = TypeAdapter(Counts)
TRANSCRIPT: TypeAdapter[Transcript] = TypeAdapter(Transcript)
_RUN_FIELDS = {field.name for field in fields(RunRecord)}


def event_row(event: Event, run_id: str, attempt: int, at: float) -> dict[str, Any]:
    """The row of an event seen at `at`."""
    return {
        "run_id": run_id,
        "attempt": attempt,
        "offset": event.offset,
        "index": event.index,
        "kind": event.kind.value,
        "summary": event.summary,
        "tool": event.tool,
        "at": at,
    }


def event_of(row: RowMapping) -> SeenEvent:
    """The event of a row."""
    return SeenEvent(**{field.name: row[field.name] for field in fields(SeenEvent)})


def judgement_of(row: RowMapping) -> Judgement:
    """The judgement of a row."""
    parsed = {"verdict": VERDICT.validate_python(row["verdict"]), "counts": COUNTS.validate_python(row["counts"])}
    return Judgement(**(dict(row) | parsed))


def check_of(row: RowMapping) -> Check:
    """The check of a row."""
    values = {field.name: row[field.name] for field in fields(Check)}
    return Check(**(values | {"state": CheckState(row["state"])}))


def notice_of(row: RowMapping) -> Notice:
    """The notice of a row."""
    values = {field.name: row[field.name] for field in fields(Notice)}
    return Notice(**(values | {"kind": NoticeKind(row["kind"])}))


def taken_up_of(row: RowMapping) -> TakenUp:
    """The remark of a row."""
    return TakenUp(**{field.name: row[field.name] for field in fields(TakenUp)})


def run_of(row: RowMapping) -> RunRecord:
    """The run of a row."""
    words = {"phase": Phase(row["phase"]), "priority": Priority(row["priority"])}
    return RunRecord(**({name: row[name] for name in _RUN_FIELDS} | words))


def attempt_of(row: RowMapping) -> AttemptRecord:
    """The attempt of a row."""
    transcript = None if row["transcript"] is None else TRANSCRIPT.validate_python(row["transcript"])
    return AttemptRecord(**(dict(row) | {"transcript": transcript}))


def round_where(run_id: str, number: int) -> sa.Select[tuple[Any]]:
    """The query for the input of a round."""
    return sa.select(rounds.c.input).where(rounds.c.run_id == run_id, rounds.c.number == number)


def attempt_where(run_id: str, attempt: int) -> sa.Select[Any]:
    """The query for an attempt."""
    return sa.select(attempts).where(*which(run_id, attempt))


def which(run_id: str, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    """The condition that picks an attempt."""
    return (attempts.c.run_id == run_id, attempts.c.attempt == attempt)
