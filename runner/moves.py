"""The state of one round, and the few ways it can go on. Pure; `runner.ladder` decides which way is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from gates.verdict import Verdict
from runner import reasons
from runner.facts import Close, JudgeHead, Outcome, Publish, Resume, RunAgent, SaveWork, Step
from runner.model import Candidate, Ending, RoundInput, Tier


class LadderError(ValueError):
    """A fact that cannot follow the step that is due; a fault of the engine, never of the world."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """Where a round is. `due` is the step under way; the next fact answers it.

    base_ok: the base was judged, and is not red. from_commit: whose files the current attempt started from.
    candidate: the last changes that passed the policy; verdict: the gates' word on exactly that, once given.
    feedback: what the current attempt is told. diff: the candidate's, for the next tier. ending: how the current
    attempt ended. stuck_at: in words, what a watchdog stopped it for, else "". no_money: the run's budget is used up.
    retried, warned, base_takes: what was used of the bounds. after_base, after_saving: the step that follows a base
    judgement or the saving of work. saved_again: saving was interrupted by a cancel once. unjudged: no gate runs here;
    CI judges what is published.
    """

    input: RoundInput
    due: Step
    tier: int
    attempt: int
    base_sha: str | None = None
    base_ok: bool = False
    from_commit: str | None = None
    candidate: Candidate | None = None
    verdict: Verdict | None = None
    feedback: str | None = None
    diff: str = ""
    ending: Ending | None = None
    stuck_at: str = ""
    no_money: bool = False
    retried: int = 0
    warned: int = 0
    base_takes: int = 0
    after_base: Step | None = None
    after_saving: Close | None = None
    saved_again: bool = False
    unjudged: bool = False

    @property
    def rung(self) -> Tier:
        """The tier this attempt is at."""
        return self.input.ladder[self.tier]


Move: TypeAlias = tuple[Round, Step]


def step_to(now: Round, step: Step) -> Move:
    """That step is due next."""
    return replace(now, due=step), step


def start_of(now: Round) -> str:
    """The commit that the current attempt started from."""
    if now.from_commit is None:
        raise LadderError("no attempt was started yet")
    return now.from_commit


def run_agent(now: Round, tier: int, attempt: int, from_commit: str, feedback: str | None) -> Move:
    """Run the agent as that attempt."""
    now = replace(now, tier=tier, attempt=attempt, from_commit=from_commit, feedback=feedback, ending=None, stuck_at="")
    return step_to(now, RunAgent(attempt=attempt, tier=tier, from_commit=from_commit, feedback=feedback))


def climb(now: Round, from_commit: str | None, feedback: str, reason: str) -> Move:
    """Go to the next dearer tier; where there is none, or no money, a person is asked, for that reason."""
    if now.no_money:
        return end(now, Outcome.ESCALATED, reasons.no_money(reason, now.input.bounds.run_micro_usd))
    if now.tier + 1 >= len(now.input.ladder):
        return end(now, Outcome.ESCALATED, reasons.no_dearer_tier(reason))
    return run_agent(now, now.tier + 1, now.attempt + 1, from_commit or start_of(now), feedback)


def end(now: Round, outcome: Outcome, reason: str, *, take_tree: bool = False) -> Move:
    """Close without a pull request, and keep the round's work first: its candidate, or else the attempt's own tree."""
    # A re-judged tree is the branch merged with the base: pushing it would move the head under review.
    if now.input.rejudge or (now.candidate is None and not take_tree):
        return close(now, outcome, reason)
    closing = Close(outcome=outcome, reason=reason, tier=now.tier)
    return step_to(replace(now, after_saving=closing), SaveWork(candidate=now.candidate, attempt=now.attempt))


def saved(now: Round, also: str) -> Move:
    """Close as it was going to before the work was saved."""
    if now.after_saving is None:
        raise LadderError("work was saved with nothing to follow")
    return close(now, now.after_saving.outcome, reasons.joined(now.after_saving.reason, also))


def close(now: Round, outcome: Outcome, reason: str) -> Move:
    """End the round here."""
    return step_to(now, Close(outcome=outcome, reason=reason, tier=now.tier))


def wait(now: Round, reason: str, retry_at: float | None, retry_after_s: float | None) -> Move:
    """End the round for now; the next one goes on where this one can be taken up."""
    closing = Close(
        outcome=Outcome.WAITING,
        reason=reason,
        tier=now.tier,
        retry_at=retry_at,
        retry_after_s=retry_after_s,
        resume=resume(now),
    )
    return step_to(now, closing)


def resume(now: Round) -> Resume:
    """Where to go on: from collected changes if this attempt has any, else from where the attempt started."""
    if now.from_commit is None:
        return Resume(
            tier=now.tier,
            attempt=now.attempt,
            start_commit=now.input.start_commit,
            feedback=now.input.feedback,
            candidate=now.input.candidate,
            diff=now.input.diff,
        )
    judging_or_later = isinstance(now.due, JudgeHead | Publish) or isinstance(now.after_base, JudgeHead)
    # The base may have moved by then: None means the base as it will be.
    start = None if now.from_commit == now.base_sha else now.from_commit
    if judging_or_later and now.candidate is not None:
        # The agent's work is done and paid for; what is left is to judge and to publish it.
        return Resume(
            tier=now.tier,
            attempt=now.attempt,
            start_commit=start,
            feedback=now.feedback,
            candidate=now.candidate,
            diff=now.diff,
        )
    return Resume(tier=now.tier, attempt=now.attempt + 1, start_commit=start, feedback=now.feedback)
