"""What a round starts from: the mirror brought up, the clean clone, the base commit, its gates."""

from __future__ import annotations

from dataclasses import dataclass

from gates.plan import CiOnly
from runner.facts import Prepared, Unworkable
from runner.model import Candidate, RoundInput
from runner.planning import Planner
from runner.ports import Checkouts, Clock, Forge
from runner.records import Records, RunRecord


@dataclass(frozen=True, kw_only=True)
class Preparer:
    """Carries out `Prepare`. A repetition finds what the first time left."""

    checkouts: Checkouts
    forge: Forge
    records: Records
    clock: Clock
    planner: Planner

    def prepare(self, round_input: RoundInput, run: RunRecord) -> Prepared | Unworkable:
        """Have everything there that the round needs of git. Raises ForgeDown, CheckoutFault."""
        if not self._up_to_date(round_input):
            self.checkouts.refresh(round_input.repo, self.forge.remote(round_input.repo))
        self.checkouts.clone(round_input.run_id, round_input.repo)
        tip = self.checkouts.branch_head(round_input.repo, round_input.base_branch)
        if tip is None:
            return Unworkable(
                reason=f"The branch {round_input.base_branch} is gone; set the repository's default branch."
            )
        rejudged: Candidate | None = None
        base_sha = run.base_sha or tip
        if round_input.rejudge and round_input.start_commit is not None:
            if run.base_sha is not None and not self.checkouts.follows(run.run_id, run.base_sha, tip):
                # Merged all the same, what somebody took off the branch would come back with the work.
                return Unworkable(
                    reason=f"{round_input.base_branch} was rewritten: the commit that the work began from is not on it "
                    "any more. Close the pull request, and dispatch the ticket again."
                )
            base_sha = tip
            if run.head_tree is None and run.head_sha == round_input.start_commit:
                # A head that was taken in from the forge: what it holds is known from here on.
                tree = self.checkouts.tree_of(round_input.run_id, round_input.start_commit)
                self.records.change(round_input.run_id, {"head_tree": tree}, self.clock.now())
            message = f"Merge of {round_input.branch} for judgement"
            rejudged = self.checkouts.merge(round_input.run_id, tip, round_input.start_commit, message)
            if rejudged is None:
                return Unworkable(
                    reason=f"The branch conflicts with {round_input.base_branch}; ask for changes that resolve it."
                )
        elif run.base_sha is None:
            self.records.change(round_input.run_id, {"base_sha": tip}, self.clock.now())
        found = self.planner.plan(round_input, base_sha)
        if isinstance(found, str):
            return Unworkable(reason=found)
        return Prepared(base_sha=base_sha, rejudged=rejudged, unjudged=isinstance(found, CiOnly))

    def _up_to_date(self, round_input: RoundInput) -> bool:
        """Whether the forge says that the base branch is where the mirror has it: one question, in a fetch's place.

        Only where the round needs nothing else of the remote, as a run's first one does.
        """
        if round_input.rejudge or round_input.start_commit is not None or round_input.candidate is not None:
            return False
        known = self.checkouts.branch_head(round_input.repo, round_input.base_branch)
        return known is not None and known == self.forge.tip(round_input.repo, round_input.base_branch)
