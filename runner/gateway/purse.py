"""The money of questions under way: promised on the books before they are asked, settled when they are answered."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from runner.errors import RunnerError
from runner.spending import Asking, Busy, Refused, Reserved, Spending

_LOG: Final = logging.getLogger(__name__)
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

    async def admit(self, asking: Asking) -> Reserved | Refused:
        """Whether a question may be asked; Reserved holds its estimate until `settle`. Raises RunnerError.

        Waits while other questions hold what is left: they all end in bounded time.
        """
        async with self._changed:
            while True:
                await self._pay()
                answer = await asyncio.to_thread(self._spending.reserve, asking)
                if not isinstance(answer, Busy):
                    return answer
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await self._changed.wait()
                except TimeoutError:
                    continue

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
