"""Who is being answered goes before what can wait a moment, and of that one goes at a time.

Python runs one thread at a time: a request that meets five watchers at work takes five times as long, and among a
hundred agents some always are. None of them is worse off for coming a few thousandths of a second later.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from runner.ports import Clock

_PATIENCE_S: Final = 0.015
"""Three times what a short request takes. One that takes longer waits for something itself."""
_LINE_S: Final = 0.05


class Precedence:
    """Nothing is ever kept from going on by it, only put off, by `patience_s` and `line_s` seconds at most."""

    def __init__(self, clock: Clock, *, patience_s: float = _PATIENCE_S, line_s: float = _LINE_S) -> None:
        """Nobody is being answered.

        patience_s: how long a request is given way to, from when it came. line_s: how long one that can wait waits for
        another.
        """
        self._clock = clock
        self._patience_s = patience_s
        self._line_s = line_s
        self._changed = threading.Condition()
        self._came: dict[object, float] = {}
        """The requests that are being answered: at most what the server lets in at once."""
        self._one = threading.Lock()

    @contextmanager
    def first(self) -> Iterator[None]:
        """Somebody is being answered inside."""
        request = object()
        with self._changed:
            self._came[request] = self._clock.monotonic()
        try:
            yield
        finally:
            with self._changed:
                del self._came[request]
                self._changed.notify_all()

    @contextmanager
    def after(self) -> Iterator[None]:
        """What is done inside can wait a moment. It has to be short, and is not begun inside another `after`."""
        alone = self._one.acquire(timeout=self._line_s)
        try:
            self.give_way()
            yield
        finally:
            if alone:
                self._one.release()

    def give_way(self) -> None:
        """Return when nobody is being answered who came just now."""
        with self._changed:
            self._changed.wait_for(self._quiet, timeout=self._patience_s)

    def _quiet(self) -> bool:
        since = self._clock.monotonic() - self._patience_s
        return all(came <= since for came in self._came.values())
