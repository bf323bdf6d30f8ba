"""Group G: what the forge and the judgements say of a head, and whether it may be merged. Pure parts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from gates.observed import Counts
from gates.verdict import Failed, Inconclusive, Passed, Unjudged, Verdict
from runner import ci, promotion
from runner.ci import CiPolicy, CiState, weigh
from runner.model import Check, CheckState, Phase, Pull, PullState, RequiredCheck, ReviewedHead
from runner.promotion import Ready
from runner.records import Judgement, RunRecord
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out, replaced
from tests.fakes.pulls import a_pull


def _case(group: str, defence: str, vector: str, tried: str, attempt: Attempt) -> Case:
    return Case(group=group, defence=defence, vector=vector, tried=tried, attempt=attempt)


_CI = CiPolicy(trusted=("github-actions",), workflows=(".github/workflows/ci.yml",), grace_s=90.0)


_WORKFLOW = ".github/workflows/ci.yml"


_REQUIRED = (RequiredCheck(name="build"),)


def _check(
    name: str = "build",
    state: CheckState = CheckState.PASSED,
    source: str = "github-actions",
    workflow: str = _WORKFLOW,
) -> Check:
    return Check(name=name, state=state, source=source, workflow=workflow)


def _vouched(checks: tuple[Check, ...], _ground: Ground) -> Outcome:
    told = weigh(checks, _REQUIRED, _CI, since=0.0, now=1000.0)
    if told.state is CiState.GREEN:
        return Through(what="the commit counts as green")
    return Stopped(by=f"{told.state}: {told.summary}")


_BASE_SHA, _MOVED, _HEAD, _OTHER, _TREE = (letter * 40 for letter in "abcde")


_RUN = RunRecord(
    run_id="w-1-a",
    repo="w",
    issue=1,
    brief="b",
    model=None,
    phase=Phase.AWAITING_REVIEW,
    base_branch="main",
    branch="ashigaru/1-a",
    created_at=0.0,
    updated_at=0.0,
    start_tier=0,
    base_sha=_BASE_SHA,
    head_sha=_HEAD,
    head_tree=_TREE,
    pull=1,
)


_PULL = a_pull(repo="w", head_sha=_HEAD, base_sha=_BASE_SHA)


_JUDGED = Judgement(
    run_id="w-1-a",
    what="head",
    attempt=1,
    take=1,
    commit=_HEAD,
    tree=_TREE,
    head=_HEAD,
    base_sha=_BASE_SHA,
    key="k",
    verdict=Passed(summary="fine"),
    counts=Counts(),
    at=0.0,
)


def _promoted(
    run: RunRecord,
    pull: Pull,
    pinned: str | None,
    checks: tuple[Check, ...],
    judgements: tuple[Judgement, ...],
    _ground: Ground,
) -> Outcome:
    told = weigh(checks, (), _CI, since=0.0, now=1000.0)
    said = promotion.review(run=run, pull=pull, pinned=pinned, ci=told, judgements=judgements)
    if isinstance(said, Ready):
        return Through(what="it would be merged")
    return Stopped(by=getattr(said, "reason", "the base moved: the merged tree is judged first"))


def _promotion(
    defence: str,
    vector: str,
    tried: str,
    *,
    run: RunRecord = _RUN,
    pull: Pull = _PULL,
    pinned: str | None = None,
    checks: tuple[Check, ...] = (),
    judgements: tuple[Judgement, ...] = (_JUDGED,),
) -> Case:
    return _case("G", defence, vector, tried, partial(_promoted, run, pull, pinned, checks, judgements))


def _unweighed() -> Any:
    """Nothing but the obstacles is looked at: whatever is there is merged."""

    def obliging(*, run: RunRecord, pull: Pull, pinned: str | None, ci: Any, **_others: Any) -> Any:
        why = promotion._obstacle(run, pull, pinned, ci)
        head = ReviewedHead(repo=pull.repo, pull=1, head_sha=pull.head_sha, base_sha=pull.base_sha, tree=_TREE)
        return Ready(head=head) if why is None else promotion.NotYet(reason=why)

    return replaced((promotion, "review", obliging))


def _verdict(verdict: Verdict) -> tuple[Judgement, ...]:
    return (replace(_JUDGED, verdict=verdict),)


_MERGED = replace(_JUDGED, what="merged", base_sha=_MOVED, commit=_OTHER)


_ON_MOVED = replace(_PULL, base_sha=_MOVED)


_DEFENCES = (
    Defence(
        name="trusted-checks",
        sentence="Only checks of sources and workflows that the operator trusts count.",
        without=out(ci, "_fits", answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="promotion-obstacles",
        sentence="Only the head that was seen, open, green and mergeable, is promoted.",
        without=out(promotion, "_obstacle", answering(None)),
    ),
    Defence(
        name="promotion-judged",
        sentence="Only a head, on a base, that the gates passed is promoted.",
        without=_unweighed,
    ),
)

_CASES = (
    *(
        _case("G", "trusted-checks", vector, f"report build as {vector}", partial(_vouched, checks))
        for vector, checks in (
            ("another-app", (_check(source="evil-app"),)),
            ("commit-status-of-a-person", (_check(source="status:mallory", workflow=""),)),
            ("another-workflow", (_check(workflow=".github/workflows/mine.yml"),)),
        )
    ),
    _promotion("promotion-obstacles", "head-moved-since", "promote what was not seen", pinned=_OTHER),
    _promotion("promotion-obstacles", "closed", "promote a closed one", pull=replace(_PULL, state=PullState.CLOSED)),
    _promotion(
        "promotion-obstacles",
        "turned-to-another-base",
        "turn a judged one to the branch that is deployed",
        pull=replace(_PULL, base_branch="production"),
    ),
    _promotion("promotion-obstacles", "conflict", "promote a conflict", pull=replace(_PULL, mergeable=False)),
    _promotion("promotion-obstacles", "at-work", "promote while work goes on", run=replace(_RUN, phase=Phase.GATE)),
    *(
        _promotion("promotion-obstacles", f"ci-{state}", f"promote while CI is {state}", checks=(_check(state=state),))
        for state in (CheckState.FAILED, CheckState.PENDING, CheckState.STALLED)
    ),
    _promotion("promotion-judged", "never-judged", "promote what no gate saw", judgements=()),
    _promotion(
        "promotion-judged",
        "another-tree",
        "promote another tree than was judged",
        judgements=(replace(_JUDGED, tree=_OTHER),),
    ),
    _promotion("promotion-judged", "base-moved", "promote onto a base that moved", pull=_ON_MOVED),
    _promotion(
        "promotion-judged",
        "merged-tree-red",
        "promote what is red once merged",
        pull=_ON_MOVED,
        judgements=(replace(_MERGED, verdict=Failed(summary="red", report="")),),
    ),
    _promotion(
        "promotion-judged",
        "judged-for-another-head",
        "promote by the judgement of an earlier head",
        pull=_ON_MOVED,
        judgements=(replace(_MERGED, head=_OTHER),),
    ),
    _promotion(
        "promotion-judged", "unjudged", "promote what is left to CI without CI", judgements=_verdict(Unjudged())
    ),
    _promotion(
        "promotion-judged",
        "inconclusive",
        "promote what could not be judged",
        judgements=_verdict(Inconclusive(reason="no")),
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
