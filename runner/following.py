"""What follows from what a forge shows of a run's pull request. Pure; `runner.follower` does it.

Times are UTC seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from runner.ci import Ci, CiState
from runner.model import Bounds, Phase, Pull, PullState
from runner.records import RunRecord
from runner.remarks import Remark

MOST_FRUITLESS: Final = 2
"""So many rounds in a row that changed nothing, and reviewers' remarks start no more of them by themselves."""


@dataclass(frozen=True, kw_only=True)
class Landed:
    """Somebody merged it; `sha` is the commit on the base branch."""

    sha: str


@dataclass(frozen=True, kw_only=True)
class Shut:
    """It was closed without being merged, or is not there any more."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Revise:
    """People ask for changes: a new round that is told these remarks, and answers them."""

    remarks: tuple[Remark, ...]


@dataclass(frozen=True, kw_only=True)
class Repair:
    """The checks are red through the change: a new round at the ladder's next step, told their logs."""

    ci: Ci


@dataclass(frozen=True, kw_only=True)
class Show:
    """CI vouches for what no gate here has judged: the pull request is ready for review now."""


@dataclass(frozen=True, kw_only=True)
class Rest:
    """No deed; the phase it is in, and why, where there is a why."""

    phase: Phase
    reason: str | None = None


Deed: TypeAlias = Landed | Shut | Revise | Repair | Show | Rest


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One look at a run under review.

    pull None: the forge has it no more. red_before: names of checks that are red on the base too. unanswered: what
    people with write access said that no round has taken up, in order. settled: long enough ago for them to have
    finished. unjudged: no gate here has judged the head.
    """

    pull: Pull | None
    ci: Ci
    red_before: frozenset[str]
    unanswered: tuple[Remark, ...]
    settled: bool
    unjudged: bool


def decide(run: RunRecord, seen: Sight, bounds: Bounds) -> Deed:
    """What is due. People come before checks, and an end before both."""
    if (over := _over(seen.pull)) is not None:
        return over
    moved = seen.pull is not None and seen.pull.head_sha != run.head_sha
    if moved:
        # What somebody else pushed is theirs: no gate has judged it, and no round builds on it unasked.
        return Rest(phase=Phase.AWAITING_REVIEW, reason=_MOVED)
    if seen.unanswered:
        if (stopped := _no_more_reviews(run, bounds)) is not None:
            return Rest(phase=Phase.AWAITING_REVIEW, reason=stopped)
        if seen.settled:
            return Revise(remarks=seen.unanswered)
    return _by_checks(run, seen, bounds)


def may_ask(remarks: Sequence[Remark], known: dict[str, float]) -> tuple[Remark, ...]:
    """Those that a person with write access made, and that no round took up as they read now.

    known: id of each remark that was taken up, and when it was last edited by then.
    """
    return tuple(one for one in remarks if one.may_ask and one.body.strip() and one.at > known.get(one.id, -1.0))


_MOVED: Final = "Somebody pushed to the branch, and no gate judged that; ask for changes so that it is judged."


def _over(pull: Pull | None) -> Landed | Shut | None:
    if pull is None:
        return Shut(reason="The pull request is not on the forge any more.")
    if pull.state is PullState.MERGED:
        return Landed(sha=pull.merged_sha or pull.head_sha)
    if pull.state is PullState.CLOSED:
        return Shut(reason="The pull request was closed on the forge.")
    return None


def _no_more_reviews(run: RunRecord, bounds: Bounds) -> str | None:
    if run.review_rounds >= bounds.max_review_rounds:
        return f"{run.review_rounds} rounds of review are the most there may be; request_changes starts another."
    if run.fruitless >= MOST_FRUITLESS:
        return f"{run.fruitless} rounds in a row changed nothing; say more with request_changes."
    return None


def _by_checks(run: RunRecord, seen: Sight, bounds: Bounds) -> Deed:
    match seen.ci.state:
        case CiState.NONE_YET | CiState.RUNNING:
            return Rest(phase=Phase.CI)
        case CiState.GREEN:
            if seen.unjudged and seen.pull is not None and seen.pull.draft:
                return Show()
            return Rest(phase=Phase.AWAITING_REVIEW)
        case CiState.NONE if not seen.unjudged:
            return Rest(phase=Phase.AWAITING_REVIEW)
        case CiState.NONE:
            reason = "Nothing judged it: no gate runs here, and no check registered. Look at the repository's CI."
            return Rest(phase=Phase.AWAITING_REVIEW, reason=reason)
        case CiState.STALLED | CiState.MISSING:
            return Rest(phase=Phase.AWAITING_REVIEW, reason=f"CI: {seen.ci.summary}")
        case CiState.RED:
            return _red(run, seen, bounds)


def _red(run: RunRecord, seen: Sight, bounds: Bounds) -> Deed:
    if all(check.name in seen.red_before for check in seen.ci.failed):
        return Rest(phase=Phase.AWAITING_REVIEW, reason=f"CI is red on {run.base_branch} too. {seen.ci.summary}")
    if run.ci_repaired == run.head_sha:
        return Rest(phase=Phase.AWAITING_REVIEW, reason=f"CI is red, and a round found no repair. {seen.ci.summary}")
    if run.ci_rounds >= bounds.max_ci_rounds:
        tried = f"CI is still red after {run.ci_rounds} rounds of repair."
        return Rest(phase=Phase.AWAITING_REVIEW, reason=f"{tried} {seen.ci.summary}")
    return Repair(ci=seen.ci)
