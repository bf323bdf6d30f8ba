"""Nothing can be written down: the work stands still, says so, and goes on by itself when it can be again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from runner.errors import RecordsDown, RecordsFault
from runner.facts import Fact, Step, Trouble
from runner.model import RoundInput
from runner.rounds import Interrupted

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 0.1
_FIRST_S: Final = 0.2
_GROWTH: Final = 1.5
_GROWTH_AFTER: Final = 1.2
_WELL_S: Final = 60.0
_MOST_S: Final = 15.0
_LEAVE_S: Final = 1.0


class Standstill:
    """Whether the daemon can write down what it does, as everybody in it knows. Thread-safe."""

    def __init__(self) -> None:
        """It can, as far as is known."""
        self._changed = threading.Condition()
        self._why: str | None = None

    @property
    def why(self) -> str | None:
        """One sentence with its cure; None: nothing is in the way."""
        return self._why

    def begin(self, why: str) -> None:
        """Nothing can be written down, and that is why. Again: the newest reason counts."""
        with self._changed:
            if self._why is None:
                _LOG.error("the work stands still: %s", why)
            self._why = why
            self._changed.notify_all()

    def end(self) -> None:
        """It can be written again."""
        with self._changed:
            if self._why is not None:
                _LOG.warning("the work goes on")
            self._why = None
            self._changed.notify_all()

    def wait_for(self, *, begun: bool, timeout_s: float) -> bool:
        """Wait until it has begun, or ended; whether it has, within that time."""
        with self._changed:
            return self._changed.wait_for(lambda: (self._why is not None) is begun, timeout=timeout_s)


def standing(
    carry_out: Callable[[RoundInput, Step], Fact], standstill: Standstill, stopping: threading.Event
) -> Callable[[RoundInput, Step], Fact]:
    """The same, which does a step again that could not be written down, when it can be.

    However long that takes: such a step has no outcome, and no other would have one either. Raises Interrupted when
    the daemon leaves meanwhile; also where a step fails by then, for what it needed may be leaving too: the built-in
    forge, podman, the host's network. Nobody should wait for that after the next start.
    """

    def carried(round_input: RoundInput, step: Step) -> Fact:
        while True:
            try:
                fact = carry_out(round_input, step)
            except RecordsDown as exc:
                standstill.begin(str(exc))
            else:
                if isinstance(fact, Trouble) and stopping.is_set():
                    raise Interrupted
                return fact
            while not standstill.wait_for(begun=False, timeout_s=_LOOK_S):
                if stopping.is_set():
                    raise Interrupted

    return carried


@contextmanager
def mending(
    standstill: Standstill,
    probe: Callable[[], None],
    mend: Callable[[], None],
    *,
    first_s: float = _FIRST_S,
    monotonic: Callable[[], float] = time.monotonic,
    leaving: Callable[[], threading.Event] = threading.Event,
) -> Iterator[None]:
    """A thread, until the block ends, that tries whether a standstill is over, and then has the work go on.

    probe: writes something and takes it back. mend: what the standstill left undone is done. Both raise RecordsFault.
    first_s: until the first try; the pause grows up to a quarter of a minute, and is as short again after a minute in
    which all was well. leaving: makes what ends the thread, on which it sleeps.
    """
    stopping = leaving()

    def watch() -> None:
        pause, ended = first_s, float("-inf")
        while not stopping.is_set():
            if not standstill.wait_for(begun=True, timeout_s=_LOOK_S):
                continue
            if monotonic() - ended > _WELL_S:
                pause = first_s
            while not stopping.wait(pause) and not _over(standstill, probe, mend):
                pause = min(pause * _GROWTH, _MOST_S)
            # Where little can be written and much cannot, the steps are not done again in quick succession.
            pause, ended = min(pause * _GROWTH_AFTER, _MOST_S), monotonic()

    thread = threading.Thread(target=watch, name="mending", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(_LEAVE_S)


def _over(standstill: Standstill, probe: Callable[[], None], mend: Callable[[], None]) -> bool:
    try:
        probe()
        mend()
    except RecordsFault as exc:
        standstill.begin(str(exc))
        return False
    except Exception:  # noqa: BLE001 - the outermost boundary of the thread
        # A fault of ours with one run must not have everything stand still for ever.
        _LOG.exception("what a standstill left could not be mended; trying again")
        return False
    standstill.end()
    return True
