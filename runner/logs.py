"""What happened in a run, line after line: what agents did, how they ended, what the gates said, and the notices.

Three sources, each kept in its own order, are told as one. The cursor remembers how far each of them was told, so
that reading on tells every line once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from heapq import merge
from typing import Final

from gates.text import clip, plain
from gates.verdict import Failed, NeedsHuman, Verdict
from runner.errors import BadIntent
from runner.records import AttemptRecord, Judgement, Notice, Records, RunRecord, SeenEvent
from runner.view import summary_of

MAX_LINES: Final = 500
MAX_BYTES: Final = 256 * 1024
_MOST_NOTICES: Final = 200
_CURSOR: Final = re.compile(r"(\d{1,15})\.(\d{1,9})\.(\d{1,9})\.(\d{1,15})")


class Source(StrEnum):
    """Who a line is from."""

    AGENT = "agent"
    GATE = "gate"
    NOTICE = "notice"


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """How far each source was told: the last event's id, how many endings and judgements, the last notice's id."""

    event: int = 0
    endings: int = 0
    judgements: int = 0
    notice: int = 0

    def __str__(self) -> str:
        """As a caller keeps it."""
        return f"{self.event}.{self.endings}.{self.judgements}.{self.notice}"


def cursor_of(text: str) -> Cursor:
    """A cursor that `logs` gave. Raises BadIntent."""
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise BadIntent("since must be the cursor of an earlier answer of logs.")
    event, endings, judgements, notice = (int(part) for part in found.groups())
    return Cursor(event=event, endings=endings, judgements=judgements, notice=notice)


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One thing that happened at `at`. kind: of an agent's event, of a verdict, or of a notice.

    text: one line. detail: what the gates have to say at length, lines of plain text; "" for nothing.
    """

    at: float
    source: Source
    kind: str
    text: str
    attempt: int | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Log:
    """Lines, oldest first. cursor: where to read on. more: there is more to be read on from there already."""

    lines: tuple[LogLine, ...]
    cursor: Cursor
    more: bool


_Step = tuple[float, LogLine, Cursor]
"""A line, with the only field of the cursor that it moves."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """At most `limit` lines (1 to MAX_LINES): those after `since`, or the last ones. attempt, source: those alone."""

    attempt: int | None = None
    source: Source | None = None
    since: Cursor | None = None
    limit: int = 100


def read_log(records: Records, run: RunRecord, wanted: Wanted) -> Log:
    """The lines that are wanted, MAX_BYTES of them at most, unless the first is longer."""
    told = wanted.since or Cursor()
    sources: list[list[_Step]] = []
    if wanted.source in {None, Source.AGENT}:
        after = None if wanted.since is None else told.event
        # One more than is told: what there is besides says that there is more.
        seen = records.events(run.run_id, attempt=wanted.attempt, after=after, limit=wanted.limit + 1)
        sources += [_events(seen), _endings(records.attempts(run.run_id), told.endings)]
    if wanted.source in {None, Source.GATE}:
        sources.append(_judgements(records.judgements(run.run_id), told.judgements))
    if wanted.source in {None, Source.NOTICE} and wanted.attempt is None:
        sources.append(_notices(records.notices(run.run_id, limit=_MOST_NOTICES), told.notice))
    return _bounded(list(merge(*sources, key=lambda step: step[0])), told, wanted)


def _bounded(steps: list[_Step], told: Cursor, wanted: Wanted) -> Log:
    """The lines that fit. Where the newest are wanted, what is left out counts as told; else it is still to be told."""
    newest = wanted.since is None
    mine = [step for step in steps if wanted.attempt in {None, step[1].attempt}]
    room, kept = MAX_BYTES, 0
    for step in reversed(mine) if newest else mine:
        room -= _size(step[1])
        if kept and (room < 0 or kept >= wanted.limit):
            break
        kept += 1
    shown = mine[max(0, len(mine) - kept) :] if newest else mine[:kept]
    more = not newest and len(shown) < len(mine)
    # A line of another attempt is passed over for good, and so is what is older than the newest.
    passed = _until(steps, shown[-1]) if more else steps
    return Log(lines=tuple(line for _, line, _ in shown), cursor=_furthest(told, passed), more=more)


def _until(steps: Sequence[_Step], last: _Step) -> Sequence[_Step]:
    return steps[: next(place for place, step in enumerate(steps) if step is last) + 1]


def _furthest(told: Cursor, passed: Iterable[_Step]) -> Cursor:
    for _, _, moved in passed:
        told = replace(
            told,
            event=max(told.event, moved.event),
            endings=max(told.endings, moved.endings),
            judgements=max(told.judgements, moved.judgements),
            notice=max(told.notice, moved.notice),
        )
    return told


def _size(line: LogLine) -> int:
    return len(line.text.encode("utf-8")) + len(line.detail.encode("utf-8")) + 100


# --- one function for each source ----------------------------------------------------------------------------


def _events(seen: Sequence[SeenEvent]) -> list[_Step]:
    return [
        (
            one.at,
            LogLine(
                at=one.at,
                source=Source.AGENT,
                kind=one.kind,
                text=plain(one.summary, keep_newlines=False),
                attempt=one.attempt,
            ),
            Cursor(event=one.id),
        )
        for one in seen
    ]


def _endings(attempts: Sequence[AttemptRecord], told: int) -> list[_Step]:
    # Attempts of a run end one after the other, so how many have ended says which.
    ended = [one for one in attempts if one.ending is not None]
    return [
        (
            one.ended_at or one.started_at,
            LogLine(
                at=one.ended_at or one.started_at,
                source=Source.AGENT,
                kind="ended",
                text=plain(f"{one.tier} ended: {one.ending}. {one.detail or ''}", keep_newlines=False),
                attempt=one.attempt,
            ),
            Cursor(endings=number),
        )
        for number, one in enumerate(ended, start=1)
        if number > told
    ]


def _judgements(judgements: Sequence[Judgement], told: int) -> list[_Step]:
    return [
        (
            one.at,
            LogLine(
                at=one.at,
                source=Source.GATE,
                kind=one.verdict.kind,
                text=plain(f"gate on {one.what}: {one.verdict.kind}. {summary_of(one.verdict)}", keep_newlines=False),
                attempt=one.attempt,
                detail=_detail(one.verdict),
            ),
            Cursor(judgements=number),
        )
        for number, one in enumerate(judgements, start=1)
        if number > told
    ]


def _detail(verdict: Verdict) -> str:
    match verdict:
        case Failed(report=report):
            return clip(plain(report, keep_newlines=True).strip("\n"), 16 * 1024)
        case NeedsHuman(findings=findings):
            return clip("\n".join(plain(one, keep_newlines=False) for one in findings), 16 * 1024)
        case _:
            return ""


def _notices(notices: Sequence[Notice], told: int) -> list[_Step]:
    return [
        (
            one.at,
            LogLine(
                at=one.at,
                source=Source.NOTICE,
                kind=one.kind.value,
                text=plain(one.text, keep_newlines=False),
            ),
            Cursor(notice=one.id),
        )
        for one in notices
        if one.id > told
    ]
