"""The state machine of a round: one example for each thing that can happen."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from gates.verdict import Failed, Unjudged, Verdict
from runner import facts
from runner.endings import STUCK
from runner.facts import (
    AgentEnded,
    BaseJudged,
    CancelSeen,
    ChangesRefused,
    Close,
    Collect,
    Collected,
    Fact,
    HeadJudged,
    JudgeBase,
    JudgeHead,
    LeakFound,
    NothingChanged,
    Outcome,
    Prepare,
    Prepared,
    Publish,
    Published,
    Resume,
    RoundClosed,
    RunAgent,
    SaveWork,
    Step,
    Trouble,
    Unworkable,
    WorkSaved,
)
from runner.ladder import ENDINGS, RETRY_AFTER_S, LadderError, Reaction, Round, advance, begin
from runner.model import Candidate, Cause, Ending, RoundInput
from runner.reasons import MAX_REASON_CHARS
from tests.fakes.a_round import (
    BASE,
    BASE_GREEN,
    C1,
    C2,
    DONE,
    DOUBT,
    GREEN,
    INPUT,
    LADDER,
    LONG,
    PREPARED,
    RED,
    TROUBLE,
    UNSURE,
)

DOCS = Path(__file__).parent.parent.parent / "docs"


def collected(candidate: Candidate = C1) -> Collected:
    return Collected(candidate=candidate, files=2, diff="+ fixed")


def head(verdict: Verdict, candidate: Candidate = C1) -> HeadJudged:
    return HeadJudged(candidate=candidate, verdict=verdict)


def play(*happened: Fact, given: RoundInput = INPUT) -> tuple[Round, Step]:
    now, step = begin(given)
    for fact in happened:
        now, step = advance(now, fact)
    return now, step


def due(*happened: Fact, given: RoundInput = INPUT) -> Step:
    return play(*happened, given=given)[1]


def closed(*happened: Fact, given: RoundInput = INPUT) -> Close:
    step = due(*happened, given=given)
    assert isinstance(step, Close)
    return step


FIRST_RED = (PREPARED, DONE, collected(), BASE_GREEN, head(RED))
AT_LAST_TIER = replace(INPUT, start_tier=2)


# --- the main line -------------------------------------------------------------------------------------------


def test_a_green_candidate_is_published_with_its_verdict() -> None:
    now, step = begin(INPUT)
    seen = [step]
    published = Published(pull=3, url="http://forge/3", head_sha=C1.commit)
    for fact in (PREPARED, DONE, collected(), BASE_GREEN, head(GREEN), published):
        now, step = advance(now, fact)
        seen.append(step)
    assert seen[:-1] == [
        Prepare(),
        RunAgent(attempt=1, tier=0, from_commit=BASE, feedback=None),
        Collect(attempt=1, tier=0),
        JudgeBase(),
        JudgeHead(candidate=C1, attempt=1, take=1),
        Publish(candidate=C1, verdict=GREEN, tier=0),
    ]
    assert isinstance(step, Close)
    assert (step.outcome, step.resume) == (Outcome.PUBLISHED, None)
    assert "#3" in step.reason


def test_a_refused_candidate_climbs_from_its_own_files_with_the_report_and_the_diff() -> None:
    step = due(*FIRST_RED)
    assert isinstance(step, RunAgent)
    assert (step.attempt, step.tier, step.from_commit) == (2, 1, C1.commit)
    assert step.feedback is not None
    assert "test_minutes: 5 is not 6" in step.feedback
    assert "+ fixed" in step.feedback


def test_a_reviewers_notes_outlive_a_climb() -> None:
    noted = replace(INPUT, feedback="rename it to hours", start_commit="c" * 40, first_attempt=4)
    first = due(PREPARED, given=noted)
    assert first == RunAgent(attempt=4, tier=0, from_commit="c" * 40, feedback="rename it to hours")
    second = due(*FIRST_RED, given=noted)
    assert isinstance(second, RunAgent)
    assert second.feedback is not None
    assert second.feedback.startswith("rename it to hours")


def test_the_base_is_judged_once_for_all_tiers() -> None:
    assert due(*FIRST_RED, DONE, collected(C2)) == JudgeHead(candidate=C2, attempt=2, take=1)


def test_green_for_a_person_to_decide_is_published_too() -> None:
    assert due(PREPARED, DONE, collected(), BASE_GREEN, head(DOUBT)) == Publish(candidate=C1, verdict=DOUBT, tier=0)


def test_out_of_tiers_the_work_is_saved_and_a_person_is_asked() -> None:
    saving = due(*FIRST_RED, given=AT_LAST_TIER)
    assert saving == SaveWork(candidate=C1, attempt=1)
    end = closed(*FIRST_RED, WorkSaved(commit=C1.commit), given=AT_LAST_TIER)
    assert end.outcome is Outcome.ESCALATED
    assert "1 failed" in end.reason
    assert INPUT.branch in end.reason


# --- the base ------------------------------------------------------------------------------------------------


def test_a_red_base_blocks_the_run() -> None:
    end = closed(PREPARED, BaseJudged(verdict=RED))
    assert end.outcome is Outcome.BLOCKED
    assert end.reason.startswith("The base is red: 1 failed")


def test_a_red_base_learnt_late_blocks_the_run_and_keeps_the_work() -> None:
    late = (PREPARED, DONE, collected(), BaseJudged(verdict=RED))
    assert due(*late) == SaveWork(candidate=C1, attempt=1)
    assert closed(*late, WorkSaved(commit=C1.commit)).outcome is Outcome.BLOCKED


def test_an_unsure_base_is_judged_again_and_the_agent_goes_on() -> None:
    unsure = BaseJudged(verdict=UNSURE)
    running = RunAgent(attempt=1, tier=0, from_commit=BASE, feedback=None)
    assert due(PREPARED, unsure) == JudgeBase()
    assert due(PREPARED, unsure, unsure, BASE_GREEN) == running
    assert closed(PREPARED, unsure, unsure, unsure).outcome is Outcome.BLOCKED


def test_an_unsure_base_never_lets_a_candidate_through() -> None:
    unsure = BaseJudged(verdict=UNSURE)
    assert due(PREPARED, DONE, collected(), unsure) == JudgeBase()
    assert due(PREPARED, DONE, collected(), unsure, unsure, unsure) == SaveWork(candidate=C1, attempt=1)


# --- the gate, the policy, the empty diff --------------------------------------------------------------------


def test_an_unsure_gate_judges_the_same_tree_again_and_never_the_agent() -> None:
    unsure = head(UNSURE)
    start = (PREPARED, DONE, collected(), BASE_GREEN)
    assert due(*start, unsure) == JudgeHead(candidate=C1, attempt=1, take=2)
    assert due(*start, unsure, unsure) == JudgeHead(candidate=C1, attempt=1, take=3)
    assert due(*start, unsure, unsure, unsure) == SaveWork(candidate=C1, attempt=1)
    end = closed(*start, unsure, unsure, unsure, WorkSaved(commit=C1.commit))
    assert end.outcome is Outcome.ESCALATED


def test_no_change_climbs_from_where_the_attempt_started() -> None:
    step = due(PREPARED, DONE, NothingChanged())
    assert isinstance(step, RunAgent)
    assert (step.tier, step.attempt, step.from_commit) == (1, 2, BASE)
    assert "made no change" in (step.feedback or "")


def test_no_change_at_the_last_tier_escalates_with_nothing_to_save() -> None:
    assert closed(PREPARED, DONE, NothingChanged(), given=AT_LAST_TIER).outcome is Outcome.ESCALATED


def test_no_change_in_answer_to_a_review_is_an_answer_and_buys_no_dearer_tier() -> None:
    review = replace(INPUT, cause=Cause.REVIEW)
    end = closed(PREPARED, DONE, NothingChanged(), given=review)
    assert (end.outcome, end.tier) == (Outcome.ESCALATED, 0)
    cut_short = due(PREPARED, AgentEnded(ending=Ending.MAX_TURNS), NothingChanged(), given=review)
    assert isinstance(cut_short, RunAgent)


def test_no_change_by_a_process_that_had_to_be_stopped_after_its_result_is_an_answer_too() -> None:
    stayed = AgentEnded(ending=Ending.STOPPED_AFTER_RESULT)
    review = replace(INPUT, cause=Cause.REVIEW)
    assert closed(PREPARED, stayed, NothingChanged(), given=review).outcome is Outcome.ESCALATED
    assert isinstance(due(PREPARED, stayed, NothingChanged()), RunAgent)


@pytest.mark.parametrize("ending", sorted(STUCK))
def test_what_an_agent_was_stuck_at_is_told_to_the_next_tier_and_to_nobody_after_it(ending: Ending) -> None:
    stuck = AgentEnded(ending=ending, detail='it repeated "Read x.py" again and again and was stopped')
    for came_of_it in ((collected(), BASE_GREEN, head(RED)), (NothingChanged(),)):
        step = due(PREPARED, stuck, *came_of_it)
        assert isinstance(step, RunAgent)
        assert (step.tier, step.attempt) == (1, 2)
        assert 'it repeated "Read x.py"' in (step.feedback or "")
    after = due(PREPARED, stuck, collected(), BASE_GREEN, head(RED), DONE, collected(C2), head(RED, C2))
    assert isinstance(after, RunAgent)
    assert "Read x.py" not in (after.feedback or "")


@pytest.mark.parametrize("ending", sorted(STUCK))
def test_a_person_is_told_what_the_last_tier_was_stuck_at(ending: Ending) -> None:
    stuck = AgentEnded(ending=ending, detail='it repeated "Read x.py" again and again and was stopped')
    end = closed(PREPARED, stuck, NothingChanged(), given=AT_LAST_TIER)
    assert end.outcome is Outcome.ESCALATED
    assert 'changed nothing (it repeated "Read x.py" again and again and was stopped)' in end.reason
    assert "A person has to look" in end.reason


def test_no_change_keeps_the_report_that_still_holds() -> None:
    step = due(*FIRST_RED, DONE, NothingChanged())
    assert isinstance(step, RunAgent)
    assert (step.tier, step.from_commit) == (2, C1.commit)
    assert "test_minutes" in (step.feedback or "")


def test_refused_changes_are_warned_of_once_and_then_block() -> None:
    no = ChangesRefused(refusals=(".github/ci.yml is protected",))
    again = due(PREPARED, DONE, no)
    assert isinstance(again, RunAgent)
    assert (again.tier, again.attempt, again.from_commit) == (0, 2, BASE)
    assert ".github/ci.yml is protected" in (again.feedback or "")
    end = closed(PREPARED, DONE, no, DONE, no)
    assert end.outcome is Outcome.BLOCKED
    assert ".github/ci.yml" in end.reason


# --- endings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [False, True], ids=["first tier", "last tier"])
@pytest.mark.parametrize("ending", list(Ending))
def test_every_ending_leads_where_the_table_says(ending: Ending, last: bool) -> None:  # noqa: FBT001 - parametrized
    given = AT_LAST_TIER if last else INPUT
    tier = given.start_tier
    step = due(PREPARED, AgentEnded(ending=ending, detail="why"), given=given)
    match ENDINGS[ending]:
        case Reaction.COLLECT | Reaction.COLLECT_LAST:
            assert step == Collect(attempt=1, tier=tier)
        case Reaction.WAIT:
            assert isinstance(step, Close)
            assert (step.outcome, step.tier, step.retry_after_s) == (Outcome.WAITING, tier, RETRY_AFTER_S[ending])
            assert step.resume == Resume(tier=tier, attempt=2, start_commit=None, feedback=None)
        case Reaction.RETRY:
            assert step == RunAgent(attempt=2, tier=tier, from_commit=BASE, feedback=None)
        case Reaction.STOP:
            assert isinstance(step, Close)
            assert step.outcome is Outcome.BLOCKED
            assert LADDER[tier].model in step.reason
            assert "ASHIGARU_LADDER" in step.reason


def test_the_table_in_the_docs_is_the_table_in_the_code() -> None:
    text = (DOCS / "endings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| `(\w+)` \|$", text, re.MULTILINE)
    assert dict(rows) == {ending.value: reaction.value for ending, reaction in ENDINGS.items()}
    assert len(rows) == len(Ending)


def test_only_waiting_endings_have_a_delay() -> None:
    assert set(RETRY_AFTER_S) == {ending for ending, reaction in ENDINGS.items() if reaction is Reaction.WAIT}


def test_a_quota_waits_until_the_time_that_was_named() -> None:
    end = closed(PREPARED, AgentEnded(ending=Ending.QUOTA, retry_at=5_000.0))
    assert (end.retry_at, end.retry_after_s) == (5_000.0, None)


def test_a_quota_at_a_dearer_tier_resumes_there_from_the_same_files_with_the_same_feedback() -> None:
    running = due(*FIRST_RED)
    end = closed(*FIRST_RED, AgentEnded(ending=Ending.OVERLOADED))
    assert isinstance(running, RunAgent)
    assert end.resume == Resume(tier=1, attempt=3, start_commit=C1.commit, feedback=running.feedback)


def test_a_broken_agent_is_retried_at_its_tier_and_then_escalated_with_its_work() -> None:
    gone = AgentEnded(ending=Ending.VANISHED)
    assert due(PREPARED, gone, gone) == RunAgent(attempt=3, tier=0, from_commit=BASE, feedback=None)
    assert due(PREPARED, gone, gone, gone) == SaveWork(candidate=None, attempt=3)
    end = closed(PREPARED, gone, gone, gone, WorkSaved(commit=None))
    assert end.outcome is Outcome.ESCALATED
    assert "no work to keep" in end.reason


def test_the_last_money_is_judged_and_never_climbs() -> None:
    last = (PREPARED, AgentEnded(ending=Ending.RUN_BUDGET), collected(), BASE_GREEN)
    assert due(*last, head(GREEN)) == Publish(candidate=C1, verdict=GREEN, tier=0)
    assert due(*last, head(RED)) == SaveWork(candidate=C1, attempt=1)
    end = closed(*last, head(RED), WorkSaved(commit=C1.commit))
    assert end.outcome is Outcome.ESCALATED
    assert "$20.00" in end.reason
    nothing = (PREPARED, AgentEnded(ending=Ending.RUN_BUDGET), NothingChanged())
    refused = (PREPARED, AgentEnded(ending=Ending.RUN_BUDGET), ChangesRefused(refusals=("no",)))
    assert closed(*refused).outcome is Outcome.BLOCKED
    assert closed(*nothing).outcome is Outcome.ESCALATED


def test_a_model_unknown_at_a_dearer_tier_keeps_the_work_so_far() -> None:
    assert due(*FIRST_RED, AgentEnded(ending=Ending.MODEL_UNKNOWN)) == SaveWork(candidate=C1, attempt=2)


# --- trouble, cancel, unworkable -----------------------------------------------------------------------------


def test_trouble_before_the_first_attempt_takes_no_attempt_number() -> None:
    end = closed(TROUBLE)
    assert (end.outcome, end.retry_after_s) == (Outcome.WAITING, 30.0)
    assert end.resume == Resume(tier=0, attempt=1, start_commit=None, feedback=None)


def test_trouble_after_the_changes_were_collected_resumes_from_them() -> None:
    for more in ((), (BASE_GREEN,), (BASE_GREEN, head(GREEN))):
        resume = closed(PREPARED, DONE, collected(), *more, TROUBLE).resume
        assert resume == Resume(
            tier=0, attempt=1, start_commit=None, feedback=None, candidate=C1, diff=collected().diff
        )


TAKEN_UP = replace(INPUT, number=2, candidate=C1, diff="+ fixed", first_attempt=1)


def test_a_candidate_from_an_earlier_round_is_judged_before_any_agent_runs() -> None:
    assert due(PREPARED, given=TAKEN_UP) == JudgeBase()
    assert due(PREPARED, BASE_GREEN, given=TAKEN_UP) == JudgeHead(candidate=C1, attempt=1, take=1)
    published = due(PREPARED, BASE_GREEN, head(GREEN), given=TAKEN_UP)
    assert published == Publish(candidate=C1, verdict=GREEN, tier=0)


def test_a_candidate_from_an_earlier_round_that_is_refused_climbs_with_its_diff() -> None:
    step = due(PREPARED, BASE_GREEN, head(RED), given=TAKEN_UP)
    assert isinstance(step, RunAgent)
    assert (step.tier, step.attempt, step.from_commit) == (1, 2, C1.commit)
    assert "+ fixed" in (step.feedback or "")


def test_a_candidate_from_an_earlier_round_outlives_more_trouble() -> None:
    for more in ((), (BASE_GREEN,), (BASE_GREEN, head(GREEN))):
        resume = closed(PREPARED, *more, TROUBLE, given=TAKEN_UP).resume
        assert resume is not None
        assert (resume.candidate, resume.attempt, resume.diff) == (C1, 1, "+ fixed")
    before = closed(TROUBLE, given=TAKEN_UP).resume
    assert before is not None
    assert (before.candidate, before.attempt) == (C1, 1)


UNSEALED = Prepared(base_sha=BASE, unjudged=True)


def test_what_no_gate_judges_is_published_as_just_that() -> None:
    step = due(UNSEALED, DONE, collected(), given=INPUT)
    assert step == Publish(candidate=C1, verdict=Unjudged(), tier=0)
    end = closed(UNSEALED, DONE, collected(), Published(pull=4, url="u", head_sha=C1.commit))
    assert end.outcome is Outcome.PUBLISHED
    assert "draft" in end.reason


def test_what_no_gate_judges_is_published_anew_when_the_base_moved() -> None:
    step = due(replace(MERGED, unjudged=True), given=REJUDGE)
    assert step == Publish(candidate=C2, verdict=Unjudged(), tier=0, base_sha=BASE)


def test_a_gate_that_says_it_did_not_judge_is_not_believed() -> None:
    with pytest.raises(LadderError):
        due(PREPARED, BaseJudged(verdict=Unjudged()))
    with pytest.raises(LadderError):
        due(PREPARED, DONE, collected(), BASE_GREEN, head(Unjudged()))


def test_trouble_before_the_changes_were_collected_resumes_from_the_start() -> None:
    for more in ((), (DONE,), (BaseJudged(verdict=UNSURE),)):
        assert closed(PREPARED, *more, TROUBLE).resume == Resume(tier=0, attempt=2, start_commit=None, feedback=None)


def test_trouble_while_saving_ends_the_round_as_it_was_going_to() -> None:
    saving = closed(*FIRST_RED, TROUBLE, given=AT_LAST_TIER)
    assert saving.outcome is Outcome.ESCALATED
    assert "could not be put on a branch: the forge did not answer" in saving.reason


def test_a_cancel_before_anything_ran_just_closes() -> None:
    assert closed(CancelSeen()).outcome is Outcome.CANCELLED


def test_a_cancel_saves_what_there_is_and_closes() -> None:
    assert due(PREPARED, CancelSeen()) == SaveWork(candidate=None, attempt=1)
    assert due(*FIRST_RED, CancelSeen()) == SaveWork(candidate=C1, attempt=2)
    end = closed(PREPARED, CancelSeen(), WorkSaved(commit="d" * 40))
    assert end.outcome is Outcome.CANCELLED
    assert INPUT.branch in end.reason


def test_a_cancel_while_saving_lets_it_go_on_but_not_for_ever() -> None:
    assert due(PREPARED, CancelSeen(), CancelSeen()) == SaveWork(candidate=None, attempt=1)
    assert closed(PREPARED, CancelSeen(), CancelSeen(), CancelSeen()).outcome is Outcome.CANCELLED


def test_what_cannot_work_blocks_the_run_in_its_own_words() -> None:
    end = closed(Unworkable(reason="branch main is gone"))
    assert (end.outcome, end.reason) == (Outcome.BLOCKED, "branch main is gone.")


def test_a_long_report_does_not_crowd_out_the_cure() -> None:
    end = closed(PREPARED, BaseJudged(verdict=Failed(summary=LONG, report="")))
    assert end.reason.endswith("Repair main, then dispatch the ticket again.")


def test_a_reason_is_bounded_whatever_the_branch_is_called() -> None:
    named = replace(INPUT, base_branch="m" * 600)
    assert len(closed(PREPARED, BaseJudged(verdict=RED), given=named).reason) <= MAX_REASON_CHARS


# --- judging again -------------------------------------------------------------------------------------------

REJUDGE = replace(INPUT, rejudge=True, start_commit="c" * 40, first_attempt=5, pull=3)
MERGED = Prepared(base_sha=BASE, rejudged=C2)


@pytest.mark.parametrize("verdict", [GREEN, DOUBT, RED], ids=lambda verdict: verdict.kind)
def test_a_rejudgement_asks_the_gates_alone_and_says_what_they_say(verdict: Verdict) -> None:
    assert due(MERGED, given=REJUDGE) == JudgeHead(candidate=C2, attempt=5, take=1, base_sha=BASE)
    end = closed(MERGED, head(verdict, C2), given=REJUDGE)
    assert end.outcome is Outcome.REJUDGED
    assert "main" in end.reason


def test_a_rejudged_tree_is_never_pushed() -> None:
    assert closed(MERGED, CancelSeen(), given=REJUDGE).outcome is Outcome.CANCELLED
    assert closed(MERGED, Unworkable(reason="it conflicts"), given=REJUDGE).outcome is Outcome.BLOCKED
    unsure = head(UNSURE, C2)
    assert closed(MERGED, unsure, unsure, unsure, given=REJUDGE).outcome is Outcome.REJUDGED


def test_a_rejudgement_in_trouble_is_taken_up_as_it_was() -> None:
    resume = closed(MERGED, TROUBLE, given=REJUDGE).resume
    assert resume == Resume(tier=0, attempt=5, start_commit="c" * 40, feedback=None)


# --- what does not fit ---------------------------------------------------------------------------------------

ANY_FACTS: tuple[Fact, ...] = (
    PREPARED,
    Unworkable(reason="no"),
    DONE,
    BASE_GREEN,
    collected(),
    NothingChanged(),
    ChangesRefused(refusals=("no",)),
    LeakFound(detail="It held a secret."),
    head(GREEN),
    Published(pull=1, url="u", head_sha=C1.commit),
    WorkSaved(commit=None),
    TROUBLE,
    CancelSeen(),
    RoundClosed(),
)
ALWAYS = (Unworkable, Trouble, CancelSeen, LeakFound)
ANSWERS: tuple[tuple[tuple[Fact, ...], tuple[type, ...]], ...] = (
    ((), (Prepared,)),
    ((PREPARED,), (AgentEnded, BaseJudged)),
    ((PREPARED, DONE), (Collected, NothingChanged, ChangesRefused)),
    ((PREPARED, DONE, collected()), (BaseJudged,)),
    ((PREPARED, DONE, collected(), BASE_GREEN), (HeadJudged,)),
    ((PREPARED, DONE, collected(), BASE_GREEN, head(GREEN)), (Published,)),
    ((PREPARED, CancelSeen()), (WorkSaved,)),
)


def test_every_fact_there_is_is_tried_here() -> None:
    assert {type(fact) for fact in ANY_FACTS} == set(get_args(facts.Fact))
    assert {type(due(*happened)) for happened, _ in ANSWERS} == set(get_args(facts.Step)) - {Close}


@pytest.mark.parametrize(("happened", "answers"), ANSWERS)
@pytest.mark.parametrize("fact", ANY_FACTS, ids=lambda fact: fact.kind)
def test_a_step_takes_its_own_answers_and_no_others(
    happened: tuple[Fact, ...], answers: tuple[type, ...], fact: Fact
) -> None:
    now, _ = play(*happened)
    if isinstance(fact, answers + ALWAYS):
        advance(now, fact)
    else:
        with pytest.raises(LadderError):
            advance(now, fact)


@pytest.mark.parametrize("fact", ANY_FACTS, ids=lambda fact: fact.kind)
def test_nothing_follows_a_close(fact: Fact) -> None:
    now, _ = play(CancelSeen())
    with pytest.raises(LadderError):
        advance(now, fact)


@pytest.mark.parametrize(("happened", "answers"), ANSWERS)
def test_after_a_leak_nothing_is_kept_and_nothing_tried(happened: tuple[Fact, ...], answers: tuple[type, ...]) -> None:
    _, step = advance(play(*happened)[0], LeakFound(detail="It held a secret."))
    assert isinstance(step, Close), answers
    assert (step.outcome, step.reason, step.resume) == (Outcome.BLOCKED, "It held a secret.", None)


def test_a_new_candidate_has_no_verdict_yet() -> None:
    assert play(*FIRST_RED)[0].verdict == RED
    assert play(*FIRST_RED, DONE, collected(C2))[0].verdict is None


def test_a_verdict_on_another_candidate_is_refused() -> None:
    now, _ = play(PREPARED, DONE, collected(), BASE_GREEN)
    with pytest.raises(LadderError):
        advance(now, head(GREEN, C2))


def test_a_published_head_that_was_not_the_candidate_is_refused() -> None:
    now, _ = play(PREPARED, DONE, collected(), BASE_GREEN, head(GREEN))
    with pytest.raises(LadderError):
        advance(now, Published(pull=1, url="u", head_sha=C2.commit))


def test_a_base_that_was_judged_is_not_judged_again() -> None:
    now, _ = play(PREPARED, BASE_GREEN)
    with pytest.raises(LadderError):
        advance(now, BASE_GREEN)


def test_a_round_that_starts_at_no_tier_is_refused() -> None:
    for wrong in (replace(INPUT, start_tier=3), replace(INPUT, start_tier=-1), replace(INPUT, first_attempt=0)):
        with pytest.raises(LadderError):
            begin(wrong)
