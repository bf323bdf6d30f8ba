"""Leave only when the rounds at work have come to rest; those that have not begun wait for the next start."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from runner.rounds import Rounds

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 0.2
DRAIN_S: Final = 6 * 3600.0
"""How long rounds at work are waited for; after that they are left as a plain SIGTERM leaves them."""


@dataclass(kw_only=True)
class Drain:
    """Waits in a thread of its own, because a signal's handler may not. leave: told once, when nothing is at work.

    stopping: the daemon leaves for another reason, and nobody waits any more.
    """

    rounds: Rounds
    leave: Callable[[], None]
    stopping: threading.Event
    patience_s: float = DRAIN_S
    _thread: threading.Thread | None = field(default=None, repr=False)

    @property
    def begun(self) -> bool:
        """Whether it waits, or has waited."""
        return self._thread is not None

    def begin(self) -> None:
        """From now on no round begins; returns at once. A second time: nothing."""
        if self._thread is not None:
            return
        self.rounds.hold()
        _LOG.info("leaving once the rounds at work have come to rest")
        self._thread = threading.Thread(target=self._wait, name="drain", daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        for _ in range(int(self.patience_s / _LOOK_S)):
            if self.rounds.at_rest(_LOOK_S) or self.stopping.is_set():
                break
        else:
            _LOG.warning("rounds are still at work; they go on at the next start")
        self.leave()
