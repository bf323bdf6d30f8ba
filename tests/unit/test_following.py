"""What follows from a look at a pull request."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from runner.ci import Ci, CiState
from runner.following import Deed, Landed, Repair, Rest, Revise, Show, Shut, Sight, decide, may_ask
from runner.model import Bounds, Check, CheckState, Phase, PullState
from runner.records import RunRecord
from runner.remarks import Remark, RemarkKind
from tests.fakes.pulls import a_pull

HEAD = "h" * 40
RUN = RunRecord(
    run_id="w-1-a",
    repo="w",
    issue=1,
    brief="b",
    model=None,
    phase=Phase.CI,
    base_branch="main",
    branch="ashigaru/1-a",
    created_at=0.0,
    updated_at=0.0,
    start_tier=0,
    head_sha=HEAD,
    pull=1,
)
PULL = a_pull(repo="w", head_sha=HEAD)
GREEN = Ci(state=CiState.GREEN, summary="2 checks passed.", counted=2)
FAILED = Check(name="build", state=CheckState.FAILED, source="github-actions")
RED = Ci(state=CiState.RED, summary="1 of 2 checks failed: build.", failed=(FAILED,), counted=2)
SIGHT = Sight(pull=PULL, ci=GREEN, red_before=frozenset(), unanswered=(), settled=True, unjudged=False)
ASKED = Remark(id="line:7", kind=RemarkKind.LINE, author="eve", may_ask=True, body="Rename it.", at=5.0, path="a.py")


def due(seen: Sight = SIGHT, run: RunRecord = RUN, bounds: Bounds = Bounds()) -> Deed:  # noqa: B008 - frozen
    return decide(run, seen, bounds)


def test_a_merge_by_a_person_ends_the_following_whatever_else_there_is() -> None:
    merged = replace(PULL, state=PullState.MERGED, merged_sha="m" * 40)
    assert due(replace(SIGHT, pull=merged, unanswered=(ASKED,), ci=RED)) == Landed(sha="m" * 40)


def test_a_closed_or_vanished_pull_request_ends_it_too() -> None:
    assert isinstance(due(replace(SIGHT, pull=replace(PULL, state=PullState.CLOSED), ci=RED)), Shut)
    assert isinstance(due(replace(SIGHT, pull=None)), Shut)


def test_green_awaits_review_and_running_waits_on() -> None:
    assert due() == Rest(phase=Phase.AWAITING_REVIEW)
    for state in (CiState.NONE_YET, CiState.RUNNING):
        assert due(replace(SIGHT, ci=Ci(state=state, summary="s"))) == Rest(phase=Phase.CI)


def test_red_starts_a_repair_within_the_bound() -> None:
    assert due(replace(SIGHT, ci=RED)) == Repair(ci=RED)
    tired = due(replace(SIGHT, ci=RED), replace(RUN, ci_rounds=2))
    assert isinstance(tired, Rest)
    assert "still red after 2 rounds" in (tired.reason or "")


def test_a_head_is_repaired_once() -> None:
    again = due(replace(SIGHT, ci=RED), replace(RUN, ci_repaired=HEAD, ci_rounds=1))
    assert isinstance(again, Rest)
    assert "found no repair" in (again.reason or "")


def test_what_is_red_on_the_base_too_is_not_blamed_on_the_change() -> None:
    seen = replace(SIGHT, ci=RED, red_before=frozenset({"build", "other"}))
    told = due(seen)
    assert isinstance(told, Rest)
    assert "main too" in (told.reason or "")
    both = replace(RED, failed=(FAILED, replace(FAILED, name="lint")))
    assert due(replace(seen, ci=both)) == Repair(ci=both)


def test_a_head_that_somebody_else_pushed_is_left_to_them() -> None:
    told = due(replace(SIGHT, pull=replace(PULL, head_sha="x" * 40), ci=RED, unanswered=(ASKED,)))
    assert isinstance(told, Rest)
    assert "Somebody pushed" in (told.reason or "")


def test_remarks_come_before_checks_and_wait_until_they_have_settled() -> None:
    seen = replace(SIGHT, ci=RED, unanswered=(ASKED,))
    assert due(seen) == Revise(remarks=(ASKED,))
    assert due(replace(seen, settled=False, ci=GREEN)) == Rest(phase=Phase.AWAITING_REVIEW)


def test_rounds_of_review_are_capped_and_stop_when_nothing_comes_of_them() -> None:
    seen = replace(SIGHT, unanswered=(ASKED,))
    capped = due(seen, replace(RUN, review_rounds=5))
    assert isinstance(capped, Rest)
    assert "request_changes" in (capped.reason or "")
    fruitless = due(seen, replace(RUN, review_rounds=2, fruitless=2))
    assert isinstance(fruitless, Rest)
    assert "changed nothing" in (fruitless.reason or "")


def test_a_draft_that_only_ci_can_judge_is_shown_on_green_and_only_then() -> None:
    draft = replace(SIGHT, unjudged=True, pull=replace(PULL, draft=True))
    assert due(draft) == Show()
    assert due(replace(draft, pull=PULL)) == Rest(phase=Phase.AWAITING_REVIEW)
    silent = due(replace(draft, ci=Ci(state=CiState.NONE, summary="s")))
    assert isinstance(silent, Rest)
    assert "Nothing judged it" in (silent.reason or "")
    assert due(replace(draft, unjudged=False)) == Rest(phase=Phase.AWAITING_REVIEW)


def test_only_people_with_write_access_ask_and_each_text_is_taken_up_once() -> None:
    stranger = replace(ASKED, id="comment:1", may_ask=False)
    blank = replace(ASKED, id="comment:2", body="  \n")
    assert may_ask((ASKED, stranger, blank), {}) == (ASKED,)
    assert may_ask((ASKED,), {ASKED.id: ASKED.at}) == ()
    edited = replace(ASKED, at=9.0)
    assert may_ask((edited,), {ASKED.id: ASKED.at}) == (edited,)


CIS = st.sampled_from([GREEN, RED, *(Ci(state=state, summary="s.") for state in CiState if state.name != "RED")])


@given(
    ci=CIS,
    flags=st.tuples(*(st.booleans() for _ in range(5))),
    counts=st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 3)),
)
def test_rounds_that_nobody_called_for_are_bounded_and_nothing_unvouched_is_shown(
    ci: Ci, flags: tuple[bool, bool, bool, bool, bool], counts: tuple[int, int, int]
) -> None:
    unjudged, draft, asked, settled, repaired = flags
    run = replace(
        RUN,
        ci_rounds=counts[0],
        review_rounds=counts[1],
        fruitless=counts[2],
        ci_repaired=HEAD if repaired else None,
    )
    seen = replace(
        SIGHT,
        ci=ci,
        unjudged=unjudged,
        pull=replace(PULL, draft=draft),
        unanswered=(ASKED,) if asked else (),
        settled=settled,
    )
    deed = due(seen, run)
    if isinstance(deed, Repair):
        assert run.ci_rounds < Bounds().max_ci_rounds
        assert ci.state is CiState.RED
    if isinstance(deed, Revise):
        assert asked
        assert run.review_rounds < Bounds().max_review_rounds
    if isinstance(deed, Show):
        assert (ci.state, unjudged, draft) == (CiState.GREEN, True, True)
