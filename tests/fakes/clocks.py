"""Clocks that a test sets."""

from __future__ import annotations

import time
from dataclasses import dataclass

from runner.moments import Moment
from runner.timeline import Timeline

DAY_S = 86_400.0


@dataclass(kw_only=True)
class SetClock:
    """The system's clock, with a wall clock that a test may set, and faster where it is told to be.

    offset_s: how far the wall clock was set ahead. passed_s: time that a test has had pass. speed: of the system's
    own seconds.
    """

    offset_s: float = 0.0
    passed_s: float = 0.0
    speed: float = 1.0

    def now(self) -> float:
        return time.time() + self.offset_s + self.passed_s

    def monotonic(self) -> float:
        return time.monotonic() * self.speed + self.passed_s

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self.speed)


@dataclass(kw_only=True)
class HandClock:
    """A clock that stands until a test moves it, on a host that can be set, suspended and booted. The wall begins at
    `wall`, the other two at 1000 seconds.
    """

    wall: float = 1_800_000_000.0
    awake: float = 1000.0
    up: float = 1000.0
    boot: str = "first"

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.awake

    def sleep(self, seconds: float) -> None:
        self.passes(seconds)

    def passes(self, seconds: float) -> None:
        """Time passes as it should."""
        self.wall += seconds
        self.awake += seconds
        self.up += seconds

    def is_set(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall += seconds

    def is_suspended(self, seconds: float) -> None:
        """The host sleeps."""
        self.wall += seconds
        self.up += seconds

    def boots(self, away_s: float) -> None:
        """The host was away for so long and begins to count anew."""
        self.wall += away_s
        self.awake = self.up = 5.0
        self.boot += "+"

    def timeline(self) -> Timeline:
        """What tells its moments until it boots."""
        return Timeline(clock=self, boot=self.boot, up=lambda: self.up)

    def moment(self) -> Moment:
        """This moment of it."""
        return self.timeline().now()
