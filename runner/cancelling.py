"""Cancel: the flag goes up, what never began ends at once, and work that is there is kept."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from runner.errors import CheckoutFault, NotPossible, Rejected, Unavailable
from runner.keeping import Keeper
from runner.model import LIVE_PHASES, REVIEW_PHASES, Phase
from runner.ports import Clock
from runner.records import Records, RunChange, RunRecord
from runner.rounds import Rounds, RoundState, state_of

_LOG: Final = logging.getLogger(__name__)
_NOT_BEGUN: Final = frozenset({RoundState.QUEUED, RoundState.DELAYED})


@dataclass(frozen=True, kw_only=True)
class Canceller:
    """Carries out cancellations."""

    records: Records
    rounds: Rounds
    clock: Clock
    keeper: Keeper

    def cancel(self, run: RunRecord) -> None:
        """Raise the flag; end the run here where no round of it will. Raises NotPossible."""
        if run.phase not in LIVE_PHASES:
            raise NotPossible(f"The run has already ended ({run.phase}); there is nothing to cancel.")
        self.records.change(run.run_id, {"cancel_requested": True}, self.clock.now())
        # Read again, after the flag is up: whoever moves the run on from here on sees it.
        run = self.records.run(run.run_id) or run
        if run.phase in REVIEW_PHASES:
            self._cancelled(run, "the branch and the pull request are left as they are.")
        elif run.phase is Phase.WAITING or (
            run.phase is Phase.QUEUED and state_of(self.rounds, run.run_id, run.round) in _NOT_BEGUN
        ):
            # Nothing runs, and a free slot may be hours away. One that a start has queued again has work to be kept.
            self._cancelled(run, self._kept(run))

    def _cancelled(self, run: RunRecord, what_is_left: str) -> None:
        change: RunChange = {"phase": Phase.CANCELLED, "reason": f"Cancelled; {what_is_left}", "retry_at": None}
        self.records.change(run.run_id, change, self.clock.now())
        self.records.release(run.run_id)

    def _kept(self, run: RunRecord) -> str:
        """Keep what a round that never begins was to go on from; where it is, in words."""
        due = self.records.round_input(run.run_id, run.round)
        try:
            if due is not None and self.keeper.save_start(due):
                return f"the work so far is on branch {run.branch}."
        except (Unavailable, CheckoutFault, Rejected) as exc:
            _LOG.warning("work could not be kept at a cancel", exc_info=True, extra={"run": run.run_id})
            return f"the work so far could not be put on a branch: {exc}"
        return "nothing was running."
