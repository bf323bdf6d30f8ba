"""What may be merged: exactly a head that was judged, on exactly the base it was judged on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.observed import Counts
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Unjudged, Verdict
from runner import ci
from runner.model import REVIEW_PHASES, Check, CheckState, Phase, Pull, PullState
from runner.promotion import Already, BaseMoved, NotYet, Ready, review
from runner.records import Judgement, RunRecord
from tests.fakes.pulls import a_pull

BASE, MOVED, HEAD, OTHER, TREE, MERGED_TREE = (letter * 40 for letter in "bmhote")
RUN = RunRecord(
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
    base_sha=BASE,
    head_sha=HEAD,
    head_tree=TREE,
    pull=1,
)
PULL = a_pull(repo="w", head_sha=HEAD, base_sha=BASE)
GREEN = Check(name="ashigaru/gate", state=CheckState.PASSED)


def judged(verdict: Verdict, **changes: Any) -> Judgement:
    judgement = Judgement(
        run_id="w-1-a",
        what="head",
        attempt=1,
        take=1,
        commit=HEAD,
        tree=TREE,
        head=HEAD,
        base_sha=BASE,
        key="k",
        verdict=verdict,
        counts=Counts(),
        at=0.0,
    )
    return replace(judgement, **changes)


PASSED = judged(Passed(summary="fine"))
MERGED = {"what": "merged", "base_sha": MOVED, "commit": OTHER, "tree": MERGED_TREE}


def weigh(
    run: RunRecord = RUN,
    pull: Pull = PULL,
    pinned: str | None = None,
    checks: tuple[Check, ...] = (GREEN,),
    judgements: tuple[Judgement, ...] = (PASSED,),
) -> object:
    return review(run=run, pull=pull, pinned=pinned, ci=ci_of(checks), judgements=judgements)


def ci_of(checks: tuple[Check, ...]) -> ci.Ci:
    return ci.weigh(checks, (), ci.CiPolicy(trusted=("*",), grace_s=0.0), since=0.0, now=1.0)


def test_a_judged_head_on_the_base_it_was_judged_on_is_ready_with_its_tree() -> None:
    answer = weigh(pinned=HEAD)
    assert isinstance(answer, Ready)
    assert (answer.head.head_sha, answer.head.base_sha, answer.head.tree) == (HEAD, BASE, TREE)


def test_a_person_who_promotes_decides_what_needs_a_person() -> None:
    assert isinstance(weigh(judgements=(judged(NeedsHuman(summary="s", findings=("f",))),)), Ready)


@pytest.mark.parametrize("verdict", [Failed(summary="no", report="r"), Inconclusive(reason="dunno")])
def test_a_head_that_the_gates_did_not_pass_is_not_ready(verdict: Verdict) -> None:
    assert isinstance(weigh(judgements=(judged(verdict),)), NotYet)


def test_a_head_that_was_never_judged_is_not_ready() -> None:
    assert isinstance(weigh(judgements=()), NotYet)
    assert isinstance(weigh(judgements=(judged(Passed(summary="s"), commit=OTHER),)), NotYet)
    assert isinstance(weigh(judgements=(judged(Passed(summary="s"), tree=OTHER),)), NotYet)
    assert isinstance(weigh(judgements=(judged(Passed(summary="s"), what="base"),)), NotYet)


@pytest.mark.parametrize(
    ("changes", "about"),
    [
        ({"pinned": OTHER}, "head moved"),
        ({"pull": replace(PULL, head_sha=OTHER)}, "never judged"),
        ({"pull": replace(PULL, state=PullState.CLOSED)}, "closed"),
        ({"pull": replace(PULL, mergeable=False)}, "conflicts with main"),
        ({"pull": replace(PULL, base_branch="production")}, "onto production now, not onto main"),
        ({"run": replace(RUN, phase=Phase.CANCELLED)}, "cancelled"),
        ({"run": replace(RUN, phase=Phase.GATE)}, "gate"),
        ({"checks": (GREEN, Check(name="ci", state=CheckState.FAILED))}, "CI is red: 1 of 1 checks failed: ci"),
        (
            {"checks": (GREEN, Check(name="ci", state=CheckState.PENDING))},
            "CI has not finished: 1 of 1",
        ),
    ],
)
def test_each_obstacle_is_a_sentence(changes: dict[str, Any], about: str) -> None:
    answer = weigh(**changes)
    assert isinstance(answer, NotYet)
    assert about in answer.reason


def test_a_stalled_check_is_for_a_person_to_look_at() -> None:
    answer = weigh(checks=(GREEN, Check(name="ci", state=CheckState.STALLED)))
    assert isinstance(answer, NotYet)
    assert "Look at the checks" in answer.reason


def test_a_head_that_only_ci_can_judge_is_ready_when_ci_is_green_and_not_before() -> None:
    only = judged(Unjudged())
    assert isinstance(weigh(judgements=(only,), checks=(Check(name="ci", state=CheckState.PASSED),)), Ready)
    for checks in ((), (GREEN,), (Check(name="ci", state=CheckState.PENDING),)):
        assert isinstance(weigh(judgements=(only,), checks=checks), NotYet)


def test_a_merged_pull_request_answers_with_its_merge_whatever_else_there_is() -> None:
    merged = replace(PULL, state=PullState.MERGED, merged_sha=OTHER)
    assert weigh(pull=merged, pinned=BASE, checks=()) == Already(sha=OTHER)


def test_on_a_moved_base_only_the_merged_tree_of_this_head_and_that_base_counts() -> None:
    moved = replace(PULL, base_sha=MOVED)
    assert weigh(pull=moved) == BaseMoved()
    fits = judged(Passed(summary="s"), **MERGED)
    answer = weigh(pull=moved, judgements=(PASSED, fits))
    assert isinstance(answer, Ready)
    assert (answer.head.base_sha, answer.head.tree) == (MOVED, MERGED_TREE)
    assert weigh(pull=moved, judgements=(PASSED, replace(fits, head=OTHER))) == BaseMoved()
    assert weigh(pull=moved, judgements=(PASSED, replace(fits, base_sha=OTHER))) == BaseMoved()


def test_a_red_merged_tree_is_refused_and_one_that_nobody_could_judge_is_judged_again() -> None:
    moved = replace(PULL, base_sha=MOVED)
    red = weigh(pull=moved, judgements=(PASSED, judged(Failed(summary="no", report="r"), **MERGED)))
    assert isinstance(red, NotYet)
    assert weigh(pull=moved, judgements=(PASSED, judged(Inconclusive(reason="r"), **MERGED))) == BaseMoved()


VERDICTS = st.sampled_from(
    [
        Passed(summary="s"),
        NeedsHuman(summary="s", findings=("f",)),
        Failed(summary="no", report="r"),
        Inconclusive(reason="dunno"),
        Unjudged(),
    ]
)
SHAS = st.sampled_from([BASE, MOVED, HEAD, OTHER])
JUDGEMENTS = st.builds(
    lambda verdict, what, commit, head, base, tree: judged(
        verdict, what=what, commit=commit, head=head, base_sha=base, tree=tree
    ),
    VERDICTS,
    st.sampled_from(["base", "head", "merged"]),
    SHAS,
    SHAS,
    SHAS,
    st.sampled_from([TREE, MERGED_TREE]),
)


@given(
    judgements=st.lists(JUDGEMENTS, max_size=6),
    head=SHAS,
    base=SHAS,
    pinned=st.none() | SHAS,
    phase=st.sampled_from(list(Phase)),
    states=st.lists(st.sampled_from(list(CheckState)), max_size=3),
)
def test_whatever_there_is_nothing_is_ready_without_a_verdict_that_allows_that_very_tree(
    judgements: list[Judgement],
    head: str,
    base: str,
    pinned: str | None,
    phase: Phase,
    states: list[CheckState],
) -> None:
    answer = weigh(
        run=replace(RUN, phase=phase),
        pull=replace(PULL, head_sha=head, base_sha=base),
        pinned=pinned,
        checks=tuple(Check(name=f"c{i}", state=state) for i, state in enumerate(states)),
        judgements=tuple(judgements),
    )
    if not isinstance(answer, Ready):
        return
    assert phase in REVIEW_PHASES
    assert answer.head.head_sha == head == RUN.head_sha
    assert pinned in {None, head}
    assert set(states) <= {CheckState.PASSED}
    allowed = [
        one
        for one in judgements
        if (isinstance(one.verdict, Passed | NeedsHuman) or (isinstance(one.verdict, Unjudged) and states))
        and one.tree == answer.head.tree
        and head in {one.head, one.commit}
    ]
    assert allowed
    assert answer.head.base_sha == base
