"""One at a time for each key, where whoever waits may be told to stop waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_LOOK_S: Final = 0.1


class Turns:
    """Mutual exclusion by key, within this process. Remembers only the keys that are taken."""

    def __init__(self) -> None:
        """Nobody has a turn yet."""
        self._changed = threading.Condition()
        self._taken: set[str] = set()

    @contextmanager
    def alone(self, key: str, may_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the turn of `key`. `may_wait` is called now and then while waiting; what it raises ends the wait."""
        while not self._take(key):
            may_wait()
        try:
            yield
        finally:
            with self._changed:
                self._taken.discard(key)
                self._changed.notify_all()

    def _take(self, key: str) -> bool:
        with self._changed:
            if not self._changed.wait_for(lambda: key not in self._taken, timeout=_LOOK_S):
                return False
            self._taken.add(key)
            return True
