"""The double's time: the real one, and as far ahead of it or behind it as a test asks."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class DoubleClock:
    """Real time (clients sign and compare with it) plus `ahead` seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += seconds


def stamp(seconds: float) -> str:
    """The time as GitHub writes it, in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
