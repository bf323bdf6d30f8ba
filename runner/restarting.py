"""A round that cannot go on is fenced, and another takes its place: its agent is stopped, its work kept, once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from runner.closing import Closing
from runner.endings import FINISHED
from runner.errors import RecordsFault, SandboxFault, Unavailable
from runner.facts import Collect
from runner.files import remove_tree
from runner.keeping import Keeper
from runner.model import ENGINE_PROTOCOL, Phase, RoundInput
from runner.ports import Clock
from runner.records import Records, RunChange, RunRecord
from runner.round_after import round_again, tier_of
from runner.rounds import Rounds, RoundState, state_of

_LOG: Final = logging.getLogger(__name__)
_MOST_NUMBERS: Final = 1000


def stranded(state: RoundState, round_input: RoundInput, *, began: bool) -> bool:
    """Whether a working run's round will never be carried to its end, and no fault of it was told.

    began: an agent of it is on record. Another protocol's steps may not mean what ours mean. A round that is done
    while its run is at work, or absent though it began, is one of an engine's database from another moment.
    """
    if state is RoundState.DONE or (state is RoundState.ABSENT and began):
        return True
    return round_input.protocol != ENGINE_PROTOCOL


@dataclass(frozen=True, kw_only=True)
class Restarter:
    """Starts rounds again. A crash in the middle is made good by doing it again."""

    records: Records
    rounds: Rounds
    clock: Clock
    closing: Closing
    keeper: Keeper

    def began(self, run: RunRecord) -> bool:
        """Whether an agent of the run's round is on record."""
        return any(one.round == run.round for one in self.records.attempts(run.run_id))

    def again(
        self, run: RunRecord, last: RoundInput, *, start_commit: str | None = None, also: RunChange | None = None
    ) -> RoundInput:
        """Have another round take the place of the run's last one, from what that left. Raises RecordsFault.

        start_commit: what to go on from in its place. also: what else changes of the run, in the moment in which the
        round is its own. A run that was to be cancelled still is; one that waits waits on.
        """
        self.rounds.fence(run.run_id, run.round)
        following = self._following(run, last, start_commit)
        self.records.save_round(following, self.clock.now())
        told = tuple(
            (one.remark, one.at) for one in self.records.taken_up(run.run_id) if one.remark in following.remarks
        )
        if told:
            self.records.take_up(run.run_id, following.number, told)
        now = self.clock.now()
        waits = run.phase is Phase.WAITING and run.retry_at is not None and run.retry_at > now
        change: RunChange = {"round": following.number} | (also or {})
        if not waits:
            change |= {"phase": Phase.QUEUED, "reason": None, "retry_at": None}
        self.records.change(run.run_id, change, now)
        # The new round is on record, with the work: now the files of the old one may go.
        self.closing.clear(run.run_id)
        remove_tree(self.closing.layout.run(run.run_id))
        self.rounds.submit(following, delay_s=max(0.0, (run.retry_at or 0.0) - now) if waits else 0.0)
        return following

    def _following(self, run: RunRecord, last: RoundInput, start_commit: str | None) -> RoundInput:
        number = self._free_number(run)
        if start_commit is not None or last.rejudge or not self.began(run):
            return round_again(
                last,
                run,
                number=number,
                start_commit=start_commit or last.start_commit,
                candidate=None if start_commit is not None else last.candidate,
                diff="" if start_commit is not None else last.diff,
            )
        self._stop(run.run_id)
        attempt = self.records.attempt(run.run_id, run.attempt)
        left = self.keeper.left_by(last, run, Collect(attempt=run.attempt, tier=tier_of(run, last.ladder)))
        if left is None:
            return round_again(
                last, run, number=number, start_commit=last.start_commit, candidate=last.candidate, diff=last.diff
            )
        # What an agent finished is judged as it is; what it was in the middle of is where the next one starts.
        whole = attempt is not None and attempt.ending in FINISHED
        return round_again(
            last,
            run,
            number=number,
            start_commit=last.start_commit if whole else left.candidate.commit,
            candidate=left.candidate if whole else None,
            diff=left.diff if whole else "",
        )

    def _stop(self, run_id: str) -> None:
        try:
            self.closing.remove_sandboxes(run_id)
        except (Unavailable, SandboxFault):
            # It reaches no model: its attempt is opened by nobody any more. It is removed with the round's close.
            _LOG.warning("a fenced round's sandboxes could not be removed", exc_info=True, extra={"run": run_id})

    def _free_number(self, run: RunRecord) -> int:
        """A number that neither the records nor the engine know: they may be from different moments."""
        for number in range(run.round + 1, run.round + _MOST_NUMBERS):
            known = self.records.round_input(run.run_id, number) is not None
            if not known and state_of(self.rounds, run.run_id, number) is RoundState.ABSENT:
                return number
        raise RecordsFault("The run's rounds cannot be numbered on; dispatch its ticket again.")
