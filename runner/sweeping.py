"""The sweep: what nobody looks after any more is found within a minute."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from runner.errors import RunnerError

_LOG: Final = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Sweep:
    """A thread that has `look` called every `every_s`; what it raises is logged, and it is called again."""

    look: Callable[[], None]
    every_s: float = 60.0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; the first look is one `every_s` from now."""
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        self._thread.start()

    def close(self, deadline_s: float) -> None:
        """Stop looking; a look under way is left to end by itself."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(deadline_s)

    def _run(self) -> None:
        while not self._stopping.wait(self.every_s):
            try:
                self.look()
            except RunnerError:
                _LOG.exception("the sweep could not be done; it is tried again")
            except Exception:  # noqa: BLE001 - the outermost boundary of a sweep
                # A fault of ours with one run must not be the end of all sweeps.
                _LOG.exception("the sweep failed")
