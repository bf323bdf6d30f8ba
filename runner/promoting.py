"""Promote: the forge is asked, the judgements are weighed, and exactly what was judged is merged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from runner import promotion
from runner.ci import Ci, CiPolicy, weigh
from runner.errors import CheckoutFault, Unavailable
from runner.intents import Promote
from runner.model import (
    DONE_PHASES,
    REVIEW_PHASES,
    Cause,
    Merged,
    MergeRefused,
    Phase,
    Pull,
    ReviewedHead,
    RoundInput,
)
from runner.ports import Checkouts, Clock, Forge
from runner.records import NoticeKind, Records, RunChange, RunRecord
from runner.round_after import round_after

_LOG: Final = logging.getLogger(__name__)
_SLIPPED: Final = (
    "Another commit reached the base branch in the moment of the merge, so what landed is not exactly what was judged; "
    "its pipeline is followed."
)


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
    ci: CiPolicy
    submit: Callable[[RoundInput], None]

    def promote(self, intent: Promote) -> Promoted | NotPromoted:
        """Merge exactly what was judged, or say why not. Raises UnknownRepo, ForgeDown."""
        run = self.records.run_of_pull(intent.repo, intent.pull)
        pull = self.forge.pull(intent.repo, intent.pull)
        if pull is None or run is None:
            return not_ours(intent)
        match promotion.review(
            run=run,
            pull=pull,
            pinned=intent.head_sha,
            ci=self._ci(run, pull),
            judgements=self.records.judgements(run.run_id),
        ):
            case promotion.Already(sha=sha):
                self.landed(run, sha)
                return Promoted(repo=intent.repo, pull=intent.pull, sha=sha)
            case promotion.NotYet(reason=reason):
                return NotPromoted(repo=intent.repo, pull=intent.pull, reason=reason)
            case promotion.BaseMoved():
                return self._rejudge(run, pull)
            case promotion.Ready(head=head):
                merged = self.forge.merge(head, title=pull.title, body=pull.body)
        match merged:
            case Merged(sha=sha):
                self._ended(run, merged)
                return Promoted(repo=intent.repo, pull=intent.pull, sha=sha)
            case MergeRefused(reason=reason):
                return NotPromoted(repo=intent.repo, pull=intent.pull, reason=reason)

    def landed(self, run: RunRecord, sha: str) -> bool:
        """The forge shows the work on the base branch as `sha`; whether it was us who put it there. Twice is once.

        A merge of ours whose answer got lost is asked for again: it is there, and what comes after it (the head branch
        goes, and its files are compared with those that were judged) is brought to its end. Raises ForgeDown.
        """
        begun = None if run.phase in DONE_PHASES else self._begun(run)
        again = None if begun is None else self.forge.merge(begun, title="", body="")
        match again:
            case Merged():
                self._ended(run, again)
                return True
            case MergeRefused() | None:
                self._on_record(run, sha)
                return False

    # --- inner ---

    def _begun(self, run: RunRecord) -> ReviewedHead | None:
        """What was to be merged when a merge of the run's head was begun."""
        begun = self.records.merge_begun(run.run_id)
        return begun if begun is not None and begun.head_sha == run.head_sha else None

    def _ended(self, run: RunRecord, merged: Merged) -> None:
        if not merged.as_judged:
            key = f"slipped:{merged.sha}"
            self.records.notify(run.run_id, key, NoticeKind.MERGED, _SLIPPED, self.clock.now())
        self._on_record(run, merged.sha)

    def _on_record(self, run: RunRecord, sha: str) -> None:
        """What follows is its pipeline."""
        # First: once the merge is on record nobody comes back for the clone, and without it the merge is seen again.
        try:
            self.checkouts.remove(run.run_id)
        except (CheckoutFault, Unavailable, OSError):
            _LOG.warning("the clean clone of a merged run is left", exc_info=True, extra={"run": run.run_id})
        if run.phase not in DONE_PHASES:
            now = self.clock.now()
            change: RunChange = {
                "phase": Phase.MERGED,
                "merged_sha": sha,
                "merged_at": now,
                "pipeline": weigh((), (), self.ci, since=now, now=now).state,
                "reason": None,
            }
            self.records.change(run.run_id, change, now)
        self.records.release(run.run_id)

    def _rejudge(self, run: RunRecord, pull: Pull) -> NotPromoted:
        last = self.records.round_input(run.run_id, run.round)
        if run.phase not in REVIEW_PHASES or last is None:
            reason = (
                f"{pull.base_branch} moved and the merged tree is not judged yet; wait for status, then promote again."
            )
            return NotPromoted(repo=run.repo, pull=pull.number, reason=reason)
        self.submit(
            round_after(
                last,
                run,
                cause=Cause.BASE_MOVED,
                ladder=last.ladder,
                bounds=last.bounds,
                feedback=None,
                start_tier=last.start_tier,
            )
        )
        reason = (
            f"{pull.base_branch} moved since the gates ran; judging the merged tree now. "
            "Promote again when status says awaiting_review."
        )
        return NotPromoted(repo=run.repo, pull=pull.number, reason=reason)

    def _ci(self, run: RunRecord, pull: Pull) -> Ci:
        """The checks of the head as it is, on record as seen now."""
        now = self.clock.now()
        seen = self.forge.checks(run.repo, pull.head_sha)
        self.records.save_checks(run.run_id, seen, now)
        required = self.forge.required_checks(run.repo, pull.base_branch)
        return weigh(seen, required, self.ci, since=run.published_at or run.updated_at, now=now)


def not_ours(intent: Promote) -> NotPromoted:
    """What is said of a pull request that no run owns."""
    return NotPromoted(
        repo=intent.repo, pull=intent.pull, reason="No run of ours owns that pull request; see list_runs."
    )
