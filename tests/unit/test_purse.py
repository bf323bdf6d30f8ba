"""Money for questions under way, as those who ask side by side see it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

import pytest

from runner.errors import RecordsFault
from runner.gateway import purse as purse_module
from runner.gateway.purse import Purse
from runner.spending import Admission, Asking, DayBudgets, Reserved
from tests.fakes.spending import FailingSpending, MemorySpending

PATIENCE_S = 20.0


def asking(run_id: str = "r", estimate: int = 60, bound: int = 100) -> Asking:
    return Asking(run_id=run_id, attempt=1, repo="widgets", run_bound=bound, estimate=estimate)


@dataclass(kw_only=True)
class SlowSpending(MemorySpending):
    """Books that take as long to reserve as the test wants."""

    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def reserve(self, asking: Asking) -> Admission:
        self.begun.set()
        assert self.go_on.wait(PATIENCE_S)
        return super().reserve(asking)


def test_who_leaves_while_money_is_reserved_for_them_holds_nothing() -> None:
    async def story() -> None:
        books = SlowSpending()
        purse = Purse(books)
        task = asyncio.ensure_future(purse.admit(asking()))
        assert await asyncio.to_thread(books.begun.wait, PATIENCE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        books.go_on.set()
        await asyncio.gather(*purse._leaving)
        assert (books.asked, books.held, books.spent("r")) == (1, {}, 0)

    asyncio.run(story())


def test_runs_that_share_a_day_wait_for_each_other_near_its_end() -> None:
    async def story() -> None:
        books = MemorySpending(budgets=DayBudgets(all_micro_usd=100))
        purse = Purse(books)
        first = await purse.admit(asking("a", bound=10**6))
        second = asyncio.ensure_future(purse.admit(asking("b", bound=10**6)))
        done, _ = await asyncio.wait({second}, timeout=0.05)
        assert not done
        assert isinstance(first, Reserved)
        await purse.settle(first, 10)
        assert isinstance(await asyncio.wait_for(second, PATIENCE_S), Reserved)

    asyncio.run(story())


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purse_module, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(purse_module, "_LOOK_S", 0.01)

    async def story() -> None:
        purse = Purse(MemorySpending())
        await purse.admit(asking())
        with pytest.raises(RecordsFault, match="hold what is left"):
            await asyncio.wait_for(purse.admit(asking()), PATIENCE_S)

    asyncio.run(story())


def test_a_bill_that_the_books_did_not_take_is_offered_again_and_counts_meanwhile() -> None:
    async def story() -> None:
        books = FailingSpending()
        purse = Purse(books)
        reserved = await purse.admit(asking())
        assert isinstance(reserved, Reserved)
        await purse.settle(reserved, 7)
        assert [one.estimate for one in books.held.values()] == [60]
        books.out_of_order = False
        assert isinstance(await purse.admit(asking()), Reserved)
        assert books.spent("r") == 7

    asyncio.run(story())
