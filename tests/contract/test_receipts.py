"""The chain in its database, with its anchors: on SQLite and on PostgreSQL.

The database that the URL names is emptied before each test.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_schema import receipts
from runner.adapters.system_clock import SystemClock
from runner.errors import RecordsFault
from runner.model import ReviewedHead
from runner.receipts import ANCHOR_EVERY, Broken, Deed, Head, Kind, Stage, subject
from runner.receipts_check import verified

RUN = "widgets-1-aaaaaa"


@dataclass
class Kept:
    engine: Engine
    anchors: Path

    def chain(self, host: str = "here") -> SqlReceipts:
        return SqlReceipts(self.engine, SystemClock(), host=host, anchors=self.anchors)

    def stages(self) -> list[tuple[str, int]]:
        return [(one.stage, one.settles) for one in self.chain().links()]

    def verified(self) -> Head | Broken:
        chain = self.chain()
        return verified("here", chain.links(), chain.anchors())

    def tamper(self, statement: str) -> None:
        with self.engine.begin() as db:
            db.exec_driver_sql(statement)


@pytest.fixture
def kept(database_url: str, tmp_path: Path) -> Iterator[Kept]:
    engine = open_engine(database_url)
    migrate(engine)
    yield Kept(engine=engine, anchors=tmp_path / "receipts.anchors")
    engine.dispose()


def push(commit: str = "c1") -> Deed:
    return Deed(kind=Kind.PUSH, key=subject("push", RUN), run_id=RUN, detail={"commit": commit})


def done(chain: SqlReceipts, deed: Deed) -> None:
    chain.settle(deed, chain.begin(deed), Stage.DONE, {})


def fill(chain: SqlReceipts, count: int) -> None:
    for number in range(count):
        chain.record(Deed(kind=Kind.VERDICT, key=subject(number), run_id=RUN, detail={"number": number}))


def test_a_deed_has_its_intent_and_then_its_outcome(kept: Kept) -> None:
    done(kept.chain(), push())
    assert kept.stages() == [("intent", 0), ("done", 1)]
    assert isinstance(kept.verified(), Head)


def test_the_very_same_deed_done_again_has_no_second_entry(kept: Kept) -> None:
    for _ in range(3):
        done(kept.chain(), push())
    assert len(kept.stages()) == 2


def test_the_same_deed_with_another_content_is_another_and_so_is_the_way_back(kept: Kept) -> None:
    for commit in ("c1", "c2", "c1"):
        done(kept.chain(), push(commit))
    assert len(kept.stages()) == 6


def test_a_deed_that_failed_is_on_record_again_when_it_is_done_again(kept: Kept) -> None:
    chain = kept.chain()
    chain.settle(push(), chain.begin(push()), Stage.REFUSED, {"fault": "PushRejected"})
    done(chain, push())
    assert kept.stages() == [("intent", 0), ("refused", 1), ("intent", 0), ("done", 3)]


def test_a_repetition_that_did_not_go_as_before_is_on_record(kept: Kept) -> None:
    chain = kept.chain()
    done(chain, push())
    chain.settle(push(), chain.begin(push()), Stage.UNKNOWN, {"fault": "ForgeDown"})
    assert kept.stages() == [("intent", 0), ("done", 1), ("unknown", 0)]


def test_every_fetch_is_a_deed_of_its_own(kept: Kept) -> None:
    fetch = Deed(kind=Kind.FETCH, key=subject("fetch", "widgets"), detail={"repo": "widgets"})
    for _ in range(2):
        done(kept.chain(), fetch)
    assert len(kept.stages()) == 4


def test_a_deed_that_a_crash_left_open_is_told_to_be_unknown_once(kept: Kept) -> None:
    chain = kept.chain()
    done(chain, push("c0"))
    chain.begin(push())
    assert [kept.chain().recover(), kept.chain().recover()] == [1, 0]
    assert kept.stages()[2:] == [("intent", 0), ("unknown", 3)]
    done(kept.chain(), push())
    assert kept.stages()[4:] == [("intent", 0), ("done", 5)], "done again by the step that is repeated"
    assert isinstance(kept.verified(), Head)


def test_the_last_merge_that_was_begun_is_known_whatever_became_of_it(kept: Kept) -> None:
    records = SqlRecords(kept.engine)
    assert records.merge_begun(RUN) is None
    done(kept.chain(), push())
    for head in ("a" * 40, "b" * 40):
        told = {"repo": "widgets", "pull": 7, "head": head, "base": "c" * 40, "tree": "d" * 40}
        kept.chain().begin(Deed(kind=Kind.MERGE, key=subject("merge", "widgets", 7, ""), run_id=RUN, detail=told))
    done(kept.chain(), push("c2"))
    assert records.merge_begun(RUN) == ReviewedHead(
        repo="widgets", pull=7, head_sha="b" * 40, base_sha="c" * 40, tree="d" * 40
    )
    assert records.merge_begun("widgets-2-bbbbbb") is None


def test_threads_append_to_one_chain(kept: Kept) -> None:
    chain = kept.chain()
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda number: done(chain, Deed(kind=Kind.SAY, key=subject(number), detail={})), range(30)))
    assert kept.verified() == Head(number=60, hash=list(chain.links())[-1].hash)
    assert [one.number for one in chain.anchors()] == [16, 32, 48]


def test_each_host_has_a_chain_of_its_own(kept: Kept) -> None:
    done(kept.chain(), push())
    done(kept.chain("there"), push())
    assert [one.number for one in kept.chain("there").links()] == [1, 2]
    assert isinstance(kept.verified(), Head)


def test_a_runs_digest_stays_the_same_while_it_is_published(kept: Kept) -> None:
    chain = kept.chain()
    fill(chain, 3)
    told = chain.digest(RUN)
    done(chain, push())
    assert chain.digest(RUN) == told
    assert (told.entries, told.head.number) == (3, 3)


def test_a_chain_of_several_pages_is_read_whole(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.adapters.sql_receipts._AT_ONCE", 4)
    fill(kept.chain(), 9)
    assert [one.number for one in kept.chain().links()] == list(range(1, 10))
    assert len(list(kept.chain().links(run_id=RUN))) == 9


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE receipts SET body = replace(body, '\"number\":6', '\"number\":7') WHERE number = 7", 7),
        ("UPDATE receipts SET hash = 'g' || substr(hash, 2) WHERE number = 7", 7),
        ("UPDATE receipts SET stage = 'refused' WHERE number = 7", 7),
        ("UPDATE receipts SET run_id = 'other' WHERE number = 7", 7),
        ("UPDATE receipts SET settles = 3 WHERE number = 7", 7),
        ("UPDATE receipts SET host = 'there' WHERE number = 7", 7),
        ("UPDATE receipts SET number = 700 WHERE number = 7", 7),
        ("DELETE FROM receipts WHERE number = 7", 7),
        ("DELETE FROM receipts WHERE number > 10", 11),
        ("DELETE FROM receipts", 1),
    ],
)
def test_a_table_that_somebody_wrote_in_is_told_with_the_place(kept: Kept, statement: str, place: int) -> None:
    fill(kept.chain(), 20)
    kept.tamper(statement)
    found = kept.verified()
    assert isinstance(found, Broken)
    assert found.number == place


def test_bytes_that_are_no_text_are_told_with_the_place(kept: Kept) -> None:
    if kept.engine.dialect.name == "sqlite":
        fill(kept.chain(), 5)
        kept.tamper("UPDATE receipts SET body = CAST(X'FF00FE' AS TEXT) WHERE number = 3")
        found = kept.verified()
        assert isinstance(found, Broken)
        assert found.number == 3


def test_an_end_cut_off_after_the_daemon_left_is_told(kept: Kept) -> None:
    chain = kept.chain()
    fill(chain, ANCHOR_EVERY + 2)
    chain.anchor()
    chain.anchor()
    assert [one.number for one in chain.anchors()] == [ANCHOR_EVERY, ANCHOR_EVERY + 2]
    with kept.engine.begin() as db:
        db.execute(receipts.delete().where(receipts.c.number == ANCHOR_EVERY + 2))
    found = kept.verified()
    assert isinstance(found, Broken)
    assert found.number == ANCHOR_EVERY + 2


def test_what_is_appended_after_a_cut_does_not_hide_it(kept: Kept) -> None:
    fill(kept.chain(), ANCHOR_EVERY)
    with kept.engine.begin() as db:
        db.execute(receipts.delete().where(receipts.c.number > 10))
    for number in range(100, 120):
        kept.chain().record(Deed(kind=Kind.VERDICT, key=subject(number), detail={"number": number}))
    found = kept.verified()
    assert isinstance(found, Broken)
    assert found.number == ANCHOR_EVERY


def test_an_anchor_that_a_crash_cut_off_is_written_over(kept: Kept) -> None:
    fill(kept.chain(), ANCHOR_EVERY)
    with kept.anchors.open("ab") as file:
        file.write(b"32 abc")
    kept.chain().anchor()
    fill(kept.chain(), 2 * ANCHOR_EVERY)
    assert [one.number for one in kept.chain().anchors()] == [ANCHOR_EVERY, 2 * ANCHOR_EVERY]
    assert isinstance(kept.verified(), Head)


def test_an_anchor_file_that_is_a_link_is_not_written_through(kept: Kept, tmp_path: Path) -> None:
    kept.anchors.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordsFault, match="cannot be written"):
        fill(kept.chain(), ANCHOR_EVERY)
    assert not (tmp_path / "elsewhere").exists()
