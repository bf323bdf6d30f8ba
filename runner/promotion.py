"""Whether a pull request may be merged: the only maker of `ReviewedHead`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed
from runner.model import Check, CheckState, Phase, Pull, PullState, ReviewedHead
from runner.records import Judgement, RunRecord


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The head that was judged is the head there is: merge exactly this."""

    head: ReviewedHead


@dataclass(frozen=True, kw_only=True)
class Already:
    """It is merged; `sha` is the squash commit."""

    sha: str


@dataclass(frozen=True, kw_only=True)
class BaseMoved:
    """The base has commits that the judged tree does not, and the gates have no word on the merged tree."""


@dataclass(frozen=True, kw_only=True)
class NotYet:
    """Not to be merged; reason is one sentence with what to do."""

    reason: str


Review: TypeAlias = Ready | Already | BaseMoved | NotYet


def review(
    *, run: RunRecord, pull: Pull, pinned: str | None, checks: Sequence[Check], judgements: Sequence[Judgement]
) -> Review:
    """Weigh a promotion. A person promoting is the decision that NeedsHuman asks for; nothing else overrides a gate."""
    if pull.state is PullState.MERGED and pull.merged_sha is not None:
        return Already(sha=pull.merged_sha)
    if obstacle := _obstacle(run, pull, pinned, checks):
        return NotYet(reason=obstacle)
    if pull.base_sha == run.base_sha:
        judged = [j for j in judgements if j.what == "head" and j.commit == pull.head_sha and j.tree == run.head_tree]
    else:
        judged = [
            j for j in judgements if j.what == "merged" and j.base_sha == pull.base_sha and j.head == pull.head_sha
        ]
        if not judged or isinstance(judged[-1].verdict, Inconclusive):
            # Asking again is how a person has it judged again once the gate's set-up is repaired.
            return BaseMoved()
    if not judged:
        return NotYet(reason="That head was never judged by the gates; ask for changes so that it is judged again.")
    latest = judged[-1]
    match latest.verdict:
        case Passed() | NeedsHuman():
            head = ReviewedHead(
                repo=pull.repo, pull=pull.number, head_sha=pull.head_sha, base_sha=pull.base_sha, tree=latest.tree
            )
            return Ready(head=head)
        case Failed(summary=summary):
            return NotYet(reason=f"The gates refuse the merged tree: {summary}. Ask for changes with request_changes.")
        case Inconclusive(reason=why):
            return NotYet(reason=f"The gates could not judge it: {why}. Ask for changes, or look at the gate's set-up.")


def _obstacle(run: RunRecord, pull: Pull, pinned: str | None, checks: Sequence[Check]) -> str | None:
    if pull.state is PullState.CLOSED:
        return "The pull request is closed; reopen it on the forge, or dispatch the ticket again."
    if pinned is not None and pinned != pull.head_sha:
        return f"The head moved: it is {pull.head_sha[:12]} now, not what you saw; look at status and promote again."
    if run.head_sha != pull.head_sha:
        return f"The head is {pull.head_sha[:12]}, which the gates never judged; ask for changes so that it is judged."
    if run.phase is not Phase.AWAITING_REVIEW:
        return f"The run is {run.phase}; promote when status says awaiting_review."
    red = [check.name for check in checks if check.state is CheckState.FAILED]
    if red:
        return f"Check {red[0]} is red; ask for changes with request_changes."
    pending = [check.name for check in checks if check.state is CheckState.PENDING]
    if pending:
        return f"Check {pending[0]} has not finished; promote again when it is green."
    if pull.mergeable is False:
        return f"The branch conflicts with {pull.base_branch}; ask for changes with request_changes."
    return None
