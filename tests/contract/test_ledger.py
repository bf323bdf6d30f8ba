"""The ledger and the history that is put away: one suite for SQLite and, where one is named, PostgreSQL."""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gates.observed import Counts
from gates.verdict import Failed, NeedsHuman, Passed, Verdict
from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_house import SqlHistory
from runner.adapters.sql_ledger import SqlLedger
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_schema import metadata
from runner.adapters.system_clock import SystemClock
from runner.agent_events import Event, EventKind
from runner.ledger import AttemptLine, Landed
from runner.model import Bounds, Check, CheckState, Phase, RoundInput, Tier
from runner.receipts import Deed, Head, Kind
from runner.receipts_check import verified
from runner.records import AttemptRecord, Judgement, NoticeKind, RunRecord
from runner.retention import Kind as Kept
from runner.retention import Thing
from runner.transcript import Transcript

POSTGRES = os.environ.get("ASHIGARU_TEST_POSTGRES_URL")
BACKENDS = ["sqlite", *(["postgresql"] if POSTGRES else [])]
TIER = Tier(name="small", model="sonnet", effort="low", max_turns=1, max_micro_usd=1, wall_s=1, idle_s=1)


@pytest.fixture(params=BACKENDS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path}/ashigaru.db" if request.param == "sqlite" else str(POSTGRES)
    engine = open_engine(url)
    if request.param != "sqlite":
        with engine.begin() as connection:
            metadata.drop_all(connection)
            connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
    migrate(engine)
    yield engine
    engine.dispose()


def a_run(records: SqlRecords, run_id: str, *, at: float = 10.0, **changes: object) -> RunRecord:
    """A run of one round at two tiers: refused at the first, shown at the second."""
    fresh = RunRecord(
        run_id=run_id,
        repo="Widgets",
        issue=zlib.crc32(run_id.encode()),
        brief="b",
        model=None,
        phase=Phase.QUEUED,
        base_branch="main",
        branch=run_id,
        created_at=at,
        updated_at=at,
        start_tier=0,
    )
    run = replace(fresh, **changes)  # type: ignore[arg-type]
    records.claim(run)
    first = RoundInput(
        run_id=run_id,
        number=1,
        repo=run.repo,
        issue=run.issue,
        brief="b",
        base_branch="main",
        branch=run_id,
        ladder=(TIER,),
        bounds=Bounds(),
    )
    records.save_round(first, at)
    verdicts: list[tuple[str, Verdict]] = [
        ("small", Failed(summary="no", report="")),
        ("large", NeedsHuman(summary="look", findings=())),
    ]
    for number, (tier, verdict) in enumerate(verdicts, 1):
        records.begin_attempt(
            AttemptRecord(
                run_id=run_id,
                attempt=number,
                round=1,
                tier=tier,
                model="m",
                effort="low",
                from_commit="c",
                placeholder="p",
                started_at=at + number,
            )
        )
        event = Event(kind=EventKind.TEXT, summary="did", tool=None, offset=0, index=0)
        records.append_events(run_id, number, (event,), 10, Transcript(lines=1), at)
        records.end_attempt(run_id, number, ending="completed", detail="", retry_at=None, at=at + number + 0.5)
        for take, said in ((1, Failed(summary="first", report="")), (2, verdict)):
            records.save_judgement(judgement(run_id, number, take, said, at + number + 0.5 + take / 10))
    records.save_judgement(judgement(run_id, 0, 1, Passed(summary="base"), at, what="base"))
    return run


def judgement(run_id: str, attempt: int, take: int, verdict: Verdict, at: float, what: str = "head") -> Judgement:
    return Judgement(
        run_id=run_id,
        what=what,
        attempt=attempt,
        take=take,
        commit="c",
        tree="t",
        head="c",
        base_sha="b",
        key=f"{run_id}{attempt}{take}",
        verdict=verdict,
        counts=Counts(),
        at=at,
    )


def merged(records: SqlRecords, run_id: str, at: float) -> None:
    records.change(run_id, {"phase": Phase.MERGED, "merged_sha": f"sha-{run_id}", "merged_at": at}, at)
    records.release(run_id)


def test_a_run_is_told_with_its_attempts_and_the_last_word_on_each(engine: Engine) -> None:
    a_run(SqlRecords(engine), "one")
    (line,) = SqlLedger(engine).lines(since=0, limit=5)
    assert (line.run_id, line.repo, line.phase, line.reverted_at) == ("one", "Widgets", Phase.QUEUED, None)
    assert line.attempts == (
        AttemptLine(
            attempt=1,
            tier="small",
            started_at=11.0,
            asked_at=10.0,
            ended_at=11.5,
            ending="completed",
            outcome="failed",
            judged_at=11.7,
        ),
        AttemptLine(
            attempt=2,
            tier="large",
            started_at=12.0,
            ended_at=12.5,
            ending="completed",
            outcome="needs_human",
            judged_at=12.7,
        ),
    )


def test_the_newest_runs_of_a_time_a_repository_and_an_owner_are_told(engine: Engine) -> None:
    records, ledger = SqlRecords(engine), SqlLedger(engine)
    a_run(records, "old", at=5.0)
    a_run(records, "other", at=20.0, repo="others")
    a_run(records, "theirs", at=30.0, owner="bot")
    a_run(records, "new", at=40.0)

    def told(**wanted: object) -> list[str]:
        asked = {"since": 0.0, "limit": 9} | wanted
        return [line.run_id for line in ledger.lines(**asked)]  # type: ignore[arg-type]

    assert told() == ["new", "theirs", "other", "old"]
    assert told(since=20.0) == ["new", "theirs", "other"]
    assert told(repo="wIdGeTs") == ["new", "theirs", "old"]
    assert told(owner="bot") == ["theirs"]
    assert told(limit=1) == ["new"]


def test_a_merge_is_remembered_as_taken_back_and_as_brought_back(engine: Engine) -> None:
    records, ledger = SqlRecords(engine), SqlLedger(engine)
    for number, run_id in enumerate(("first", "second", "open")):
        a_run(records, run_id, at=float(number))
    merged(records, "first", 50.0)
    merged(records, "second", 60.0)
    assert [one.run_id for one in ledger.landed(0.0, 9)] == ["second", "first"]
    assert [one.run_id for one in ledger.landed(55.0, 9)] == ["second"]
    for at in (70.0, 80.0):
        ledger.reverted("first", "abc", at)
    assert ledger.landed(0.0, 9)[1] == Landed(
        run_id="first", repo="Widgets", branch="main", sha="sha-first", reverted_by="abc"
    )
    assert {line.run_id: line.reverted_at for line in ledger.lines(since=0, limit=9)}["first"] == 70.0
    ledger.reverted("first", "", 90.0)
    assert ledger.landed(0.0, 9)[1].reverted_by == ""
    ledger.reverted("first", None, 95.0)
    ledger.reverted("first", None, 95.0)
    assert ledger.landed(0.0, 9)[1].reverted_by is None


def test_an_ended_runs_history_goes_and_all_that_tells_of_it_stays(engine: Engine) -> None:
    records, history = SqlRecords(engine), SqlHistory(engine)
    a_run(records, "live", at=1.0)
    run = a_run(records, "ended", at=2.0)
    first = records.round_input("ended", 1)
    assert first is not None
    records.save_round(replace(first, number=2), 3.0)
    records.save_checks("ended", (Check(name="test", state=CheckState.PASSED),), 3.0)
    records.take_up("ended", 2, (("remark", 1.0),))
    records.notify("ended", "k", NoticeKind.MERGED, "Merged.", 3.0)
    records.change("ended", {"phase": Phase.MERGED, "round": 2}, 4.0)
    (thing,) = history.things()
    assert (thing.name, thing.used_at, thing.runs) == ("ended", 4.0, frozenset({"ended"}))
    before = records.judgements("ended"), records.notices("ended"), records.run("ended")
    assert history.put_away(thing)
    assert history.put_away(thing)
    assert list(history.things()) == []
    assert (records.judgements("ended"), records.notices("ended"), records.run("ended")) == before
    assert (records.events("ended"), records.checks("ended"), records.taken_up("ended")) == ([], (), [])
    assert (records.round_input("ended", 1), records.round_input("ended", 2)) == (None, replace(first, number=2))
    told = records.attempts("ended")
    assert [(one.tier, one.ending, one.transcript) for one in told] == [
        ("small", "completed", None),
        ("large", "completed", None),
    ]
    assert run.repo == "Widgets"
    assert len(records.events("live")) == 2


def test_the_history_of_a_live_run_does_not_go_whoever_asks(engine: Engine) -> None:
    records, history = SqlRecords(engine), SqlHistory(engine)
    a_run(records, "live")
    thing = Thing(kind=Kept.HISTORY, name="live", used_at=0.0, runs=frozenset({"live"}))
    assert not history.put_away(thing)
    assert not history.put_away(replace(thing, name="nobody"))
    assert len(records.events("live")) == 2


def test_a_command_gives_receipts_beside_the_daemon_and_the_chain_holds(engine: Engine, tmp_path: Path) -> None:
    both = [SqlReceipts(engine, SystemClock(), host="here", anchors=tmp_path / "anchors") for _ in range(2)]

    def give(receipts: SqlReceipts, whose: int) -> None:
        for number in range(10):
            receipts.record(Deed(kind=Kind.PUT_AWAY, key=f"{whose}-{number}", detail={"n": number}))

    hands = [threading.Thread(target=give, args=(one, whose)) for whose, one in enumerate(both)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(60)
    found = verified("here", both[0].links(), both[0].anchors())
    assert isinstance(found, Head)
    assert found.number == 20
