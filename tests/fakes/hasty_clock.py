"""Patience without the waiting: a thread that sleeps long finds at once that the time has passed."""

from __future__ import annotations

import threading
import time

from runner.adapters.system_clock import SystemClock

_SHORT_S = 0.1
_BREATH_S = 0.02


class _Skipped(threading.local):
    seconds = 0.0


class HastyClock(SystemClock):
    """The machine's clock, on which a long sleep is a breath for everybody but the sleeper.

    The sleeper's own monotonic time has gone on by all of it, so that a deadline is used up as by a real wait.
    Short sleeps, those between two looks at a sandbox, are real ones.
    """

    def __init__(self) -> None:
        self._skipped = _Skipped()

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped.seconds

    def sleep(self, seconds: float) -> None:
        if seconds <= _SHORT_S:
            super().sleep(seconds)
            return
        time.sleep(_BREATH_S)
        self._skipped.seconds += seconds - _BREATH_S
