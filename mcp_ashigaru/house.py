"""What the house is kept with, and its books, for the daemon and for the people's commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.engine import Engine

from mcp_ashigaru.settings import Settings
from mcp_ashigaru.state_dir import make_state_dir
from mcp_ashigaru.stores import checkouts_of, engine_url, receipts_of, records_url
from runner.adapters.dbos_house import EndedRounds
from runner.adapters.forge_intake import name_on_disk
from runner.adapters.git_history import GitHistory
from runner.adapters.git_house import Clones, Packs, Place, Repositories, copies, mirrors
from runner.adapters.sql_engine import open_engine, ready
from runner.adapters.sql_house import SqlHistory
from runner.adapters.sql_ledger import SqlLedger
from runner.adapters.sql_receipts import ReceiptedRecords
from runner.adapters.system_clock import SystemClock
from runner.house_files import Layers, RunFiles, Sockets
from runner.house_watch import HouseWatch
from runner.housekeeping import Housekeeping, Stock
from runner.images.unused import UnusedImages
from runner.layout import Layout
from runner.ledger import Ledger
from runner.ports import Checkouts, Clock, Forge
from runner.receipts import Receipts
from runner.records import Records
from runner.retention import Kind
from runner.reverts import Reverts


@dataclass(frozen=True, kw_only=True)
class House:
    """The ports that keeping the house needs."""

    engine: Engine
    records: Records
    receipts: Receipts
    checkouts: Checkouts
    clock: Clock

    @property
    def ledger(self) -> Ledger:
        """What runs came to, on the records' database."""
        return SqlLedger(self.engine)

    def keeping(
        self, settings: Settings, podman: Sequence[str], stopping: Callable[[], bool] = lambda: False
    ) -> Housekeeping:
        """Keeps what is below the state directory and in the databases. podman: see `walls.own_podman`."""
        layout = Layout(state_dir=settings.state_dir)
        git, local = layout.mirrors_and_clones, settings.state_dir / "local"
        stocks: list[Stock] = [
            RunFiles(layout=layout),
            Sockets(layout=layout, records=self.records),
            Layers(layout=layout),
            Clones(root=git, checkouts=self.checkouts, records=self.records),
            Repositories(place=mirrors(git), kind=Kind.MIRROR),
            Repositories(place=copies(local), kind=Kind.COPY),
            Packs(places=(mirrors(git), _forge(layout)), home=git / "home"),
            SqlHistory(self.engine),
            EndedRounds(url=engine_url(settings)),
        ]
        if podman:
            used = frozenset({settings.agent_image, settings.relay_image, settings.gate_image})
            stocks.append(UnusedImages(podman=podman, used=used))
        return Housekeeping(
            stocks=stocks,
            records=self.records,
            receipts=self.receipts,
            clock=self.clock,
            keep=settings.keep,
            state_dir=settings.state_dir,
            stopping=stopping,
        )

    def watch(
        self, settings: Settings, forge: Forge, podman: Sequence[str], stopping: Callable[[], bool]
    ) -> HouseWatch:
        """Keeps it while the daemon runs, and looks for merges that were taken back."""
        reverts = Reverts(
            ledger=self.ledger,
            history=GitHistory(checkouts=checkouts_of(settings)),
            checkouts=self.checkouts,
            forge=forge,
            clock=self.clock,
        )
        return HouseWatch(house=self.keeping(settings, podman, stopping), after=reverts.look)


def _forge(layout: Layout) -> Place:
    """The local forge's repositories, under the forge's own locks."""
    return Place(
        folder=layout.forge,
        lock_of=lambda place: layout.forge / ".locks" / name_on_disk(place.name.removesuffix(".git")),
        repo_of=lambda place: place.name.removesuffix(".git"),
    )


@contextmanager
def _records(settings: Settings) -> Iterator[Engine]:
    make_state_dir(settings.state_dir)
    engine = open_engine(records_url(settings))
    try:
        ready(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def open_housekeeping(settings: Settings, podman: Sequence[str]) -> Iterator[Housekeeping]:
    """Keeps the house for a command, with or without a running daemon."""
    clock = SystemClock()
    with _records(settings) as engine:
        receipts = receipts_of(settings, engine, clock)
        records = ReceiptedRecords(engine, receipts)
        house = House(engine=engine, records=records, receipts=receipts, checkouts=checkouts_of(settings), clock=clock)
        yield house.keeping(settings, podman)


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger of the state directory, with or without a running daemon."""
    with _records(settings) as engine:
        yield SqlLedger(engine)
