"""Waiting for what no system call waits for: one thread looks for all who wait, so that many cost what one does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.errors import RunnerError
from runner.ports import Clock


@dataclass(eq=False, kw_only=True)
class _Waiting:
    come: Callable[[], bool]
    every_s: float
    until: float
    called: threading.Event = field(default_factory=threading.Event)
    leads: bool = False

    def over(self) -> bool:
        try:
            return self.come()
        except RunnerError:
            # Whoever waits looks for itself now, and is told there.
            return True


class Lookout:
    """Where threads wait beside one another. The first looks for all, and hands that over when its own wait ends."""

    def __init__(self, clock: Clock) -> None:
        """Nobody waits yet."""
        self._clock = clock
        self._guard = threading.Lock()
        self._led = False
        self._line: list[_Waiting] = []

    def wait(self, come: Callable[[], bool], *, every_s: float, at_most_s: float) -> None:
        """Return when `come` is true or raises RunnerError, or at the latest after `at_most_s` seconds.

        come: asked about every `every_s` seconds, or as often as somebody else here wants it, by whichever thread
        looks; it has to be quick.
        """
        me = _Waiting(come=come, every_s=every_s, until=self._clock.monotonic() + at_most_s)
        if me.over():
            return
        with self._guard:
            if self._led:
                self._line.append(me)
            else:
                self._led = me.leads = True
        if not me.leads:
            me.called.wait(at_most_s)
            with self._guard:
                if me in self._line:
                    self._line.remove(me)
        # It may have been its turn to look just as its time was over: then it hands on what it was handed.
        if me.leads:
            self._lead(me)

    def _lead(self, me: _Waiting) -> None:
        try:
            while (left := me.until - self._clock.monotonic()) > 0:
                with self._guard:
                    every_s = min(one.every_s for one in (me, *self._line))
                self._clock.sleep(min(every_s, left))
                with self._guard:
                    beside = tuple(self._line)
                for one in beside:
                    if one.over():
                        one.called.set()
                if me.over():
                    break
        finally:
            with self._guard:
                if self._line:
                    heir = self._line.pop(0)
                    heir.leads = True
                    heir.called.set()
                else:
                    self._led = False
