"""What becomes of an agent's files: a commit in the clean clone, and a branch where there is no pull request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from runner.errors import RunnerError
from runner.facts import ChangesRefused, Close, Collect, Collected, NothingChanged, Outcome, SaveWork, WorkSaved
from runner.guard import Guard
from runner.layout import Layout
from runner.model import Candidate, RoundInput
from runner.policy import Allowed, ChangeLimits, Refused, judge_changes
from runner.ports import Checkouts, Clock, Forge
from runner.pushing import Pusher
from runner.records import Records, RunRecord

_LOG: Final = logging.getLogger(__name__)
_DIFF_BYTES: Final = 48 * 1024


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """Takes work in, and keeps it. A repetition finds what the first time left.

    limits: what an agent's changes to a repository may be.
    """

    checkouts: Checkouts
    forge: Forge
    records: Records
    clock: Clock
    layout: Layout
    limits: Callable[[str], ChangeLimits]
    guard: Guard

    def collect(
        self, round_input: RoundInput, run: RunRecord, step: Collect
    ) -> Collected | NothingChanged | ChangesRefused:
        """Take the attempt's changes against the run's base, all of them or none. Raises CheckoutFault, Leaked."""
        base_sha = run.base_sha or ""
        tree = self.layout.attempt(run.run_id, step.attempt).tree
        snapshot = self.checkouts.changes(run.run_id, base_sha, tree)
        match judge_changes(snapshot, self.limits(run.repo), self.checkouts.paths(run.run_id, base_sha)):
            case Refused(reasons=reasons):
                return ChangesRefused(refusals=reasons)
            case Allowed(changes=changes):
                pass
        if not changes:
            return NothingChanged()
        said = [part for change in changes for part in (change.path, change.content or b"")]
        self.guard.leaving(run.run_id, *said)
        if refusals := self.guard.refusals(changes, lambda path: self.checkouts.read(run.run_id, base_sha, path)):
            return ChangesRefused(refusals=refusals)
        tier = round_input.ladder[step.tier].name
        message = f"{_subject(round_input)}\n\nRun: {run.run_id}\nAttempt: {step.attempt} ({tier})\n"
        candidate = self.checkouts.commit(run.run_id, base_sha, run.head_sha or base_sha, changes, message)
        if run.head_tree == candidate.tree:
            return NothingChanged()
        diff = self.checkouts.diff(run.run_id, base_sha, candidate.commit, _DIFF_BYTES)
        return Collected(candidate=candidate, files=len(changes), diff=diff)

    def save(self, round_input: RoundInput, run: RunRecord, step: SaveWork) -> WorkSaved:
        """Put the candidate, or else what the attempt left, on the run's branch. Raises CheckoutFault, ForgeDown."""
        candidate = step.candidate
        if candidate is None and step.attempt is not None and run.base_sha is not None:
            tier = next((i for i, t in enumerate(round_input.ladder) if t.name == run.tier), 0)
            collected = self.collect(round_input, run, Collect(attempt=step.attempt, tier=tier))
            candidate = collected.candidate if isinstance(collected, Collected) else None
        if candidate is None:
            return WorkSaved(commit=None)
        return WorkSaved(commit=candidate.commit, branch=self._push(round_input, run, candidate))

    def save_start(self, round_input: RoundInput) -> bool:
        """Put what a round was to go on from on the run's branch; False where there is nothing that is not there."""
        run = self.records.run(round_input.run_id)
        waiting = round_input.candidate
        start = round_input.start_commit if waiting is None else waiting.commit
        if run is None or start is None or round_input.rejudge or start == run.head_sha:
            return False
        self._push(round_input, run, Candidate(commit=start, tree=self.checkouts.tree_of(run.run_id, start)))
        return True

    def partial(self, round_input: RoundInput, run: RunRecord, step: Close) -> Close:
        """A wait loses nothing: what the interrupted agent had done by then is where the next round starts."""
        if step.outcome is not Outcome.WAITING or step.resume is None or step.resume.attempt < 2:
            return step
        if step.resume.candidate is not None:
            return step
        left = self.left_by(round_input, run, Collect(attempt=step.resume.attempt - 1, tier=step.resume.tier))
        if left is None:
            return step
        return replace(step, resume=replace(step.resume, start_commit=left.candidate.commit))

    def left_by(self, round_input: RoundInput, run: RunRecord, step: Collect) -> Collected | None:
        """What an attempt that was interrupted had done by then; None where that is nothing, or cannot be kept."""
        if not (self.layout.attempt(round_input.run_id, step.attempt).root / "launched").exists():
            return None
        try:
            collected = self.collect(round_input, run, step)
        except (RunnerError, OSError):
            _LOG.exception("partial work could not be kept", extra={"run": round_input.run_id})
            return None
        return collected if isinstance(collected, Collected) else None

    def _push(self, round_input: RoundInput, run: RunRecord, candidate: Candidate) -> str:
        """Push unfinished work, and name the branch. A pull request's own branch keeps the head that was judged."""
        branch = round_input.branch if run.pull is None else f"{round_input.branch}-unfinished"
        pusher = Pusher(checkouts=self.checkouts, forge=self.forge)
        pusher.push(run.run_id, round_input.repo, candidate.commit, branch)
        if run.pull is None:
            now = self.clock.now()
            self.records.change(run.run_id, {"head_sha": candidate.commit, "head_tree": candidate.tree}, now)
        return branch


def _subject(round_input: RoundInput) -> str:
    """First line of the commit: the brief's first line, bounded."""
    line = round_input.brief.strip().splitlines()[0]
    words = line if len(line) <= 60 else f"{line[:57].rstrip()}..."
    return f"Fix #{round_input.issue}: {words}"
