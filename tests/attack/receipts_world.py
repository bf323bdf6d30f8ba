"""The real chain of receipts in a database of a case's own, with its anchor file, and hands that write in both."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Engine

from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.sql_schema import receipts
from runner.adapters.system_clock import SystemClock
from runner.receipts import Broken, Deed, Head, Kind, Link, canonical, chained, subject
from runner.receipts_check import verified
from tests.attack.case import Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.records_world import database

HOST = "here"
RUN = "widgets-1-a"


class AnyText(str):
    """A text that passes for every other."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, _other: object) -> bool:
        return True

    def __ne__(self, _other: object) -> bool:
        return False


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A host's chain. Whoever holds the file of the database may write anything into it."""

    engine: Engine
    anchors: Path

    def chain(self, host: str = HOST) -> SqlReceipts:
        """The chain as a daemon has it that has just begun."""
        return SqlReceipts(self.engine, SystemClock(), host=host, anchors=self.anchors)

    def examined(self) -> Head | Broken:
        """What `receipts verify` says."""
        chain = self.chain()
        return verified(HOST, chain.links(), chain.anchors())

    def sql(self, statement: str) -> None:
        """Write in the database by hand."""
        with self.engine.begin() as db:
            db.exec_driver_sql(statement)

    def cut(self, after: int) -> None:
        """All entries after that one are gone."""
        with self.engine.begin() as db:
            db.execute(receipts.delete().where(receipts.c.number > after))

    def put(self, links: Sequence[Link]) -> None:
        """These and no others are the chain now."""
        columns = {column.name for column in receipts.c}
        with self.engine.begin() as db:
            db.execute(receipts.delete().where(receipts.c.host == HOST))
            db.execute(receipts.insert(), [{name: getattr(one, name) for name in columns} for one in links])

    def full(self) -> None:
        """From now on the database takes no receipt."""
        self.sql("CREATE TRIGGER full BEFORE INSERT ON receipts BEGIN SELECT RAISE(ABORT, 'full'); END")


def kept(ground: Ground, entries: int = 0) -> Kept:
    """A chain with so many verdicts in it."""
    made = Kept(engine=database(ground), anchors=ground.directory() / "receipts.anchors")
    fill(made.chain(), range(entries))
    return made


def fill(chain: SqlReceipts, numbers: Sequence[int]) -> None:
    """A verdict for each of the numbers."""
    for number in numbers:
        detail = {"commit": f"{number:040x}"}
        chain.record(Deed(kind=Kind.VERDICT, key=subject(number), run_id=RUN, detail=detail))


def saying(one: Link, **other: Any) -> Link:
    """The entry with something else in its text; its hash is left as it was."""
    return replace(one, body=canonical({**json.loads(one.body), **other}))


def numbered(links: Sequence[Link]) -> list[Link]:
    """The entries with the numbers of their places; their hashes are left as they were."""
    return [replace(saying(one, number=number), number=number) for number, one in enumerate(links, 1)]


def chained_anew(links: Sequence[Link], root: str) -> list[Link]:
    """The entries with hashes that fit, from that root on."""
    made: list[Link] = []
    for one in links:
        made.append(replace(one, hash=chained(made[-1].hash if made else root, one.body)))
    return made


def tampered(change: Callable[[Kept], object], entries: int, ground: Ground) -> Outcome:
    """Somebody writes in the database; is it seen?"""
    made = kept(ground, entries)
    change(made)
    found = made.examined()
    if isinstance(found, Broken):
        return Stopped(by=f"entry {found.number}: {found.what}")
    return Through(what=f"it verifies, up to entry {found.number}")
