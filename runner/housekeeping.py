"""Keeps the house: what `runner.retention` says may go, goes. One sweep at a time on a host, each within its time.

A sweep may be cut off anywhere, by its own deadline or by the end of the process: the next one goes on.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from runner.errors import RunnerError
from runner.model import LIVE_PHASES
from runner.ports import Clock
from runner.receipts import Deed, Receipts, Stage, subject
from runner.receipts import Kind as ReceiptKind
from runner.records import Records
from runner.retention import Going, Kind, Live, Retention, Thing, plan, told_bytes

_LOG: Final = logging.getLogger(__name__)
_MOST_LIVE: Final = 100_000
_LOOKING: Final = 0.5
"""The share of a sweep's time that may go into looking at what there is."""
_RECEIPTED: Final = frozenset({Kind.CLONE, Kind.HISTORY})
"""More than a cache: nobody can make it anew."""


class Stock(Protocol):
    """One kind of things that the house keeps. Both raise RunnerError or OSError."""

    @property
    def kind(self) -> Kind:
        """What they are."""

    def things(self) -> Iterable[Thing]:
        """What there is, bounded."""

    def put_away(self, thing: Thing) -> bool:
        """The thing is gone (or, of PACKS, packed); False where it is in use again after all. Twice is once."""


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep did, or with a dry run would do. left: due, but the time was up. kept: kind, number and bytes.

    faults: what could not be put away, a sentence each, bounded. busy: another sweep was under way; nothing was done.
    """

    gone: tuple[Going, ...] = ()
    left: int = 0
    kept: tuple[tuple[Kind, int, int], ...] = ()
    faults: tuple[str, ...] = ()
    busy: bool = False

    @property
    def freed(self) -> int:
        """Bytes that what is gone took, as far as anybody can tell."""
        return sum(going.thing.bytes or 0 for going in self.gone if going.thing.kind is not Kind.PACKS)


@dataclass(frozen=True, kw_only=True)
class Housekeeping:
    """Sweeps. stocks: of each kind one at most, in no order. Safe from any thread and any process."""

    stocks: Sequence[Stock]
    records: Records
    receipts: Receipts
    clock: Clock
    keep: Retention
    state_dir: Path
    stopping: Callable[[], bool] = field(default=lambda: False)

    def sweep(self, *, dry_run: bool = False, tight: bool = False, within_s: float | None = None) -> Swept:
        """Put away what may go, for at most `within_s` seconds (else as long as the settings say). Raises RecordsFault.

        tight: the disk is full. A fault with one thing, or with one kind, keeps nothing else.
        """
        with _only_sweep(self.state_dir) as alone:
            if not alone:
                return Swept(busy=True)
            return self._sweep(self.keep.sweep_s if within_s is None else within_s, dry_run=dry_run, tight=tight)

    def _sweep(self, within_s: float, *, dry_run: bool, tight: bool) -> Swept:
        faults: list[str] = []
        begun = self.clock.monotonic()
        ends, looked = begun + within_s, begun + within_s * _LOOKING
        stocks = {stock.kind: stock for stock in self.stocks}
        things = [thing for stock in stocks.values() for thing in self._listed(stock, looked, faults)]
        due = plan(self.clock.now(), things, self._live(), self.keep, tight=tight)
        gone: list[Going] = list(due) if dry_run else []
        left = 0
        for going in () if dry_run else due:
            if self.stopping() or self.clock.monotonic() >= ends:
                left += 1
            elif self._put_away(stocks[going.thing.kind], going, faults):
                gone.append(going)
        names = {(going.thing.kind, going.thing.name) for going in gone}
        stay = [thing for thing in things if (thing.kind, thing.name) not in names]
        kept = ((kind, [thing.bytes or 0 for thing in stay if thing.kind is kind]) for kind in Kind)
        return Swept(
            gone=tuple(gone),
            left=left,
            kept=tuple((kind, len(sizes), sum(sizes)) for kind, sizes in kept if sizes and kind is not Kind.PACKS),
            faults=tuple(faults[:20]),
        )

    def _listed(self, stock: Stock, ends: float, faults: list[str]) -> list[Thing]:
        """What there is, as far as there is time to look: what was not seen stays, and of what was seen the newest."""
        found: list[Thing] = []
        try:
            for thing in stock.things():
                found.append(thing)
                if self.stopping() or self.clock.monotonic() >= ends:
                    break
        except (RunnerError, OSError) as exc:
            _LOG.warning("what the house keeps of %s could not be looked at", stock.kind.value, exc_info=True)
            faults.append(f"{stock.kind.value}: {exc}")
        return found

    def _put_away(self, stock: Stock, going: Going, faults: list[str]) -> bool:
        """Whether it is gone now. What is live again meanwhile stays: a plan is older than its deeds."""
        thing = going.thing
        try:
            if any(self._is_live(run_id) for run_id in thing.runs):
                return False
            if thing.repo is not None and self._live().holds(thing):
                return False
            return self._with_receipt(stock, going) if thing.kind in _RECEIPTED else stock.put_away(thing)
        except (RunnerError, OSError) as exc:
            _LOG.warning("%s %s could not be put away", thing.kind.value, thing.name, exc_info=True)
            faults.append(f"{thing.kind.value} {thing.name}: {exc}")
            return False

    def _with_receipt(self, stock: Stock, going: Going) -> bool:
        thing = going.thing
        deed = Deed(
            kind=ReceiptKind.PUT_AWAY,
            key=subject("put_away", thing.kind.value, thing.name),
            run_id=next(iter(thing.runs), ""),
            detail={"what": thing.kind.value, "name": thing.name, "why": going.why, "bytes": thing.bytes or 0},
        )
        intent = self.receipts.begin(deed)
        try:
            gone = stock.put_away(thing)
        except (RunnerError, OSError) as exc:
            self.receipts.settle(deed, intent, Stage.UNKNOWN, {"fault": type(exc).__name__})
            raise
        self.receipts.settle(deed, intent, Stage.DONE if gone else Stage.REFUSED, {})
        return gone

    def _live(self) -> Live:
        runs = self.records.runs(phases=LIVE_PHASES, limit=_MOST_LIVE)
        return Live(runs=frozenset(run.run_id for run in runs), repos=frozenset(run.repo.lower() for run in runs))

    def _is_live(self, run_id: str) -> bool:
        run = self.records.run(run_id)
        return run is not None and run.phase in LIVE_PHASES


def held_words(swept: Swept) -> str:
    """What the house keeps, the largest first, in a few words; "" where it is nothing worth telling."""
    largest = sorted(swept.kept, key=lambda one: -one[2])[:3]
    return ", ".join(f"{told_bytes(size)} of {_PLURAL[kind]}" for kind, _, size in largest if size)


_PLURAL: Final = {
    Kind.RUN_FILES: "files of runs",
    Kind.SOCKETS: "sockets",
    Kind.CLONE: "clones of ended runs",
    Kind.HISTORY: "history",
    Kind.ROUNDS: "ended rounds",
    Kind.LAYER: "set-up layers",
    Kind.MIRROR: "mirrors",
    Kind.COPY: "copies to judge by hand",
    Kind.IMAGE: "old images",
    Kind.PACKS: "packs",
}


@contextmanager
def _only_sweep(state_dir: Path) -> Iterator[bool]:
    """Whether nobody else sweeps there. The kernel ends the claim with its process."""
    state_dir.mkdir(parents=True, exist_ok=True)
    fd = os.open(state_dir / "sweep.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(fd)
