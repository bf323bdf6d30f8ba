"""Money that is remembered in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from runner.errors import RecordsFault


@dataclass(kw_only=True)
class MemoryLedger:
    """A ledger that keeps every entry as it came."""

    entries: list[tuple[str, int, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def spent(self, run_id: str) -> int:
        with self.lock:
            return sum(cost for run, _, cost in self.entries if run == run_id)

    def add(self, run_id: str, attempt: int, micro_usd: int) -> None:
        with self.lock:
            self.entries.append((run_id, attempt, micro_usd))


@dataclass(kw_only=True)
class FailingLedger(MemoryLedger):
    """A ledger that takes nothing while it is out of order, and cannot be read where `unreadable`."""

    out_of_order: bool = True
    unreadable: bool = False

    def spent(self, run_id: str) -> int:
        if self.unreadable:
            raise RecordsFault("The records cannot be read; see to the disk.")
        return super().spent(run_id)

    def add(self, run_id: str, attempt: int, micro_usd: int) -> None:
        if self.out_of_order:
            raise RecordsFault("The records cannot be written; see to the disk.")
        super().add(run_id, attempt, micro_usd)
