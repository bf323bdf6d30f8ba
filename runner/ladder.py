"""The state machine of one round: what happened in, what to do next out. No I/O, no clock, no randomness.

It never skips a gate, never publishes without a verdict that allows it on that very candidate, never climbs on
infrastructure trouble, and always ends. `docs/endings.md` shows the whole of it as tables.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Unjudged, Verdict
from runner import reasons
from runner.brief import (
    feedback_from_gate,
    feedback_from_nothing,
    feedback_from_policy,
    with_earlier,
)
from runner.endings import ENDINGS, FINISHED, RETRY_AFTER_S, STUCK, Reaction
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
    RunAgent,
    SaveWork,
    Trouble,
    Unworkable,
    WorkSaved,
)
from runner.model import Cause, RoundInput
from runner.moves import LadderError, Move, Round, climb, close, end, run_agent, saved, start_of, step_to, wait

__all__ = ["ENDINGS", "RETRY_AFTER_S", "LadderError", "Reaction", "Round", "advance", "begin", "most_steps"]


def begin(round_input: RoundInput) -> Move:
    """The round's first state and step. Raises LadderError for an input that starts at no tier or attempt."""
    if not 0 <= round_input.start_tier < len(round_input.ladder) or round_input.first_attempt < 1:
        raise LadderError(f"round {round_input.number} of {round_input.run_id} starts at a tier that is not there")
    first = Prepare()
    started = Round(
        input=round_input,
        due=first,
        tier=round_input.start_tier,
        attempt=round_input.first_attempt,
        feedback=round_input.feedback,
        candidate=round_input.candidate,
        diff=round_input.diff,
    )
    return started, first


def most_steps(round_input: RoundInput) -> int:
    """No round of this input takes more steps than this: a bound for the loop that carries them out."""
    bounds = round_input.bounds
    attempts = len(round_input.ladder) - round_input.start_tier + bounds.infra_retries + bounds.policy_warnings
    run_collect_and_judge = 3 + bounds.gate_retries
    base_and_the_agent_again = 3 + bounds.gate_retries
    prepare_publish_save_twice_close = 5
    return prepare_publish_save_twice_close + base_and_the_agent_again + attempts * run_collect_and_judge


def advance(now: Round, fact: Fact) -> Move:  # noqa: C901, PLR0911, PLR0912 - one case for each pair that fits
    """Fold in the fact that answers `now.due`; the step returned is `due` in the state returned.

    `Close` is the last step: nothing is folded in after it. Raises LadderError for a fact that does not fit.
    """
    match now.due, fact:
        case Prepare(), Prepared():
            return _prepared(now, fact)
        case RunAgent(), AgentEnded():
            return _agent_ended(now, fact)
        case RunAgent() | JudgeBase(), BaseJudged(verdict=verdict) if not now.base_ok:
            return _base_judged(now, verdict)
        case Collect(), Collected():
            return _collected(now, fact)
        case Collect(), NothingChanged():
            return _nothing_changed(now)
        case Collect(), ChangesRefused():
            return _refused(now, fact)
        case JudgeHead(candidate=asked), HeadJudged(candidate=judged) if asked == judged:
            return _head_judged(replace(now, verdict=fact.verdict), now.due, fact.verdict)
        case Publish(candidate=candidate, verdict=verdict), Published() if fact.head_sha == candidate.commit:
            return close(now, Outcome.PUBLISHED, reasons.published(fact.pull, verdict))
        case SaveWork(), WorkSaved():
            return saved(now, reasons.saved(fact.commit, fact.branch or now.input.branch))
        case Close(), _:
            raise LadderError(f"{fact.kind} came after the round was closed")
        case _, LeakFound(detail=detail):
            # Nothing of it is kept: the work may hold what was found.
            return close(now, Outcome.BLOCKED, detail)
        case _, CancelSeen():
            return _cancelled(now)
        case _, Trouble():
            return _troubled(now, fact)
        case _, Unworkable():
            return _unworkable(now, fact)
        case _:
            raise LadderError(f"{fact.kind} is no answer to {now.due.kind}")


# --- one function for each thing that can happen -------------------------------------------------------------


def _prepared(now: Round, fact: Prepared) -> Move:
    now = replace(now, base_sha=fact.base_sha, unjudged=fact.unjudged)
    if not now.input.rejudge and now.input.candidate is not None:
        return _to_gates(replace(now, from_commit=now.input.start_commit or fact.base_sha))
    if not now.input.rejudge:
        return run_agent(now, now.tier, now.attempt, now.input.start_commit or fact.base_sha, now.input.feedback)
    if fact.rejudged is None:
        raise LadderError("a re-judgement was prepared without the tree to judge")
    now = replace(now, candidate=fact.rejudged)
    if fact.unjudged:
        # CI has judged another tree than the one that would land: have it judge this one.
        published = Publish(candidate=fact.rejudged, verdict=Unjudged(), tier=now.tier, base_sha=fact.base_sha)
        return step_to(now, published)
    asked = JudgeHead(candidate=fact.rejudged, attempt=now.attempt, take=1, base_sha=fact.base_sha)
    return step_to(now, asked)


def _agent_ended(now: Round, fact: AgentEnded) -> Move:
    now = replace(now, ending=fact.ending, stuck_at=fact.detail if fact.ending in STUCK else "")
    reaction = ENDINGS[fact.ending]
    match reaction:
        case Reaction.COLLECT:
            return step_to(now, Collect(attempt=now.attempt, tier=now.tier))
        case Reaction.COLLECT_LAST:
            return step_to(replace(now, no_money=True), Collect(attempt=now.attempt, tier=now.tier))
        case Reaction.WAIT:
            delay = None if fact.retry_at is not None else RETRY_AFTER_S[fact.ending]
            return wait(now, reasons.waiting(fact.ending, now.rung), fact.retry_at, delay)
        case Reaction.STOP:
            return end(now, Outcome.BLOCKED, reasons.misconfigured(fact.ending, now.rung, fact.detail))
        case Reaction.RETRY if now.retried < now.input.bounds.infra_retries:
            again = replace(now, retried=now.retried + 1)
            return run_agent(again, now.tier, now.attempt + 1, start_of(now), now.feedback)
        case Reaction.RETRY:
            reason = reasons.retried_in_vain(now.rung, now.retried + 1, fact.ending, fact.detail)
            return end(now, Outcome.ESCALATED, reason, take_tree=True)
        case _:
            assert_never(reaction)


def _base_judged(now: Round, verdict: Verdict) -> Move:
    after = now.due if now.after_base is None else now.after_base
    match verdict:
        case Passed() | NeedsHuman():
            return step_to(replace(now, base_ok=True, after_base=None), after)
        case Unjudged():
            raise LadderError("a base that no gate judges was asked about")
        case Failed(summary=summary):
            return end(now, Outcome.BLOCKED, reasons.base_red(summary, now.input.base_branch))
        case Inconclusive(reason=why) if now.base_takes >= now.input.bounds.gate_retries:
            return end(now, Outcome.BLOCKED, reasons.base_unjudged(why))
        case Inconclusive():
            return step_to(replace(now, base_takes=now.base_takes + 1, after_base=after), JudgeBase())
        case _:
            assert_never(verdict)


def _collected(now: Round, fact: Collected) -> Move:
    return _to_gates(replace(now, candidate=fact.candidate, verdict=None, diff=fact.diff))


def _to_gates(now: Round) -> Move:
    """The candidate is judged next: here, where there is a gate; else by CI, once it is published."""
    if now.candidate is None:
        raise LadderError("there is no candidate to judge")
    if now.unjudged:
        return step_to(now, Publish(candidate=now.candidate, verdict=Unjudged(), tier=now.tier))
    judge = JudgeHead(candidate=now.candidate, attempt=now.attempt, take=1)
    return step_to(now, judge) if now.base_ok else step_to(replace(now, after_base=judge), JudgeBase())


def _nothing_changed(now: Round) -> Move:
    reason = reasons.nothing_changed(now.rung, now.stuck_at)
    if now.input.cause is Cause.REVIEW and now.ending in FINISHED:
        # To leave the work as it is can be an honest answer to a remark; a dearer tier is not paid to contradict it.
        return end(now, Outcome.ESCALATED, f"{reason}.")
    told = feedback_from_nothing(now.rung.name, now.ending, now.stuck_at)
    return climb(now, now.from_commit, with_earlier(now.feedback, told), reason)


def _refused(now: Round, fact: ChangesRefused) -> Move:
    if now.no_money or now.warned >= now.input.bounds.policy_warnings:
        return end(now, Outcome.BLOCKED, reasons.refused(now.rung, fact.refusals))
    told = with_earlier(now.feedback, feedback_from_policy(fact.refusals))
    return run_agent(replace(now, warned=now.warned + 1), now.tier, now.attempt + 1, start_of(now), told)


def _head_judged(now: Round, asked: JudgeHead, verdict: Verdict) -> Move:
    again = isinstance(verdict, Inconclusive) and asked.take <= now.input.bounds.gate_retries
    if again:
        return step_to(now, replace(asked, take=asked.take + 1))
    if now.input.rejudge:
        return close(now, Outcome.REJUDGED, reasons.rejudged(verdict, now.input.base_branch))
    match verdict:
        case Passed() | NeedsHuman():
            return step_to(now, Publish(candidate=asked.candidate, verdict=verdict, tier=now.tier))
        case Failed():
            told = feedback_from_gate(now.diff, verdict, now.rung.name, now.ending, now.stuck_at)
            reason = reasons.gate_said_no(now.rung, verdict.summary, now.stuck_at)
            return climb(now, asked.candidate.commit, with_earlier(now.input.feedback, told), reason)
        case Inconclusive(reason=why):
            return end(now, Outcome.ESCALATED, reasons.head_unjudged(why))
        case Unjudged():
            raise LadderError("a candidate that no gate judges was asked about")
        case _:
            assert_never(verdict)


def _cancelled(now: Round) -> Move:
    if not isinstance(now.due, SaveWork):
        return end(now, Outcome.CANCELLED, reasons.CANCELLED, take_tree=now.from_commit is not None)
    if now.saved_again:
        return saved(now, reasons.not_saved("it was interrupted"))
    # The round is ending as it is, and its work is worth keeping all the same.
    return step_to(replace(now, saved_again=True), now.due)


def _troubled(now: Round, fact: Trouble) -> Move:
    if isinstance(now.due, SaveWork):
        # Waiting would pay for the agent once more, or undo a cancel: the round ends as it was going to.
        return saved(now, reasons.not_saved(fact.detail))
    return wait(now, reasons.trouble(fact.detail), None, fact.retry_after_s)


def _unworkable(now: Round, fact: Unworkable) -> Move:
    if isinstance(now.due, SaveWork):
        return saved(now, reasons.not_saved(fact.reason))
    return end(now, Outcome.BLOCKED, reasons.unworkable(fact.reason))
