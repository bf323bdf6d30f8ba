"""Whether a pull request may be merged: the only maker of `ReviewedHead`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Unjudged
from runner.ci import Ci, CiState
from runner.model import REVIEW_PHASES, Pull, PullState, ReviewedHead
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


def review(*, run: RunRecord, pull: Pull, pinned: str | None, ci: Ci, judgements: Sequence[Judgement]) -> Review:
    """Weigh a promotion. A person promoting is the decision that NeedsHuman asks for; nothing else overrides a gate."""
    if pull.state is PullState.MERGED and pull.merged_sha is not None:
        return Already(sha=pull.merged_sha)
    if obstacle := _obstacle(run, pull, pinned, ci):
        return NotYet(reason=obstacle)
    if pull.base_sha == run.base_sha:
        # A head that was taken in from the forge has no judgement but that of its merge.
        judged = [
            j for j in judgements if j.what == "head" and j.commit == pull.head_sha and j.tree == run.head_tree
        ] or _of_merge(judgements, pull)
    else:
        judged = _of_merge(judgements, pull)
        if not judged or isinstance(judged[-1].verdict, Inconclusive):
            # Asking again is how a person has it judged again once the gate's set-up is repaired.
            return BaseMoved()
    if not judged:
        return NotYet(reason="That head was never judged by the gates; ask for changes so that it is judged again.")
    return _weighed(pull, judged[-1], ci)


def _of_merge(judgements: Sequence[Judgement], pull: Pull) -> list[Judgement]:
    return [j for j in judgements if j.what == "merged" and j.base_sha == pull.base_sha and j.head == pull.head_sha]


def _weighed(pull: Pull, latest: Judgement, ci: Ci) -> Ready | NotYet:
    head = ReviewedHead(
        repo=pull.repo, pull=pull.number, head_sha=pull.head_sha, base_sha=pull.base_sha, tree=latest.tree
    )
    match latest.verdict:
        case Passed() | NeedsHuman():
            return Ready(head=head)
        case Unjudged() if ci.state is not CiState.GREEN:
            return NotYet(reason=f"No gate judged it here, and CI does not vouch for it: {ci.summary}")
        case Unjudged():
            return Ready(head=head)
        case Failed(summary=summary):
            return NotYet(reason=f"The gates refuse the merged tree: {summary}. Ask for changes with request_changes.")
        case Inconclusive(reason=why):
            return NotYet(reason=f"The gates could not judge it: {why}. Ask for changes, or look at the gate's set-up.")


def _obstacle(run: RunRecord, pull: Pull, pinned: str | None, ci: Ci) -> str | None:
    if run.quarantined is not None:
        return f"The run is quarantined ({run.quarantined}); close the pull request, and dispatch the ticket again."
    if pull.state is PullState.CLOSED:
        return "The pull request is closed; reopen it on the forge, or dispatch the ticket again."
    if pull.base_branch != run.base_branch:
        return f"It goes onto {pull.base_branch} now, not onto {run.base_branch}; turn it back, or dispatch anew."
    if pinned is not None and pinned != pull.head_sha:
        return f"The head moved: it is {pull.head_sha[:12]} now, not what you saw; look at status and promote again."
    if run.head_sha != pull.head_sha:
        return f"The head is {pull.head_sha[:12]}, which the gates never judged; ask for changes so that it is judged."
    if run.phase not in REVIEW_PHASES:
        return f"The run is {run.phase}; promote when status says awaiting_review."
    if (said := _of_ci(ci)) is not None:
        return said
    if pull.mergeable is False:
        return f"The branch conflicts with {pull.base_branch}; ask for changes with request_changes."
    return None


def _of_ci(ci: Ci) -> str | None:
    match ci.state:
        case CiState.GREEN | CiState.NONE:
            return None
        case CiState.NONE_YET | CiState.RUNNING:
            return f"CI has not finished: {ci.summary} Promote again when it is green."
        case CiState.RED:
            return f"CI is red: {ci.summary} Ask for changes with request_changes."
        case CiState.STALLED | CiState.MISSING:
            return f"CI has no verdict: {ci.summary} Look at the checks on the forge, then promote again."
