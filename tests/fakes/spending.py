"""Books that are kept in memory, by the same rules as the real ones."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from runner.errors import RecordsFault
from runner.spending import (
    Account,
    Admission,
    Asking,
    Barrier,
    DayBudgets,
    Halt,
    Reserved,
    Today,
    weigh,
)


@dataclass(kw_only=True)
class MemorySpending:
    """Books of one endless day."""

    budgets: DayBudgets = field(default_factory=DayBudgets)
    settled: list[tuple[str, str, int]] = field(default_factory=list)
    held: dict[int, Asking] = field(default_factory=dict)
    switch: Halt | None = None
    asked: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def spent(self, run_id: str) -> int:
        with self.lock:
            return sum(cost for run, _, cost in self.settled if run == run_id)

    def add(self, run_id: str, micro_usd: int) -> None:
        with self.lock:
            self.settled.append((run_id, "widgets", micro_usd))

    def reserve(self, asking: Asking) -> Admission:
        with self.lock:
            accounts = self._accounts(asking.repo, asking.run_id, asking.run_bound)
            in_the_way = weigh(self.switch, accounts, asking.estimate)
            if in_the_way is not None:
                return in_the_way
            self.asked += 1
            self.held[self.asked] = asking
            return Reserved(id=self.asked)

    def settle(self, reservation: int, micro_usd: int) -> None:
        with self.lock:
            asking = self.held.pop(reservation, None)
            if asking is not None:
                self.settled.append((asking.run_id, asking.repo, micro_usd))

    def barrier(self, repo: str, run_id: str | None = None, run_bound: int | None = None) -> Barrier | None:
        with self.lock:
            if self.switch is not None:
                return Barrier.HALTED
            return next((one.barrier for one in self._accounts(repo, run_id, run_bound) if one.used_up), None)

    def today(self, repo: str | None = None) -> Today:
        entries = [*self.settled, *((one.run_id, one.repo, one.estimate) for one in self.held.values())]
        spent = sum(cost for _, _, cost in entries)
        of_repo = sum(cost for _, of, cost in entries if of == repo)
        return Today(
            spent=spent,
            bound=self.budgets.all_micro_usd,
            repo_spent=of_repo,
            repo_bound=self.budgets.repo_micro_usd,
            halt=self.switch,
        )

    def halt(self, reason: str) -> Halt:
        self.switch = self.switch or Halt(reason=reason, at=1.0)
        return self.switch

    def resume(self) -> bool:
        was, self.switch = self.switch, None
        return was is not None

    def halted(self) -> Halt | None:
        return self.switch

    def forfeit(self) -> int:
        left = list(self.held)
        for one in left:
            self.settle(one, self.held[one].estimate)
        return len(left)

    def _accounts(self, repo: str, run_id: str | None, run_bound: int | None) -> tuple[Account, ...]:
        bounds = [(Barrier.REPO_DAY, self.budgets.repo_micro_usd), (Barrier.DAY, self.budgets.all_micro_usd)]
        accounts = [
            self._account(barrier, bound, None, repo if barrier is Barrier.REPO_DAY else None)
            for barrier, bound in bounds
            if bound
        ]
        if run_id is not None and run_bound is not None:
            accounts.insert(0, self._account(Barrier.RUN, run_bound, run_id, None))
        return tuple(accounts)

    def _account(self, barrier: Barrier, bound: int, run_id: str | None, repo: str | None) -> Account:
        def counts(run: str, of: str) -> bool:
            return run_id in {None, run} and repo in {None, of}

        return Account(
            barrier=barrier,
            bound=bound,
            spent=sum(cost for run, of, cost in self.settled if counts(run, of)),
            held=sum(one.estimate for one in self.held.values() if counts(one.run_id, one.repo)),
        )


@dataclass(kw_only=True)
class FailingSpending(MemorySpending):
    """Books that take no bill while they are out of order, and cannot be read where `unreadable`."""

    out_of_order: bool = True
    unreadable: bool = False

    def reserve(self, asking: Asking) -> Admission:
        if self.unreadable:
            raise RecordsFault("The records cannot be read; see to the disk.")
        return super().reserve(asking)

    def settle(self, reservation: int, micro_usd: int) -> None:
        if self.out_of_order:
            raise RecordsFault("The records cannot be written; see to the disk.")
        super().settle(reservation, micro_usd)
