"""However the lines of a run are read on, every one is told once and in order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.observed import Counts
from gates.verdict import Failed
from runner.adapters.sql_records import SqlRecords
from runner.errors import BadIntent
from runner.logs import MAX_BYTES, Cursor, Log, LogLine, Source, Wanted, cursor_of, read_log
from runner.model import Phase
from runner.records import AttemptRecord, Judgement, Notice, NoticeKind, RunRecord, SeenEvent

RUN = RunRecord(
    run_id="widgets-1-abcdef",
    repo="widgets",
    issue=1,
    brief="b",
    model=None,
    phase=Phase.AGENT,
    base_branch="main",
    branch="ashigaru/1-abcdef",
    created_at=1.0,
    updated_at=2.0,
    start_tier=0,
)


class Remembered(SqlRecords):
    """Records that were all kept already."""

    def __init__(self, seen: list[SeenEvent], judged: list[Judgement], told: list[Notice]) -> None:
        super().__init__(sa.create_engine("sqlite://"))
        self.seen, self.judged_so_far, self.told = seen, judged, told

    def events(
        self, run_id: str, *, attempt: int | None = None, after: int | None = None, limit: int = 20
    ) -> list[SeenEvent]:
        assert run_id == RUN.run_id
        mine = [one for one in self.seen if attempt in {None, one.attempt} and one.id > (after or 0)]
        return mine[-limit:] if after is None else mine[:limit]

    def attempts(self, run_id: str) -> list[AttemptRecord]:
        assert run_id == RUN.run_id
        return []

    def judgements(self, run_id: str) -> list[Judgement]:
        assert run_id == RUN.run_id
        return self.judged_so_far

    def notices(self, run_id: str, *, limit: int = 20) -> list[Notice]:
        assert run_id == RUN.run_id
        return self.told[-limit:]


def event(number: int, at: float, attempt: int = 1) -> SeenEvent:
    return SeenEvent(id=number, attempt=attempt, kind="tool", summary=f"event {number}", tool="Edit", at=at)


def judgement(at: float, report: str = "no", attempt: int = 1) -> Judgement:
    sha = "1" * 40
    return Judgement(
        run_id=RUN.run_id,
        what="head",
        attempt=attempt,
        take=1,
        commit=sha,
        tree=sha,
        head=sha,
        base_sha=sha,
        key="",
        verdict=Failed(summary="1 failed", report=report),
        counts=Counts(),
        at=at,
    )


def notice(number: int, at: float) -> Notice:
    return Notice(id=number, kind=NoticeKind.REVIEW, text=f"notice {number}", at=at)


def read_on(records: SqlRecords, wanted: Wanted) -> list[LogLine]:
    lines: list[LogLine] = []
    log = Log(lines=(), cursor=Cursor(), more=True)
    for _ in range(1000):
        log = read_log(records, RUN, replace(wanted, since=cursor_of(str(log.cursor))))
        lines += log.lines
        if not log.more:
            break
    assert read_log(records, RUN, replace(wanted, since=log.cursor)).lines == ()
    return lines


TIMES = st.lists(st.floats(min_value=0, max_value=9), max_size=12)


@settings(deadline=None)
@given(events=TIMES, judged=TIMES, told=TIMES, limit=st.integers(1, 5), attempt=st.sampled_from([None, 1, 2]))
def test_every_line_is_told_once_whatever_the_clock_did(
    events: list[float], judged: list[float], told: list[float], limit: int, attempt: int | None
) -> None:
    records = Remembered(
        [event(number, at, 1 + number % 2) for number, at in enumerate(events, start=1)],
        [judgement(at, attempt=1 + number % 2) for number, at in enumerate(judged)],
        [notice(number, at) for number, at in enumerate(told, start=1)],
    )
    whole = read_log(records, RUN, Wanted(attempt=attempt, limit=500)).lines
    pieces = read_on(records, Wanted(attempt=attempt, limit=limit))
    assert sorted(map(repr, pieces)) == sorted(map(repr, whole))
    for source, kind in ((Source.AGENT, "tool"), (Source.GATE, "failed"), (Source.NOTICE, "review")):
        mine = [line for line in pieces if (line.source, line.kind) == (source, kind)]
        assert mine == [line for line in whole if (line.source, line.kind) == (source, kind)]


def test_an_answer_is_bounded_in_bytes_and_says_that_there_is_more() -> None:
    records = Remembered([], [judgement(float(n), "x" * 8000) for n in range(100)], [])
    log = read_log(records, RUN, Wanted(since=Cursor(), limit=500))
    assert log.more
    assert sum(len(line.detail) for line in log.lines) <= MAX_BYTES
    assert len(read_on(records, Wanted(limit=500))) == 100
    newest = read_log(records, RUN, Wanted(limit=500))
    assert not newest.more
    assert newest.lines[-1].at == 99.0


def test_what_gates_printed_reaches_nobodys_terminal() -> None:
    (line,) = read_log(Remembered([], [judgement(1.0, "a\x1b[2Jb\u202e\nc")], []), RUN, Wanted()).lines
    assert line.detail == "ab\nc"


@pytest.mark.parametrize("text", ["", "1", "1.2.3", "1.2.3.4.5", "a.1.1.1", "-1.0.0.0", "1.0.0.0\n", "9" * 40])
def test_a_cursor_that_logs_never_gave_is_refused(text: str) -> None:
    with pytest.raises(BadIntent):
        cursor_of(text)


def test_a_cursor_is_kept_as_text() -> None:
    cursor: Any = Cursor(event=1, endings=2, judgements=3, notice=4)
    assert cursor_of(str(cursor)) == cursor
