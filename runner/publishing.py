"""Push what was judged, and open the pull request that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed
from runner.brief import TierTried, pull_body, pull_title
from runner.errors import CheckoutFault
from runner.facts import Published, Publish
from runner.model import CheckState, PullDraft, RoundInput
from runner.ports import Checkouts, Clock, Forge
from runner.records import Records, RunRecord

CHECK_NAME: Final = "ashigaru/gate"
_FILES_SHOWN: Final = 50


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """Carries out `Publish`. Looked up before done: a repetition finds the branch and the pull request there."""

    checkouts: Checkouts
    forge: Forge
    records: Records
    clock: Clock

    def publish(self, round_input: RoundInput, run: RunRecord, step: Publish) -> Published:
        """Push exactly the judged tree, then have a pull request for it. Raises CheckoutFault, ForgeDown."""
        candidate = step.candidate
        if self.checkouts.tree_of(run.run_id, candidate.commit) != candidate.tree:
            raise CheckoutFault("The commit to be pushed does not hold the tree that was judged; nothing was pushed.")
        match step.verdict:
            case Passed(summary=summary):
                needs_human: tuple[str, ...] = ()
            case NeedsHuman(summary=summary, findings=found):
                needs_human = found
            case Failed() | Inconclusive():
                raise CheckoutFault("A tree that the gates did not pass is never published.")
        self.checkouts.push(run.run_id, self.forge.remote(run.repo), candidate.commit, run.branch)
        self.forge.set_check(run.repo, candidate.commit, CHECK_NAME, CheckState.PASSED, summary)
        pull = self.forge.open_pull(
            PullDraft(
                repo=run.repo,
                head_branch=run.branch,
                base_branch=run.base_branch,
                title=pull_title(issue=run.issue, brief=run.brief),
                body=self._body(run, candidate.commit, summary, needs_human),
                draft=bool(needs_human),
            )
        )
        if pull.head_sha != candidate.commit:
            raise CheckoutFault(
                "The pull request's head is not the commit that was judged; somebody pushed to the branch."
            )
        now = self.clock.now()
        self.records.change(
            run.run_id,
            {
                "head_sha": candidate.commit,
                "head_tree": candidate.tree,
                "pull": pull.number,
                "pull_url": pull.url,
                "tier": round_input.ladder[step.tier].name,
            },
            now,
        )
        self.records.save_checks(run.run_id, self.forge.checks(run.repo, candidate.commit), now)
        return Published(pull=pull.number, url=pull.url, head_sha=candidate.commit)

    def _body(self, run: RunRecord, commit: str, summary: str, needs_human: tuple[str, ...]) -> str:
        base = run.base_sha or commit
        stat = self.checkouts.diff(run.run_id, base, commit, 256 * 1024)
        files = [line.removeprefix("+++ b/") for line in stat.splitlines() if line.startswith("+++ b/")]
        judged = {j.attempt: j.verdict for j in self.records.judgements(run.run_id) if j.what == "head"}
        return pull_body(
            brief=run.brief,
            issue=run.issue,
            run_id=run.run_id,
            files=tuple(files[:_FILES_SHOWN]),
            tiers=tuple(
                TierTried(tier=a.tier, attempt=a.attempt, ending=a.ending or "", verdict=_word(judged.get(a.attempt)))
                for a in self.records.attempts(run.run_id)
            ),
            gate_summary=summary,
            findings=needs_human,
            micro_usd=self.records.spent(run.run_id),
        )


def _word(verdict: Passed | Failed | NeedsHuman | Inconclusive | None) -> str:
    return "" if verdict is None else verdict.kind
