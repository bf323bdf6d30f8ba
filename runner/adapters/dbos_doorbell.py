"""Wakes DBOS's queue threads when there is something in their queues, so that nobody waits for the next poll.

DBOS has no such call: its threads sleep on the event that will stop them one day. That event is made here to end a
sleep without ending the thread. Where DBOS comes to work otherwise, rounds begin at the next poll, as they would
without this.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Doorbell(threading.Event):
    """An event whose sleepers can be woken without setting it.

    Whose sleep has ended by itself gives way to whatever is more pressing; who was rung for does not.
    """

    _rings = 0
    _heard: threading.local
    _give_way: Callable[[], None]

    def wait(self, timeout: float | None = None) -> bool:
        """As an event does, but a ring ends the wait too: each thread hears each ring, even one that came before."""
        with self._cond:  # type: ignore[attr-defined]
            if not self._flag and getattr(self._heard, "rings", 0) == self._rings:  # type: ignore[attr-defined]
                self._cond.wait(timeout)  # type: ignore[attr-defined]
            rung = getattr(self._heard, "rings", 0) != self._rings
            self._heard.rings = self._rings
        stop = self.is_set()
        if not rung and not stop:
            self._give_way()
        return stop

    def ring(self) -> None:
        """End every wait."""
        with self._cond:  # type: ignore[attr-defined]
            self._rings += 1
            self._cond.notify_all()  # type: ignore[attr-defined]


class Doorbells(list[threading.Event]):
    """The events that stop an engine's threads; what is added before its thread starts becomes a doorbell."""

    def __init__(self, give_way: Callable[[], None] = lambda: None) -> None:
        """None yet. give_way: see `Doorbell`."""
        super().__init__()
        self._give_way = give_way

    def append(self, event: threading.Event) -> None:
        """Add it."""
        event._heard = threading.local()  # type: ignore[attr-defined]  # noqa: SLF001
        event._give_way = self._give_way  # type: ignore[attr-defined]  # noqa: SLF001
        event.__class__ = Doorbell
        super().append(event)

    def ring(self) -> None:
        """Every thread looks for work now."""
        for event in self:
            if isinstance(event, Doorbell):
                event.ring()
