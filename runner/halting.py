"""What a halt of all spending holds up goes on when it is over, whoever ended it: a command needs no daemon."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import Final

from runner.errors import RunnerError
from runner.model import Phase
from runner.precedence import Precedence
from runner.reasons import HALTED
from runner.records import Records
from runner.rounds import Rounds
from runner.spending import Spending

_LOG: Final = logging.getLogger(__name__)
_MOST: Final = 1000


@dataclass(kw_only=True)
class HaltWatch:
    """A thread that hastens the runs which wait for a halt, as soon as there is none. every_s: how often it looks."""

    records: Records
    rounds: Rounds
    spending: Spending
    precedence: Precedence
    every_s: float = 1.0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="halt-watch", daemon=True)
        self._thread.start()

    def close(self, deadline_s: float) -> None:
        """Stop looking."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(deadline_s)

    def look(self) -> int:
        """Hasten what waits for a halt that is over; how many runs that were. Raises RecordsFault."""
        if self.spending.halted() is not None:
            return 0
        waiting = self.records.runs(phases=frozenset({Phase.WAITING}), limit=_MOST)
        held_up = [run for run in waiting if (run.reason or "").startswith(HALTED)]
        for run in held_up:
            self.rounds.hasten(run.run_id, run.round)
        return len(held_up)

    def _run(self) -> None:
        while not self._stopping.wait(self.every_s):
            try:
                with self.precedence.after():
                    self.look()
            except RunnerError:
                _LOG.exception("runs that a halt held up could not be looked for; trying again")
