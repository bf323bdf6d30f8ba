"""After a start: rounds that nobody would carry on start again; the forge is asked where the records are older."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from runner.errors import ForgeDown, Rejected
from runner.model import LIVE_PHASES, WORKING_PHASES, RoundInput
from runner.reconciling import Reconciler
from runner.records import Records, RunRecord
from runner.restarting import Restarter, stranded
from runner.rounds import Rounds, state_of
from runner.unasked import Unasked

_LOG: Final = logging.getLogger(__name__)
_MOST_LIVE: Final = 1_000_000
"""All of them: one that is left out here is taken over by nobody."""


@dataclass(frozen=True, kw_only=True)
class TakeOver:
    """Done once, when the engine is up and before anybody is answered. Safe to repeat.

    last_of: the input of a run's last round.
    """

    records: Records
    rounds: Rounds
    restarter: Restarter
    reconciler: Reconciler
    unasked: Unasked
    last_of: Callable[[RunRecord], RoundInput]

    def take_over(self, *, restored: bool) -> None:
        """No round at work is stranded (`runner.restarting.stranded`). Raises RecordsFault.

        restored: the records were put back from a backup, so the forge is asked what became of each live run, and
        each round starts again. Raises ForgeDown then, for nothing may be done twice; a run whose repository the forge
        does not show is set aside (`runner.unasked`), now and by the starts after this one.
        """
        self.unasked.load()
        for run in self.records.runs(phases=LIVE_PHASES if restored else WORKING_PHASES, limit=_MOST_LIVE):
            if restored:
                self._ask(run)
                continue
            if self.unasked.holds(run):
                continue
            last = self.last_of(run)
            state = state_of(self.rounds, run.run_id, run.round)
            # Read after the engine was asked: whoever ends a round writes the record first.
            now = self.records.run(run.run_id) or run
            at_work = now.round == run.round and now.phase in WORKING_PHASES
            if at_work and stranded(state, last, began=self.restarter.began(now)):
                _LOG.warning("a round that cannot go on is started again", extra={"run": run.run_id})
                self.restarter.again(now, last)

    def _ask(self, run: RunRecord) -> None:
        try:
            self.reconciler.reconcile(run, self.last_of(run))
            self.unasked.told(run.run_id)
        except Rejected as exc:
            self.unasked.set_aside(run, exc)
        except ForgeDown as exc:
            # "It is tried again later" is not true of a process that ends now.
            why = str(exc).removesuffix(".").removesuffix("; it is tried again later")
            raise ForgeDown(
                f"The forge cannot be asked what became of the runs since the backup ({why}); "
                "nothing is done before, so start again when it answers.",
                exc.retry_after_s,
            ) from exc
