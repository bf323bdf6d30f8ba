"""The last few things that were read of git objects: what an id stands for never changes."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Known = TypeVar("Known")


class Remembered(Generic[Known]):
    """By object id, at most so many; the oldest goes first. Safe from any thread."""

    def __init__(self, *, most: int) -> None:
        """Know nothing yet."""
        self._most = most
        self._known: dict[str, Known] = {}
        self._guard = threading.Lock()

    def get(self, oid: str) -> Known | None:
        """What was kept, or None."""
        return self._known.get(oid)

    def keep(self, oid: str, known: Known) -> None:
        """Remember it."""
        with self._guard:
            self._known[oid] = known
            while len(self._known) > self._most:
                del self._known[next(iter(self._known))]
