"""Promote: the forge is asked, the judgements are weighed, and exactly what was judged is merged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from runner import promotion
from runner.errors import CheckoutFault, UnknownRepo
from runner.intents import Promote
from runner.model import Merged, MergeRefused, Phase, Pull, PullState, RoundInput
from runner.ports import Checkouts, Clock, Forge
from runner.records import Records, RunChange, RunRecord

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """A pull request that was squash-merged: the commit on the base branch."""

    repo: str
    pull: int
    sha: str


@dataclass(frozen=True, kw_only=True)
class NotPromoted:
    """A pull request that was not merged; reason is one sentence that says what to do."""

    repo: str
    pull: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Promoter:
    """Carries out promotions. submit: have a further round of a run begin."""

    records: Records
    forge: Forge
    checkouts: Checkouts
    clock: Clock
    submit: Callable[[RoundInput], None]

    def promote(self, intent: Promote) -> Promoted | NotPromoted:
        """Merge exactly what was judged, or say why not. Raises UnknownRepo, ForgeDown."""
        run = self.records.run_of_pull(intent.repo, intent.pull)
        pull = self.forge.pull(intent.repo, intent.pull)
        if pull is None or run is None:
            return NotPromoted(
                repo=intent.repo, pull=intent.pull, reason="No run of ours owns that pull request; see list_runs."
            )
        seen = self.forge.checks(intent.repo, pull.head_sha)
        self.records.save_checks(run.run_id, seen, self.clock.now())
        match promotion.review(
            run=run,
            pull=pull,
            pinned=intent.head_sha,
            checks=seen,
            judgements=self.records.judgements(run.run_id),
        ):
            case promotion.Already(sha=sha):
                self._merged(run, sha)
                return Promoted(repo=intent.repo, pull=intent.pull, sha=sha)
            case promotion.NotYet(reason=reason):
                return NotPromoted(repo=intent.repo, pull=intent.pull, reason=reason)
            case promotion.BaseMoved():
                return self._rejudge(run, pull)
            case promotion.Ready(head=head):
                merged = self.forge.merge(head, title=pull.title, body=pull.body)
        match merged:
            case Merged(sha=sha):
                self._merged(run, sha)
                return Promoted(repo=intent.repo, pull=intent.pull, sha=sha)
            case MergeRefused(reason=reason):
                return NotPromoted(repo=intent.repo, pull=intent.pull, reason=reason)

    def follow(self, run: RunRecord) -> None:
        """Learn what became of a pull request while nobody was looking."""
        try:
            pull = None if run.pull is None else self.forge.pull(run.repo, run.pull)
        except UnknownRepo:
            return
        if pull is not None and pull.state is PullState.MERGED and pull.merged_sha is not None:
            self._merged(run, pull.merged_sha)

    # --- inner ---

    def _rejudge(self, run: RunRecord, pull: Pull) -> NotPromoted:
        last = self.records.round_input(run.run_id, run.round)
        if run.phase is not Phase.AWAITING_REVIEW or last is None:
            reason = (
                f"{pull.base_branch} moved and the merged tree is not judged yet; wait for status, then promote again."
            )
            return NotPromoted(repo=run.repo, pull=pull.number, reason=reason)
        self.submit(
            replace(
                last,
                number=run.round + 1,
                first_attempt=run.attempt + 1,
                start_commit=run.head_sha,
                feedback=None,
                pull=run.pull,
                rejudge=True,
            )
        )
        reason = (
            f"{pull.base_branch} moved since the gates ran; judging the merged tree now. "
            "Promote again when status says awaiting_review."
        )
        return NotPromoted(repo=run.repo, pull=pull.number, reason=reason)

    def _merged(self, run: RunRecord, sha: str) -> None:
        if run.phase is not Phase.MERGED:
            change: RunChange = {"phase": Phase.MERGED, "merged_sha": sha, "reason": None}
            self.records.change(run.run_id, change, self.clock.now())
        self.records.release(run.run_id)
        try:
            self.checkouts.remove(run.run_id)
        except CheckoutFault:
            _LOG.warning("the clean clone of a merged run is left", exc_info=True, extra={"run": run.run_id})
