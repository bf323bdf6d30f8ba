"""What a daemon keeps, and where the repositories are: opened together, closed together."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from mcp_ashigaru.listening import door_of
from mcp_ashigaru.settings import Settings
from mcp_ashigaru.stores import (
    checkouts_of,
    forge_of,
    github_of,
    keyring_of,
    moments_of,
    receipted,
    receipts_of,
    records_url,
    slots_of,
    spending_of,
    try_to_write,
)
from mcp_ashigaru.web.doorkeeper import Door
from runner.adapters.host_lock import only_host
from runner.adapters.local_forge import LocalForge
from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_faults import report
from runner.adapters.sql_moments import SqlMoments
from runner.adapters.sql_receipts import ReceiptedRecords, SqlReceipts
from runner.adapters.sql_slots import SqlSlots
from runner.errors import RecordsFault
from runner.ports import Checkouts, Clock, Forge
from runner.spending import Spending
from runner.standstill import Standstill

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Books:
    """What is kept, and where the repositories are. local: the local forge, whichever is the forge."""

    database: Engine
    door: Door
    receipts: SqlReceipts
    records: ReceiptedRecords
    spending: Spending
    local: LocalForge
    forge: Forge
    checkouts: Checkouts
    moments: SqlMoments
    slots: SqlSlots

    def try_to_write(self) -> None:
        """Nothing, where the records and the receipts can be written. Raises RecordsFault."""
        try_to_write(self.database, self.receipts)


def open_books(settings: Settings, clock: Clock, standstill: Standstill, stack: ExitStack) -> Books:
    """All of them open, until `stack` is closed. Raises ConfigError, RunnerError with one sentence."""
    database = open_engine(records_url(settings))
    stack.callback(database.dispose)
    migrate(database)
    stack.enter_context(only_host(database, settings.host_id))
    report(database, "The records", standstill.begin)
    door = door_of(settings, keyring_of(settings, database, clock))
    receipts = receipts_of(settings, database, clock)
    receipts.recover()
    stack.callback(_anchor, receipts)
    records = ReceiptedRecords(database, receipts)
    local = forge_of(settings, database)
    real: Forge = github_of(settings, clock) if settings.forge == "github" else local
    forge, checkouts = receipted(receipts, records, real, checkouts_of(settings))
    return Books(
        database=database,
        door=door,
        receipts=receipts,
        records=records,
        spending=spending_of(settings, database, clock),
        local=local,
        forge=forge,
        checkouts=checkouts,
        moments=moments_of(settings, database),
        slots=slots_of(settings, database),
    )


def _anchor(receipts: SqlReceipts) -> None:
    """The chain's head is in the anchor file, if anything can be written; a daemon leaves all the same."""
    try:
        receipts.anchor()
    except RecordsFault as exc:
        _LOG.warning("the last receipts are not anchored: %s", exc)
