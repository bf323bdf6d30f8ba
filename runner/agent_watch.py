"""The watchdogs of one agent attempt, and when to look at it again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from runner.conclusion import Stopped
from runner.lookout import Lookout
from runner.model import Tier
from runner.ports import Clock
from runner.sandbox_run import pause_s
from runner.stuck import circling
from runner.transcript import Transcript

# Between two looks at the agent, and at whether it has left its last word: a share of what it has worked, within
# bounds. The longer it has, the less a moment more matters; and where many work, such moments are most of what a daemon
# does. The longest tick leaves a cancel its two seconds.
_REST_SHARE: Final = 1 / 20
_REST_S: Final = (0.15, 1.0)
_TICK_SHARE: Final = 1 / 200
_TICK_S: Final = (0.005, 0.25)
_BESIDE_S: Final = 0.1
_HEARTBEAT_S: Final = 5.0
_LOOK_S: Final = 0.5
# The entrypoint stops a process that stays; this is for one that the entrypoint cannot stop.
_GRACE_MARGIN_S: Final = 1.0


def _within(bounds: tuple[float, float], seconds: float) -> float:
    return min(bounds[1], max(bounds[0], seconds))


class AgentWatch:
    """Every clock of one attempt. They all run on the host's monotonic seconds: setting the wall clock moves none."""

    def __init__(
        self,
        clock: Clock,
        tier: Tier,
        elapsed_s: float,
        lively: Callable[[], bool],
        *,
        beside: Lookout | None = None,
    ) -> None:
        """Begin now, for an attempt that has been at work for `elapsed_s` already.

        lively: whether an answer of the model is on its way to it; it says nothing until a part of it is whole.
        beside: where those who watch others wait too.
        """
        self._clock = clock
        self._alone = Lookout(clock)
        self._beside = beside or self._alone
        self._tier = tier
        self._lively = lively
        self._heard = self._beat = self._looked = self._edited = clock.monotonic()
        self._begun = self._heard - elapsed_s
        self._last_word: float | None = None
        self._result: float | None = None
        self._edits = self._calls = -1

    def rest(self, last_word: Path, wanted: Callable[[], bool]) -> None:
        """Wait until the next look: only a moment where the entrypoint has left its last word, for then it ends.

        wanted: whether its watcher is, for the run is cancelled or the daemon leaves; then too it is time to look.
        """
        worked_s = self._clock.monotonic() - self._begun
        tick_s = _within(_TICK_S, worked_s * _TICK_SHARE)
        # One that may end at any moment does not wait for the slower looks of others.
        lookout = self._alone if tick_s < _BESIDE_S else self._beside
        lookout.wait(
            lambda: os.path.lexists(last_word) or wanted(),
            every_s=tick_s,
            at_most_s=_within(_REST_S, worked_s * _REST_SHARE),
        )
        if os.path.lexists(last_word):
            now = self._clock.monotonic()
            self._last_word = now if self._last_word is None else self._last_word
            # Longer and longer: the agent itself could have left the file.
            self._clock.sleep(pause_s(now - self._last_word))

    def heard(self) -> bool:
        """It said something; True now and then, when clocks and flags are to be looked at although it goes on speaking.

        Without that, whoever never falls silent would never be stopped.
        """
        # What it said is on record with the time, so that this is a heartbeat too.
        now = self._heard = self._beat = self._clock.monotonic()
        if now - self._looked < _LOOK_S:
            return False
        self._looked = now
        return True

    def heartbeat_due(self) -> bool:
        """Whether it is time to say that it is being watched; True a few seconds after that or a word of it was."""
        now = self._clock.monotonic()
        if now - self._beat < _HEARTBEAT_S:
            return False
        self._beat = now
        return True

    def over(self, transcript: Transcript) -> Stopped | None:
        """Why it has to be stopped by now, if it has, after what it has said so far.

        Once its result is there nothing else is asked of it than to leave.
        """
        now = self._clock.monotonic()
        out_of_time = now - self._begun > self._tier.wall_s
        if transcript.results:
            self._result = now if self._result is None else self._result
            stays = now - self._result > self._tier.watchdogs.grace_s + _GRACE_MARGIN_S
            return Stopped.GRACE if stays or out_of_time else None
        if out_of_time:
            return Stopped.WALL
        if transcript.moves.edited != self._edits:
            self._edits, self._edited = transcript.moves.edited, now
        # Judged when a call was answered: of one that writes a long edit, or whose API is away, it says nothing.
        went_on, self._calls = transcript.moves.since_edit != self._calls, transcript.moves.since_edit
        circle = circling(transcript.moves, self._tier.watchdogs, now - self._edited if went_on else 0.0)
        if circle is not None:
            return Stopped(circle.value)
        if now - self._heard <= self._tier.idle_s:
            return None
        if self._lively():
            self._heard = now
            return None
        return Stopped.IDLE
