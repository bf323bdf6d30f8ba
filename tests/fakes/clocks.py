"""Clocks that a test sets."""

from __future__ import annotations

import time
from dataclasses import dataclass

DAY_S = 86_400.0


@dataclass(kw_only=True)
class SetClock:
    """The system's clock, with a wall clock that a test may set, and faster where it is told to be.

    offset_s: how far the wall clock is from the right time. speed: seconds of it in a second.
    """

    offset_s: float = 0.0
    speed: float = 1.0

    def now(self) -> float:
        return time.time() + self.offset_s

    def monotonic(self) -> float:
        return time.monotonic() * self.speed

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self.speed)
