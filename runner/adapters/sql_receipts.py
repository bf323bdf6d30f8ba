"""The host's chain of receipts in the records' database, its anchor file beside; and records that give receipts."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, RowMapping

from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_schema import receipts
from runner.adapters.sql_turns import reading, writing
from runner.errors import RecordsDown, RecordsFault
from runner.host_words import MORE_FILES, NO_FILES
from runner.ports import Clock
from runner.receipts import (
    ANCHOR_EVERY,
    Deed,
    Detail,
    Digest,
    Entry,
    Head,
    Kind,
    Link,
    Receipts,
    Stage,
    bounded,
    link,
    root,
    subject,
)
from runner.receipts_check import anchor_line, anchors_of
from runner.records import Judgement

_CURE: Final = "The receipts cannot be read or written; check the database and its disk."
_AT_ONCE: Final = 500
_CHAIN: Final = 0x6173_6869  # any number that no other lock in the database has
_LEFT: Final = {"why": "the daemon left before it was told"}
# Each of these was done anew, whatever was done before it.
_EACH: Final = {Kind.FETCH}
_PUBLISHED_AFTER: Final = (Kind.VERDICT, Kind.MODEL)


class SqlReceipts:
    """`runner.receipts.Receipts` of one host. One instance a daemon: its lock orders the chain."""

    def __init__(self, engine: Engine, clock: Clock, *, host: str, anchors: Path) -> None:
        """Use the pool and the anchor file; opens nothing yet."""
        self._engine = engine
        self._clock = clock
        self._host = host
        self._anchors = anchors
        self._lock = threading.Lock()
        self._owed = False

    def begin(self, deed: Deed) -> int:
        """See `Receipts.begin`."""
        with self._appending() as db:
            if deed.kind not in _EACH and self._done_before(db, deed):
                return 0
            return self._append(db, deed, Stage.INTENT, deed.detail).number

    def settle(self, deed: Deed, intent: int, stage: Stage, outcome: Detail) -> None:
        """See `Receipts.settle`."""
        if intent or stage is not Stage.DONE:
            with self._appending() as db:
                self._append(db, deed, stage, outcome, settles=intent)

    def record(self, deed: Deed) -> None:
        """See `Receipts.record`."""
        with self._appending() as db:
            if not self._done_before(db, deed):
                self._append(db, deed, Stage.DONE, deed.detail)

    def digest(self, run_id: str) -> Digest:
        """See `Receipts.digest`."""
        entries, head = 0, Head(number=0, hash=root(self._host))
        for count, one in enumerate(self.links(run_id=run_id), 1):
            if json.loads(one.body)["kind"] in _PUBLISHED_AFTER:
                entries, head = count, Head(number=one.number, hash=one.hash)
        return Digest(host=self._host, head=head, entries=entries)

    def recover(self) -> int:
        """What an earlier daemon began and never settled is on record as unknown; how many. Before any deed."""
        settled = sa.select(receipts.c.settles).where(receipts.c.host == self._host)
        query = (
            sa.select(receipts)
            .where(receipts.c.host == self._host, receipts.c.stage == Stage.INTENT.value)
            .where(receipts.c.number.not_in(settled))
            .order_by(receipts.c.number)
        )
        with self._appending() as db:
            open_ones = [_link(row) for row in db.execute(query).mappings()]
            for one in open_ones:
                said = json.loads(one.body)
                deed = Deed(kind=Kind(said["kind"]), key=one.key, run_id=one.run_id, detail=_LEFT)
                self._append(db, deed, Stage.UNKNOWN, _LEFT, settles=one.number)
        return len(open_ones)

    def links(self, *, run_id: str | None = None) -> Iterator[Link]:
        """The host's chain in its order, or a run's entries in it; read as it is used, a page at a time."""
        after: int | None = None
        while True:
            query = sa.select(receipts).where(receipts.c.host == self._host)
            if run_id is not None:
                query = query.where(receipts.c.run_id == run_id)
            if after is not None:
                query = query.where(receipts.c.number > after)
            with self._reading() as db:
                # As bytes where they may be any: what no longer is UTF-8 has its place in the chain too.
                shown = query.with_only_columns(*_raw(db.dialect.name))
                page = [_link(row) for row in db.execute(shown.order_by(receipts.c.number).limit(_AT_ONCE)).mappings()]
            yield from page
            if len(page) < _AT_ONCE:
                return
            after = page[-1].number

    def anchor(self) -> None:
        """The chain's head is in the anchor file. Raises RecordsFault."""
        with self._lock, self._reading() as db:
            head = self._head(db)
        if head.number and head not in self.anchors()[-1:]:
            self._anchor(head)

    def anchors(self) -> tuple[Head, ...]:
        """What the anchor file says; nothing where there is none. Raises RecordsFault."""
        try:
            return anchors_of(self._anchors.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return ()
        except OSError as exc:
            if exc.errno in NO_FILES:
                raise RecordsDown(f"{self._anchors} cannot be read ({exc.strerror}); {MORE_FILES}.") from exc
            raise RecordsFault(f"{self._anchors} cannot be read; correct its rights.") from exc

    # --- appending ---

    @contextmanager
    def _appending(self) -> Iterator[Connection]:
        """A transaction that no other of this daemon overlaps; what it appended is anchored when it is due."""
        with self._lock:
            with writing(self._engine, _CURE) as db:
                if db.dialect.name == "postgresql":
                    # SQLite begins as a writer; here a command of a person's may append beside the daemon.
                    db.execute(sa.select(sa.func.pg_advisory_xact_lock(_CHAIN)))
                before = self._head(db)
                yield db
                after = self._head(db)
            # One that could not be written is owed with the next entry.
            if self._owed or after.number // ANCHOR_EVERY > before.number // ANCHOR_EVERY:
                self._anchor(after)

    def _reading(self) -> AbstractContextManager[Connection]:
        return reading(self._engine, _CURE)

    def _append(self, db: Connection, deed: Deed, stage: Stage, detail: Detail, *, settles: int = 0) -> Link:
        head = self._head(db)
        entry = Entry(
            host=self._host,
            number=head.number + 1,
            at_ms=int(self._clock.now() * 1000),
            kind=deed.kind,
            stage=stage,
            key=deed.key,
            run_id=deed.run_id,
            detail=detail,
            settles=settles,
        )
        made = link(head, entry)
        db.execute(receipts.insert().values(**asdict(made)))
        return made

    def _head(self, db: Connection) -> Head:
        query = sa.select(receipts.c.number, receipts.c.hash).where(receipts.c.host == self._host)
        row = db.execute(query.order_by(receipts.c.number.desc()).limit(1)).first()
        return Head(number=0, hash=root(self._host)) if row is None else Head(number=row[0], hash=row[1])

    def _done_before(self, db: Connection, deed: Deed) -> bool:
        """Whether the last outcome of the deed's key is that this very deed was done."""
        mine = sa.select(receipts).where(receipts.c.host == self._host)
        last = (
            db.execute(mine.where(receipts.c.key == deed.key).order_by(receipts.c.number.desc()).limit(1))
            .mappings()
            .first()
        )
        if last is None or last["stage"] != Stage.DONE.value:
            return False
        asked: Any = last
        if last["settles"]:
            asked = db.execute(mine.where(receipts.c.number == last["settles"])).mappings().first()
        return asked is not None and json.loads(asked["body"])["detail"] == bounded(deed.detail)

    def _anchor(self, head: Head) -> None:
        self._owed = True
        try:
            fd = os.open(self._anchors, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "r+b", buffering=0) as file:
                _drop_the_torn(file.fileno())
                file.write(anchor_line(head).encode("ascii"))
                os.fsync(file.fileno())
        except OSError as exc:
            cure = MORE_FILES if exc.errno in NO_FILES else "correct their rights or their disk"
            raise RecordsDown(f"The receipts' anchors cannot be written ({exc.strerror}); {cure}.") from exc
        self._owed = False


class ReceiptedRecords(SqlRecords):
    """The daemon's memory, in which no verdict and no attempt's spend is kept without its receipt, given first."""

    def __init__(self, engine: Engine, receipts_of_host: Receipts) -> None:
        """Use the pool, and the chain that is in the same database."""
        super().__init__(engine)
        self._receipts = receipts_of_host

    def save_judgement(self, judgement: Judgement) -> None:
        """See `Records.save_judgement`."""
        kind = judgement.verdict.kind
        self._receipts.record(
            Deed(
                kind=Kind.UNJUDGED if kind == "unjudged" else Kind.VERDICT,
                key=subject(
                    "verdict", judgement.run_id, judgement.what, judgement.attempt, judgement.take, judgement.base_sha
                ),
                run_id=judgement.run_id,
                detail={
                    "what": judgement.what,
                    "attempt": judgement.attempt,
                    "take": judgement.take,
                    "commit": judgement.commit,
                    "tree": judgement.tree,
                    "base": judgement.base_sha,
                    "key": judgement.key,
                    "image": judgement.image or "",
                    "verdict": kind,
                },
            )
        )
        super().save_judgement(judgement)

    def end_attempt(
        self, run_id: str, attempt: int, *, ending: str, detail: str, retry_at: float | None, at: float
    ) -> None:
        """See `Records.end_attempt`."""
        known = self.attempt(run_id, attempt)
        if known is not None:
            self._receipts.record(
                Deed(
                    kind=Kind.MODEL,
                    key=subject("model", run_id, attempt),
                    run_id=run_id,
                    detail={
                        "attempt": attempt,
                        "tier": known.tier,
                        "model": known.model,
                        "micro_usd": known.micro_usd,
                        "ending": ending,
                    },
                )
            )
        super().end_attempt(run_id, attempt, ending=ending, detail=detail, retry_at=retry_at, at=at)


def _link(row: RowMapping) -> Link:
    return Link(**{name: _text(value) for name, value in row.items()})


def _text(value: object) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _raw(dialect: str) -> list[sa.ColumnElement[Any]]:
    """The columns, text as bytes on SQLite, which takes any bytes for text and fails only when they are read."""
    return [
        sa.cast(column, sa.LargeBinary).label(column.name)
        if dialect == "sqlite" and isinstance(column.type, sa.String)
        else column
        for column in receipts.c
    ]


def _drop_the_torn(fd: int) -> None:
    """Have the file end with a whole line: an anchor that a crash cut off in the middle was none."""
    size = os.fstat(fd).st_size
    tail = os.pread(fd, 256, max(0, size - 256))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(fd, size - len(tail) + tail.rfind(b"\n") + 1)
