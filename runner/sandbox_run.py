"""Have one sandbox run to its end, under a deadline, a cancel flag and a stop flag."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.disk import Disk, DiskWatch, writable_by
from runner.errors import DiskLow, EngineDown, RunnerError
from runner.files import remove_tree
from runner.moments import Moment, worked_s
from runner.ports import Clock, Containers
from runner.rounds import Interrupted
from runner.sandboxes import RunState, SandboxSpec, SandboxStatus
from runner.timeline import Timeline

_LOG: Final = logging.getLogger(__name__)
_POLL_S: Final = 0.1
_SOON_S: Final = 0.004
_GRACE_S: Final = 2.0
CANCEL_GRACE_S: Final = 1.0
"""What a sandbox has to end by itself at a cancel: with the look before and the kill after it, two seconds."""


def pause_s(waited_s: float) -> float:
    """Seconds until the next look at what was waited for that long: soon at first, a tenth of a second in the end."""
    return min(_POLL_S, max(_SOON_S, waited_s / 10))


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a sandbox came to its end. overran: that it used more of the disk than it may, fit to follow its name."""

    status: SandboxStatus
    timed_out: bool = False
    overran: str | None = None


class Cancelled(Exception):
    """The run's cancel flag was seen and the sandbox has been stopped."""


@dataclass(frozen=True, kw_only=True)
class SandboxRunner:
    """Starts or adopts sandboxes and waits for them. `stopping`: the daemon is leaving; sandboxes go on without it.

    discard_s: how long a sandbox whose result is known is left in place; 0: it is gone when `discard` returns.
    timeline: what tells time across restarts; None: the clock's own, of an unknown boot.
    """

    containers: Containers
    clock: Clock
    stopping: threading.Event
    disk: Disk
    patience_s: float = 20.0
    discard_s: float = 5.0
    timeline: Timeline | None = None

    def moment(self) -> Moment:
        """Now, as it is to be remembered of what begins now."""
        return (self.timeline or Timeline(clock=self.clock)).now()

    def status(self, name: str) -> SandboxStatus:
        """What the sandbox is doing; an engine that is away for less than `patience_s` is waited for.

        For sandboxes under way: its restart must not cost an agent's work. Raises EngineDown, Interrupted.
        """
        latest = self.clock.monotonic() + self.patience_s
        while True:
            try:
                return self.containers.status(name)
            except EngineDown:
                if self.clock.monotonic() >= latest:
                    raise
            if self.stopping.is_set():
                raise Interrupted
            self.clock.sleep(_POLL_S)

    def discard(self, name: str, *files: Path) -> None:
        """The sandbox and those files will soon be gone: nobody waits for it, its result is known.

        Only after a moment, so that it is not in the way of the step that comes next. The end of the round does not
        wait for that, and what cannot be removed is left for the sweep.
        """

        def remove() -> None:
            try:
                self.containers.remove(name)
                for path in files:
                    remove_tree(path)
            except (RunnerError, OSError):
                _LOG.warning("sandbox %s is left for the sweep", name, exc_info=True)

        if self.discard_s <= 0:
            remove()
            return
        timer = threading.Timer(self.discard_s, remove)
        timer.daemon = True
        timer.start()

    def overran(self, name: str, watch: DiskWatch, *, at_end: bool) -> str | None:
        """Why the sandbox was killed, where it used more of the disk than it may.

        Raises DiskLow where the host's disk is nearly full, whoever filled it; the sandbox is gone then, for in the
        end that it found nobody could read what it would have said.
        """
        try:
            overran = watch.over(at_end=at_end)
        except DiskLow:
            self.containers.remove(name)
            raise
        if overran is not None and not at_end:
            self.containers.stop(name, 0)
        return overran

    def may_wait(self, cancelled: Callable[[], bool]) -> None:
        """Nothing while waiting makes sense. Raises Cancelled, Interrupted."""
        if cancelled():
            raise Cancelled
        if self.stopping.is_set():
            raise Interrupted

    def to_end(self, spec: SandboxSpec, *, since: Moment, timeout_s: float, cancelled: Callable[[], bool]) -> Ran:
        """Start or adopt `spec` and wait until it has exited; stopped `timeout_s` after it began at `since`.

        Killed where it uses more of the disk than it may. The sandbox is left in place for its output to be read.
        Raises Cancelled, Interrupted, EngineDown, SandboxFault; DiskLow, and then the sandbox is gone.
        """
        watch = self.disk.watch(writable_by(spec))
        self.containers.start(spec)
        # From here on the monotonic clock alone: a wall clock that is set neither hastens the end nor puts it off.
        begun = self.clock.monotonic()
        latest = begun + timeout_s - worked_s(since, self.moment())
        while True:
            status = self.status(spec.name)
            # First: whoever cancels stops sandboxes too, and an end that we made says nothing of the tree.
            if cancelled():
                self.containers.stop(spec.name, CANCEL_GRACE_S)
                raise Cancelled
            ended = status.state is not RunState.RUNNING
            overran = self.overran(spec.name, watch, at_end=ended)
            if overran is not None:
                return Ran(status=self.containers.status(spec.name), overran=overran)
            if ended:
                return Ran(status=status)
            if self.clock.monotonic() >= latest:
                self.containers.stop(spec.name, _GRACE_S)
                return Ran(status=self.containers.status(spec.name), timed_out=True)
            if self.stopping.is_set():
                raise Interrupted
            self.clock.sleep(pause_s(self.clock.monotonic() - begun))
