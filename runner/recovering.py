"""After a start: records, engine and, where the records are older than the world, the forge are brought together."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from runner.closing import Closing
from runner.model import LIVE_PHASES, WORKING_PHASES, Bounds, Phase, RoundInput, Tier
from runner.ports import Clock
from runner.reconciling import Reconciler
from runner.records import Records, RunRecord
from runner.restarting import Restarter, stranded
from runner.round_after import first_round
from runner.rounds import Rounds, RoundState

_LOG: Final = logging.getLogger(__name__)
_MOST_LIVE: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Done once, after the engine is up and before anybody is answered. faulted: told of rounds that died unheard."""

    records: Records
    rounds: Rounds
    clock: Clock
    closing: Closing
    restarter: Restarter
    reconciler: Reconciler
    ladder: tuple[Tier, ...]
    bounds: Bounds
    faulted: Callable[[RoundInput, str], None]

    def recover(self, *, restored: bool = False) -> None:
        """Every live run has its round where it is to be, and no ended one has a claim.

        restored: the records were put back from a backup, so the forge is asked what became of each live run, and
        each round starts again. Raises ForgeDown then, for nothing may be done twice.
        """
        for run in self.records.runs(phases=LIVE_PHASES if restored else WORKING_PHASES, limit=_MOST_LIVE):
            last = self.records.round_input(run.run_id, run.round) or first_round(run, self.ladder, self.bounds)
            if restored:
                self.reconciler.reconcile(run, last)
            else:
                self._go_on(run, last)
        for run in self.records.runs(phases=frozenset(Phase) - LIVE_PHASES, limit=_MOST_LIVE):
            # A crash between an end and its release, or within a request for changes.
            self.records.release(run.run_id)
        self.closing.sweep()

    def _go_on(self, run: RunRecord, last: RoundInput) -> None:
        state = self.rounds.state(run.run_id, run.round)
        if stranded(state, last, began=self.restarter.began(run)):
            _LOG.warning("a round that cannot go on is started again", extra={"run": run.run_id})
            self.restarter.again(run, last)
        elif state is RoundState.ABSENT:
            _LOG.info("enqueueing a round that a crash left out", extra={"run": run.run_id})
            due = 0.0 if run.retry_at is None else max(0.0, run.retry_at - self.clock.now())
            self.rounds.submit(last, delay_s=due)
        elif state is RoundState.FAILED:
            self.faulted(last, "it failed, and the last daemon did not get to say so")
