"""Records and engine brought together: at the start, and again and again while the daemon runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

from runner.closing import Closing
from runner.model import LIVE_PHASES, WORKING_PHASES, Bounds, Phase, RoundInput, Tier
from runner.pool import Pool
from runner.ports import Clock
from runner.records import Records, RunRecord
from runner.round_after import first_round
from runner.rounds import RoundState

_LOG: Final = logging.getLogger(__name__)
_MOST: Final = 1000
_MOST_AT_WORK: Final = 100_000
_OVERDUE_S: Final = 5.0
_FAULT: Final = "A fault of the daemon itself ended the run; its log has the details. Dispatch the ticket again."
_LOST: Final = (
    "The daemon's records and its engine disagree about this run, as after a restored backup; "
    "look at its branch on the forge, then say retry."
)


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Has every run that is at work carried on by somebody, or says that it is lost. All of it is safe to repeat.

    held: whether a run is to wait whatever the engine says (`runner.unasked`).
    """

    records: Records
    pool: Pool
    closing: Closing
    clock: Clock
    ladder: tuple[Tier, ...]
    bounds: Bounds
    held: Callable[[RunRecord], bool]

    def recover(self) -> None:
        """What a start begins with. Raises RecordsFault."""
        for run in self.records.runs(phases=frozenset(Phase) - LIVE_PHASES, limit=_MOST):
            # A crash between an end and its release, or within a request for changes.
            self.records.release(run.run_id)
        self.look()

    def look(self) -> None:
        """Nothing is at work that nobody carries on, and no sandbox is left of what has ended. Raises RecordsFault."""
        unsaved = set(self.pool.unsaved())
        for run_id in unsaved:
            self._first(run_id)
        # Asked of all at once, and most need nothing: a question about each would hold up whoever calls meanwhile.
        runs = self.records.runs(phases=WORKING_PHASES - {Phase.QUEUED}, limit=_MOST_AT_WORK)
        states = self.pool.states([(run.run_id, run.round) for run in runs])
        holders, now = self.pool.holders(), self.clock.now()
        for run in runs:
            state = states[run.run_id, run.round]
            if run.run_id in unsaved or not _in_order(run, state, now, has_slot=run.run_id in holders):
                self._compare(run, state)
        self.pool.settle()
        self.closing.sweep()

    def faulted(self, round_input: RoundInput, detail: str) -> None:
        """A round died of a fault of ours: say so, keep everything, and let the issue be worked again."""
        _LOG.error("round failed: %s", detail, extra={"run": round_input.run_id})
        self._give_up(round_input.run_id, _FAULT)
        self.pool.ended(round_input)

    # --- inner ---

    def _first(self, run_id: str) -> None:
        """A crash after the claim: the run has no round yet."""
        run = self.records.run(run_id)
        if run is None or run.phase is not Phase.QUEUED or run.round != 1:
            return
        _LOG.info("a run was claimed and never enqueued; it is now", extra={"run": run_id})
        first = first_round(run, self.ladder, self.bounds)
        self.records.save_round(first, self.clock.now())
        self.pool.submit(first)

    def _compare(self, seen: RunRecord, state: RoundState) -> None:
        # Read after the engine was asked: whoever ends a round writes the record first.
        run = self.records.run(seen.run_id)
        if run is None or run.round != seen.round or run.phase not in WORKING_PHASES - {Phase.QUEUED}:
            return
        if self.held(run):
            return
        known = self.records.round_input(run.run_id, run.round)
        if known is None:
            known = first_round(run, self.ladder, self.bounds)
            self.records.save_round(known, self.clock.now())
        now = self.clock.now()
        if _in_order(run, state, now, has_slot=False):
            return
        match state:
            case RoundState.ABSENT:
                _LOG.info("a round that the engine does not know is enqueued", extra={"run": run.run_id})
                self.pool.submit(known, delay_s=max(0.0, _due_s(run, now)))
            case RoundState.FAILED:
                self.faulted(known, "it failed, and nobody got to say so")
            case RoundState.DONE:
                _LOG.error("a run is at work on record, and its round is over", extra={"run": run.run_id})
                self._give_up(run.run_id, _LOST)
            case RoundState.QUEUED | RoundState.DELAYED:
                # Its time came, and the records could not be told.
                self.pool.submit(known)
            case RoundState.RUNNING:
                self.pool.give_to(run)

    def _give_up(self, run_id: str, reason: str) -> None:
        self.records.change(run_id, {"phase": Phase.ESCALATED, "reason": reason}, self.clock.now())
        self.closing.sweep()
        self.records.release(run_id)


def _due_s(run: RunRecord, now: float) -> float:
    return 0.0 if run.retry_at is None else run.retry_at - now


def _in_order(run: RunRecord, state: RoundState, now: float, *, has_slot: bool) -> bool:
    """Whether somebody carries the run on, when the engine says that of its round."""
    match state:
        case RoundState.RUNNING:
            return has_slot or run.phase is Phase.WAITING
        case RoundState.QUEUED:
            return run.phase is not Phase.WAITING or _due_s(run, now) >= -_OVERDUE_S
        case RoundState.DELAYED:
            return True
        case RoundState.DONE | RoundState.FAILED | RoundState.ABSENT:
            return False
    assert_never(state)
