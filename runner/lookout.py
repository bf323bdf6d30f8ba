"""Waiting for what no system call waits for: one thread looks for all who wait, so that many cost what one does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

from runner.errors import RunnerError
from runner.ports import Clock
from runner.precedence import Precedence


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

    def __init__(self, clock: Clock, precedence: Precedence | None = None) -> None:
        """Nobody waits yet. precedence: of whoever has to be answered meanwhile."""
        self._clock = clock
        self._precedence = precedence
        self._guard = threading.Lock()
        self._led = False
        self._looked = 0.0
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
                self._looked = self._clock.monotonic()
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
            while (left := me.until - (now := self._clock.monotonic())) > 0:
                with self._guard:
                    due_s = self._looked + min(one.every_s for one in (me, *self._line)) - now
                self._clock.sleep(min(max(0.0, due_s), left))
                if due_s <= left:
                    self._look()
                if me.over():
                    break
        finally:
            with self._guard:
                if self._line:
                    # Whoever came last stays longest: each time it is handed on costs a thread its sleep.
                    heir = self._line.pop()
                    heir.leads = True
                    heir.called.set()
                else:
                    self._led = False

    def _look(self) -> None:
        with self._guard:
            self._looked = self._clock.monotonic()
            beside = tuple(self._line)
        with nullcontext() if self._precedence is None else self._precedence.after():
            for one in beside:
                if one.over():
                    one.called.set()
