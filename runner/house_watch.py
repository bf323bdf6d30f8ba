"""Has the house kept while the daemon runs: now and then, and at once when the disk is full."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from runner.errors import RunnerError
from runner.housekeeping import Housekeeping, Swept, held_words
from runner.retention import told_bytes

_LOG: Final = logging.getLogger(__name__)
_RELIEF_S: Final = 20.0
_RELIEF_EVERY_S: Final = 300.0


@dataclass(kw_only=True)
class HouseWatch:
    """A thread that sweeps every `keep.every_s` seconds; 0: never. after: is called beside each sweep, see `Reverts`.

    Nothing that a sweep raises ends it.
    """

    house: Housekeeping
    after: Callable[[], object] | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _relieving: threading.Lock = field(default_factory=threading.Lock)
    _relieved_at: float | None = None
    _said: str = ""

    def start(self) -> None:
        """Begin; the first sweep comes after one interval, when whatever the start takes up has been taken up."""
        if self.house.keep.every_s:
            self._thread = threading.Thread(target=self._run, name="house", daemon=True)
            self._thread.start()

    def close(self, deadline_s: float) -> None:
        """Stop; a sweep under way is left to be cut off."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(deadline_s)

    def look(self) -> Swept | None:
        """Sweep now; None where that failed."""
        try:
            swept = self.house.sweep()
            if self.after is not None:
                self.after()
        except (RunnerError, OSError):
            _LOG.exception("the house could not be kept; trying again later")
            return None
        if swept.gone:
            _LOG.info("kept the house: %d things put away, %s freed", len(swept.gone), told_bytes(swept.freed))
        return swept

    def relieve(self) -> str:
        """The disk is full: put away all that may go, unless that was tried of late. What is left to say of it.

        Never raises: whoever asks has a full disk to tell of already.
        """
        if not self._relieving.acquire(blocking=False):
            return self._said
        try:
            now = self.house.clock.monotonic()
            if self._relieved_at is None or now - self._relieved_at >= _RELIEF_EVERY_S:
                self._relieved_at = now
                self._said = self._swept_words()
            return self._said
        finally:
            self._relieving.release()

    def _swept_words(self) -> str:
        try:
            swept = self.house.sweep(tight=True, within_s=_RELIEF_S)
        except (RunnerError, OSError):
            _LOG.exception("a full disk could not be relieved")
            return ""
        if swept.busy:
            return ""
        kept = held_words(swept)
        freed = f"`gc` has just freed {told_bytes(swept.freed)}"
        return f"{freed}; what is kept: {kept}" if kept else freed

    def _run(self) -> None:
        while not self._stopping.wait(self.house.keep.every_s):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the outermost boundary: a fault of ours in one sweep must not end all others
                _LOG.exception("keeping the house failed")
