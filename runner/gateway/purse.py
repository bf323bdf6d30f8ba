"""The money of questions under way: promised on the books before they are asked, settled when they are answered."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from runner.errors import RecordsFault, RunnerError
from runner.spending import Admission, Asking, Busy, Refused, Reserved, Spending

_LOG: Final = logging.getLogger(__name__)
_PATIENCE_S: Final = 900.0
_LOOK_S: Final = 2.0
"""How long a question waits until it looks again for itself: another daemon may have settled one."""


class Purse:
    """Admits questions while there is money; near the end one at a time, so that one answer at most overshoots.

    One for all grants of a gateway. Used from the gateway's loop only.
    """

    def __init__(self, spending: Spending) -> None:
        """Hold nothing yet."""
        self._spending = spending
        self._owed: dict[int, int] = {}
        self._changed = asyncio.Condition()
        self._leaving: set[asyncio.Task[None]] = set()

    async def admit(self, asking: Asking) -> Reserved | Refused:
        """Whether a question may be asked; Reserved holds its estimate until `settle`. Raises RunnerError.

        Waits while other questions hold what is left: they all end in bounded time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_S
        async with self._changed:
            while True:
                await self._pay()
                answer = await self._reserve(asking)
                if not isinstance(answer, Busy):
                    return answer
                if loop.time() > deadline:
                    raise RecordsFault("Other questions hold what is left of a budget; ask again.")
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def _reserve(self, asking: Asking) -> Admission:
        reserving = asyncio.ensure_future(asyncio.to_thread(self._spending.reserve, asking))
        try:
            return await asyncio.shield(reserving)
        except asyncio.CancelledError:
            # Whoever asked is gone, and the thread is not: what it reserves would be held for ever.
            giving_back = asyncio.ensure_future(self._give_back(reserving))
            self._leaving.add(giving_back)
            giving_back.add_done_callback(self._leaving.discard)
            raise

    async def _give_back(self, reserving: asyncio.Future[Admission]) -> None:
        answer = await reserving
        if isinstance(answer, Reserved):
            await self.settle(answer, 0)

    async def settle(self, reserved: Reserved, cost: int) -> None:
        """Put the cost in the estimate's place; what the books do not take now is offered again later."""
        async with self._changed:
            self._owed[reserved.id] = cost
            try:
                await self._pay()
            except RunnerError:
                _LOG.warning("the books did not take %s micro-dollars yet: their estimate counts meanwhile", cost)
            finally:
                self._changed.notify_all()

    async def _pay(self) -> None:
        for reservation, cost in list(self._owed.items()):
            await asyncio.to_thread(self._spending.settle, reservation, cost)
            del self._owed[reservation]
