"""The clocks of one agent attempt, and when to look at it again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from runner.conclusion import Stopped
from runner.model import Tier
from runner.ports import Clock
from runner.sandbox_run import pause_s

_LOOKS: Final = 30
_TICK_S: Final = 0.005
_HEARTBEAT_S: Final = 5.0
_LOOK_S: Final = 0.5


class AgentWatch:
    """The two clocks of one attempt: since it began (UTC, it outlives the daemon) and since it last said anything."""

    def __init__(self, clock: Clock, tier: Tier, started_at: float, lively: Callable[[], bool]) -> None:
        """Begin now, for an attempt that began at `started_at` (UTC seconds).

        lively: whether an answer of the model is on its way to it; it says nothing until a part of it is whole.
        """
        self._clock = clock
        self._tier = tier
        self._lively = lively
        self._started_at = started_at
        self._begun = self._heard = self._beat = self._looked = clock.monotonic()
        self._last_word: float | None = None

    def rest(self, last_word: Path) -> None:
        """Wait until the next look: only a moment where the entrypoint has left its last word, for then it ends."""
        for _ in range(_LOOKS):
            if os.path.lexists(last_word):
                now = self._clock.monotonic()
                self._last_word = now if self._last_word is None else self._last_word
                # Longer and longer: the agent itself could have left the file.
                self._clock.sleep(pause_s(now - self._last_word))
                return
            self._clock.sleep(_TICK_S)

    def heard(self) -> bool:
        """It said something; True now and then, when clocks and flags are to be looked at although it goes on speaking.

        Without that, whoever never falls silent would never be stopped.
        """
        now = self._heard = self._clock.monotonic()
        if now - self._looked < _LOOK_S:
            return False
        self._looked = now
        return True

    def heartbeat_due(self) -> bool:
        """Whether it is time to say that it is being watched; True once every few seconds."""
        now = self._clock.monotonic()
        if now - self._beat < _HEARTBEAT_S:
            return False
        self._beat = now
        return True

    def over(self) -> Stopped | None:
        """Why it has to be stopped by now, if it has."""
        now = self._clock.monotonic()
        if now - self._begun > self._tier.wall_s or self._clock.now() - self._started_at > self._tier.wall_s:
            return Stopped.WALL
        if now - self._heard <= self._tier.idle_s:
            return None
        if self._lively():
            self.heard()
            return None
        return Stopped.IDLE
