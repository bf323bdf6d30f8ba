"""Which runs are to be cancelled, asked for by everything at work many times a second and looked up once for all."""

from __future__ import annotations

import threading
from typing import Final, Protocol

from runner.ports import Clock

_FRESH_S: Final = 0.2
"""With the longest rest between two looks at an agent and the grace of its stop: less than the two seconds promised."""


class CancelBook(Protocol):
    """Where cancellations are written down."""

    def cancelling(self) -> frozenset[str]:
        """The ids of the runs at work that are to be cancelled. Raises RecordsFault."""


class CancelBoard:
    """What the book said a moment ago. Safe to ask from several threads."""

    def __init__(self, book: CancelBook, clock: Clock) -> None:
        """Nothing is looked up yet."""
        self._book = book
        self._clock = clock
        self._guard = threading.Lock()
        self._asked: frozenset[str] = frozenset()
        self._looked = float("-inf")

    def asked(self, run_id: str) -> bool:
        """Whether the run was to be cancelled at most 0.2 s ago. Raises RecordsFault."""
        with self._guard:
            if self._clock.monotonic() - self._looked >= _FRESH_S:
                self._asked = self._book.cancelling()
                self._looked = self._clock.monotonic()
            return run_id in self._asked
