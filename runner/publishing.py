"""Push what was judged, and open the pull request that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gates.observed import Counts
from gates.verdict import NeedsHuman, Passed, Unjudged
from runner.ci import OURS, CiPolicy, weigh
from runner.errors import CheckoutFault, NotPossible, PushRejected
from runner.facts import Publish, Published
from runner.guard import Guard
from runner.model import CheckState, Pull, PullDraft, PullState, RoundInput
from runner.ports import Checkouts, Clock, Forge
from runner.pull_text import Allowing, PullStory, pull_body, pull_title
from runner.pushing import Pusher
from runner.receipts import Receipts
from runner.records import Judgement, Records, RunChange, RunRecord
from runner.view import view_of

CHECK_NAME: Final = f"{OURS}gate"
LABEL: Final = "ashigaru"
LABEL_UNJUDGED: Final = "ashigaru: unjudged"
LABEL_NEEDS_HUMAN: Final = "ashigaru: needs a person"


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """Carries out `Publish`. Looked up before done: a repetition finds the branch and the pull request there."""

    checkouts: Checkouts
    forge: Forge
    records: Records
    clock: Clock
    ci: CiPolicy
    guard: Guard
    receipts: Receipts

    def publish(self, round_input: RoundInput, run: RunRecord, step: Publish) -> Published:
        """Push exactly the judged tree, then have a pull request.

        Raises CheckoutFault, PushRejected, ForgeDown, Leaked; UnknownRepo and NotPossible where the repository or the
        run's own pull request takes no more work.
        """
        candidate = step.candidate
        if self.checkouts.tree_of(run.run_id, candidate.commit) != candidate.tree:
            raise CheckoutFault("The commit to be pushed does not hold the tree that was judged; nothing was pushed.")
        verdict = step.verdict
        if not isinstance(verdict, Passed | NeedsHuman | Unjudged):
            raise CheckoutFault("A tree that the gates did not pass is never published.")
        theirs = self._theirs(run)
        title = pull_title(run.issue, run.brief) if theirs is None else theirs.title
        body = self._body(run, candidate.commit, verdict)
        self.guard.leaving(run.run_id, run.branch, title, body, verdict.summary)
        if run.pull is None:
            self._not_over(run)
        pusher = Pusher(checkouts=self.checkouts, forge=self.forge)
        pusher.push(run.run_id, run.repo, candidate.commit, run.branch)
        if not isinstance(verdict, Unjudged):
            self.forge.set_check(run.repo, candidate.commit, CHECK_NAME, CheckState.PASSED, verdict.summary)
        pull = self.forge.open_pull(
            PullDraft(
                repo=run.repo,
                head_branch=run.branch,
                base_branch=run.base_branch,
                title=title,
                body=body,
                draft=not isinstance(verdict, Passed),
                labels=_labels(verdict),
            )
        )
        if pull.head_sha != candidate.commit:
            raise PushRejected(
                "The pull request's head is not the commit that was judged; somebody pushed to the branch."
            )
        if isinstance(verdict, Unjudged):
            self._on_record(run, step, verdict)
        checks = self.forge.checks(run.repo, candidate.commit)
        required = self.forge.required_checks(run.repo, run.base_branch)
        now = self.clock.now()
        self.records.change(
            run.run_id,
            {
                "base_sha": step.base_sha or run.base_sha,
                "head_sha": candidate.commit,
                "head_tree": candidate.tree,
                "pull": pull.number,
                "pull_url": pull.url,
                "tier": round_input.ladder[step.tier].name,
                "published_at": now,
                "ci": weigh(checks, required, self.ci, since=now, now=now).state,
            },
            now,
        )
        self.records.save_checks(run.run_id, checks, now)
        return Published(pull=pull.number, url=pull.url, head_sha=candidate.commit)

    def _not_over(self, run: RunRecord) -> None:
        """Raises PushRejected where the branch had its pull request, and that came to its end: records may be older
        than the forge. With that pull request on record whoever follows it sees what became of it.
        """
        known = self.forge.pull_of(run.repo, run.branch)
        if known is None or known.state is PullState.OPEN:
            return
        change: RunChange = {"pull": known.number, "pull_url": known.url, "head_sha": known.head_sha}
        self.records.change(run.run_id, change | {"published_at": self.clock.now()}, self.clock.now())
        raise PushRejected(f"Pull request #{known.number} of this run is {known.state} already; look at it.")

    def _theirs(self, run: RunRecord) -> Pull | None:
        """The run's pull request as people have left it, None where there is none yet. A title of theirs stays.

        Raises NotPossible where it is not open any more: no second one is opened in its place.
        """
        if run.pull is None:
            return None
        pull = self.forge.pull(run.repo, run.pull)
        if pull is None or pull.state is PullState.OPEN:
            # None: what was opened a moment ago need not be shown yet, and opening looks for it again.
            return pull
        how = "merged" if pull.state is PullState.MERGED else "closed"
        raise NotPossible(f"Pull request #{run.pull} was {how} on the forge while the round worked; look at it there")

    def _on_record(self, run: RunRecord, step: Publish, verdict: Unjudged) -> None:
        """That nobody judged this head is on record too, as plainly as a verdict would be."""
        candidate = step.candidate
        self.records.save_judgement(
            Judgement(
                run_id=run.run_id,
                what="head",
                attempt=run.attempt,
                take=1,
                commit=candidate.commit,
                tree=candidate.tree,
                head=candidate.commit,
                base_sha=step.base_sha or run.base_sha or "",
                key="",
                verdict=verdict,
                counts=Counts(),
                at=self.clock.now(),
            )
        )

    def _body(self, run: RunRecord, commit: str, verdict: Allowing) -> str:
        diff = self.checkouts.diff(run.run_id, run.base_sha or commit, commit, 256 * 1024)
        named = {line[6:] for line in diff.splitlines() if line.startswith(("+++ b/", "--- a/"))}
        view = view_of(self.records, run, budget_micro_usd=None)
        return pull_body(
            PullStory(
                run_id=run.run_id,
                issue=run.issue,
                brief=run.brief,
                files=tuple(sorted(named)),
                tiers=view.tiers_tried,
                verdict=verdict,
                spent_micro_usd=view.spent_micro_usd,
                receipts=self.receipts.digest(run.run_id),
            )
        )


def _labels(verdict: Allowing) -> tuple[str, ...]:
    match verdict:
        case Passed():
            return (LABEL,)
        case NeedsHuman():
            return (LABEL, LABEL_NEEDS_HUMAN)
        case Unjudged():
            return (LABEL, LABEL_UNJUDGED)
