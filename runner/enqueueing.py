"""Runs at work that the durable engine knows nothing of are brought back to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from runner.model import WORKING_PHASES, RoundInput
from runner.ports import Clock
from runner.records import Records, RunRecord
from runner.rounds import Rounds, RoundState

_LOG: Final = logging.getLogger(__name__)
_MOST: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Enqueueing:
    """first: a run's first round, for one whose round is on no record either."""

    records: Records
    rounds: Rounds
    clock: Clock
    first: Callable[[RunRecord], RoundInput]

    def catch_up(self) -> None:
        """What could not be recorded goes on, and what was claimed but never enqueued is. Raises RecordsFault.

        Safe beside everything else that goes on: a round is run once, however often it is submitted.
        """
        self.rounds.revive()
        for run in self.records.runs(phases=WORKING_PHASES, limit=_MOST):
            if self.rounds.state(run.run_id, run.round) is not RoundState.ABSENT:
                continue
            _LOG.info("enqueueing a round that was left out", extra={"run": run.run_id})
            due = 0.0 if run.retry_at is None else max(0.0, run.retry_at - self.clock.now())
            known = self.records.round_input(run.run_id, run.round) or self.first(run)
            self.rounds.submit(known, delay_s=due)
