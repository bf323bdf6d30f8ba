"""Retry: a run that ended without a merge goes on, from the work that was kept or from the start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from gates.text import usd
from gates.verdict import Failed, NeedsHuman, Passed
from runner.brief import feedback_from_gate, with_earlier
from runner.errors import CheckoutFault, NotPossible
from runner.model import DONE_PHASES, LIVE_PHASES, Bounds, Candidate, Cause, Phase, RoundInput, Tier
from runner.ports import Checkouts
from runner.records import Judgement, Records, RunChange, RunRecord
from runner.round_after import round_after, tier_of

_DIFF_BYTES: Final = 48 * 1024
FORGET: Final[RunChange] = {"base_sha": None, "head_sha": None, "head_tree": None}
"""The change of a run's record that makes it start on the base as it is now."""


@dataclass(frozen=True, kw_only=True)
class Going:
    """How a run goes on. forget: from today's base, whatever was done. judge: the kept work is whole, and all that is
    left is to judge it. failed: what the gates said of the kept work, for the agent to repair it.
    """

    forget: bool
    judge: bool = False
    failed: Failed | None = None


def decide(run: RunRecord, judgements: list[Judgement], *, from_start: bool) -> Going | str:
    """How the run goes on, or a sentence that says why it does not."""
    if run.phase in DONE_PHASES:
        return "The run is merged; open a new ticket for further changes."
    if run.phase in LIVE_PHASES:
        return f"The run has not ended ({run.phase}); wait for it, or cancel it first."
    if from_start and run.pull is not None:
        return (
            f"Pull request #{run.pull} shows the run's work, and starting over would replace it; "
            "leave --from-start out, or dispatch the ticket again with work_ticket."
        )
    if from_start or run.base_sha is None or run.head_sha is None or _base_to_blame(run, judgements):
        return Going(forget=True)
    said = [one.verdict for one in judgements if one.what == "head" and one.commit == run.head_sha]
    if not said:
        return Going(forget=False)
    return Going(forget=False, failed=said[-1]) if isinstance(said[-1], Failed) else Going(forget=False, judge=True)


def _base_to_blame(run: RunRecord, judgements: list[Judgement]) -> bool:
    """Whether the run was blocked because its base is red, or cannot be judged: it is never repaired from here."""
    said = [one.verdict for one in judgements if one.what == "base" and one.base_sha == run.base_sha]
    return run.phase is Phase.BLOCKED and bool(said) and not isinstance(said[-1], Passed | NeedsHuman)


@dataclass(frozen=True, kw_only=True)
class Retrier:
    """Carries out retries; ladder and bounds are today's."""

    records: Records
    checkouts: Checkouts
    ladder: tuple[Tier, ...]
    bounds: Bounds

    def retry(self, run: RunRecord, *, from_start: bool, rung: int | None = None) -> tuple[RoundInput, RunChange]:
        """The round to be submitted, with what else changes of the run; `claim` is next. Raises NotPossible.

        rung: where the caller wants it to go on; None: at the tier it reached, or at the ticket's with `from_start`.
        """
        going = decide(run, self.records.judgements(run.run_id), from_start=from_start)
        if isinstance(going, str):
            raise NotPossible(going)
        if run.base_sha is not None and not self._has_clone(run.run_id, run.base_sha):
            raise NotPossible(
                "The run ended long ago and its clone was put away; dispatch the ticket again with work_ticket."
            )
        last = self.records.round_input(run.run_id, run.round)
        if last is None:
            raise NotPossible("The run's last round is not on record; dispatch the ticket again with work_ticket.")
        if self.records.spent(run.run_id) >= self.bounds.run_micro_usd:
            raise NotPossible(
                f"The run's {usd(self.bounds.run_micro_usd)} are used up; raise run_micro_usd in ASHIGARU_BOUNDS, "
                "or dispatch the ticket again with work_ticket."
            )
        asked = last.feedback if last.cause is Cause.CHANGES else None
        # Without --from-start what the cheaper tiers cost was not for nothing: they have shown what they can do.
        reached = min(run.start_tier, len(self.ladder) - 1) if from_start else tier_of(run, self.ladder)
        following = round_after(
            last,
            run,
            cause=Cause.RETRY,
            ladder=self.ladder,
            bounds=self.bounds,
            feedback=asked if going.forget else last.feedback,
            start_tier=reached if rung is None else rung,
        )
        if going.forget:
            following = replace(following, start_commit=None)
        elif going.judge:
            judged = Candidate(commit=run.head_sha or "", tree=run.head_tree or "")
            following = replace(following, candidate=judged, diff=self._diff(run))
        elif going.failed is not None:
            told = feedback_from_gate(self._diff(run), going.failed, run.tier or "-")
            following = replace(following, feedback=with_earlier(asked, told))
        return following, FORGET if going.forget else {}

    def claim(self, run: RunRecord) -> None:
        """The run is its issue's again. Raises NotPossible."""
        if not self.records.reclaim(run.run_id):
            raise NotPossible("Another run is live for this issue; follow that one, or cancel it first.")

    def _has_clone(self, run_id: str, base_sha: str) -> bool:
        """Whether the run's clone is there: in it is what tells its branch from somebody else's."""
        try:
            self.checkouts.tree_of(run_id, base_sha)
        except CheckoutFault:
            return False
        return True

    def _diff(self, run: RunRecord) -> str:
        return self.checkouts.diff(run.run_id, run.base_sha or "", run.head_sha or "", _DIFF_BYTES)
