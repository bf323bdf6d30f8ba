"""One run's money while questions are under way: what was promised to them is not promised twice."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from runner.errors import RunnerError
from runner.gateway.metering import Ledger

_LOG: Final = logging.getLogger(__name__)


class Purse:
    """Admits questions while there is money; near the end one at a time, so that one answer at most overshoots.

    Used from the gateway's loop only.
    """

    def __init__(self, ledger: Ledger, run_id: str) -> None:
        """Hold nothing yet."""
        self._ledger = ledger
        self._run_id = run_id
        self._held = 0
        self._owed: dict[int, int] = {}
        self._changed = asyncio.Condition()

    async def admit(self, budget: int, estimate: int) -> bool:
        """Whether a question may be asked; True holds `estimate` until `settle`. Raises RunnerError.

        Waits while other questions hold what is left: they all end in bounded time.
        """
        async with self._changed:
            while True:
                await self._pay()
                spent = await asyncio.to_thread(self._ledger.spent, self._run_id)
                if spent >= budget:
                    return False
                if self._held == 0 or spent + self._held + estimate <= budget:
                    self._held += estimate
                    return True
                await self._changed.wait()

    async def settle(self, estimate: int, attempt: int, cost: int) -> None:
        """Let go of `estimate` and remember `cost`; what the ledger does not take now is offered again later."""
        async with self._changed:
            if cost:
                self._owed[attempt] = self._owed.get(attempt, 0) + cost
            try:
                await self._pay()
            except RunnerError:
                _LOG.warning("the ledger did not take %s micro-dollars yet", cost, extra={"run": self._run_id})
            finally:
                self._held -= estimate
                self._changed.notify_all()

    async def _pay(self) -> None:
        for attempt, cost in list(self._owed.items()):
            await asyncio.to_thread(self._ledger.add, self._run_id, attempt, cost)
            del self._owed[attempt]
