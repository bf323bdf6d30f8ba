"""A host that loses its power in the middle of a write: what was on record before is, and all of it goes together."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcp_ashigaru.state_dir import forge_secret
from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.adapters.system_clock import SystemClock
from runner.launch import read_exit
from runner.receipts import Deed, Head, Kind, Stage, subject
from runner.receipts_check import verified
from runner.transcript import Transcript
from tests.contract.test_records import attempt, event, judgement, run

RUN = "widgets-1-aaaaaa"
EVERY = 100


@dataclass(frozen=True, kw_only=True)
class Written:
    """A database, and the log of what was written since it was whole."""

    database: Path
    log: bytes

    def cut(self, where: Path, size: int) -> Path:
        """What is on the disk when only so many bytes of the log got there."""
        shutil.copyfile(self.database, where)
        Path(f"{where}-wal").write_bytes(self.log[:size])
        Path(f"{where}-shm").unlink(missing_ok=True)
        return where


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    where = tmp_path_factory.mktemp("torn")
    file = where / "ashigaru.db"
    engine = open_engine(f"sqlite:///{file}")
    migrate(engine)
    engine.dispose()
    with closing(sqlite3.connect(file, isolation_level=None)) as plain:
        # Small pages make a short log of as many.
        for word in ("journal_mode=DELETE", "page_size=512"):
            plain.execute(f"PRAGMA {word}")
        plain.execute("VACUUM")
        plain.execute("PRAGMA journal_mode=WAL")
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = where / "whole.db"
        shutil.copyfile(file, whole)
        records = SqlRecords(engine)
        chain = SqlReceipts(engine, SystemClock(), host="here", anchors=where / "anchors")
        records.claim(run())
        records.begin_attempt(attempt())
        for number in range(3):
            transcript = Transcript(offset=10 * number + 10)
            records.append_events(RUN, 1, (event(10 * number),), transcript.offset, transcript, 12.0)
            chain.begin(Deed(kind=Kind.PUSH, key=subject(number), run_id=RUN, detail={"number": number}))
        records.save_judgement(judgement())
        yield Written(database=whole, log=Path(f"{file}-wal").read_bytes())
        engine.dispose()


LOOK = """SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM claims), (SELECT max(cursor) FROM runs),
    (SELECT count(*) FROM events), (SELECT max("offset") FROM attempts), (SELECT count(*) FROM receipts),
    (SELECT count(*) FROM judgements)"""
Seen = tuple[int | None, ...]


@pytest.fixture(scope="module")
def cuts(written: Written, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, Seen]]:
    """What is on record after each cut."""
    file = tmp_path_factory.mktemp("cuts") / "cut.db"
    told: list[tuple[int, Seen]] = []
    for size in [*range(0, len(written.log), EVERY), len(written.log)]:
        with closing(sqlite3.connect(written.cut(file, size))) as plain:
            told.append((size, plain.execute(LOOK).fetchone()))
    return told


def test_a_log_cut_anywhere_leaves_a_whole_number_of_transactions(cuts: list[tuple[int, Seen]]) -> None:
    seen = [one for _, one in cuts]
    assert seen[0] == (0, 0, None, 0, None, 0, 0)
    assert seen[-1] == (1, 1, 5, 3, 30, 3, 1)
    for runs, claims, cursor, events, offset, receipts, judgements in seen:
        # Each of these pairs is written in one transaction.
        assert runs == claims
        assert offset == 10 * (events or 0) or (offset is None and not events)
        assert cursor is None or cursor == 1 + (events or 0) + (judgements or 0)
        assert receipts in {events, (events or 0) - 1}
    counts = [tuple(value or 0 for value in one) for one in seen]
    assert counts == sorted(counts), "what was on record at one byte is on record at the next"
    assert len(set(seen)) == 10


def test_after_each_cut_the_daemons_stores_read_and_write_on(
    written: Written, cuts: list[tuple[int, Seen]], tmp_path: Path
) -> None:
    # One cut for each state that there can be, in the middle of what comes next.
    last = {seen: size for size, seen in cuts}
    for seen, size in last.items():
        file = written.cut(tmp_path / f"{size}.db", size)
        with closing(sqlite3.connect(file)) as plain:
            assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        engine = open_engine(f"sqlite:///{file}")
        migrate(engine)
        records = SqlRecords(engine)
        assert records.claim(run()).run_id == RUN
        records.begin_attempt(attempt())
        # The agent's events are read again from where they were on record up to: none is lost, none is doubled.
        for number in range(3):
            transcript = Transcript(offset=10 * number + 10)
            records.append_events(RUN, 1, (event(10 * number),), transcript.offset, transcript, 12.0)
        assert len(records.events(RUN)) == 3
        chain = SqlReceipts(engine, SystemClock(), host="here", anchors=tmp_path / f"{size}.anchors")
        assert chain.recover() == seen[5]
        chain.record(Deed(kind=Kind.VERDICT, key=subject("more"), run_id=RUN, detail={}))
        assert isinstance(verified("here", chain.links()), Head)
        assert sum(one.stage == Stage.UNKNOWN for one in chain.links()) == seen[5]
        engine.dispose()
    assert len(last) == 10


def test_an_exit_file_cut_anywhere_is_an_exit_or_none() -> None:
    whole = json.dumps({"code": 0, "signal": None, "reason": "exited"}).encode()
    told = [read_exit(whole[:size]) for size in range(len(whole) + 1)]
    assert [one is None for one in told] == [True] * len(whole) + [False]


def test_an_anchor_cut_anywhere_is_none_and_the_next_one_is_whole(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/ashigaru.db")
    migrate(engine)
    file = tmp_path / "anchors"
    chain = SqlReceipts(engine, SystemClock(), host="here", anchors=file)
    for number in range(2):
        chain.record(Deed(kind=Kind.VERDICT, key=subject(number), run_id=RUN, detail={}))
        chain.anchor()
    whole = file.read_bytes()
    first = whole.index(b"\n") + 1
    for size in range(first, len(whole)):
        file.write_bytes(whole[:size])
        assert isinstance(verified("here", chain.links(), chain.anchors()), Head)
        chain.anchor()
        assert file.read_bytes() == whole
    engine.dispose()


def test_a_secret_that_never_got_to_the_disk_is_made_anew(tmp_path: Path) -> None:
    first = forge_secret(tmp_path)
    (tmp_path / "forge-secret").write_bytes(b"")
    second = forge_secret(tmp_path)
    assert len(second) == len(first)
    assert second != first
    assert forge_secret(tmp_path) == second
    assert [path.name for path in tmp_path.iterdir()] == ["forge-secret"]
