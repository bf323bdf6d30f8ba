"""The last step of every round: outcome on record, sandboxes gone, what must be released released, a wait enqueued."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from runner.agent_run import ModelAccess
from runner.facts import Close, Outcome, Resume, RoundClosed
from runner.files import remove_tree
from runner.layout import Layout
from runner.model import Phase, RoundInput
from runner.ports import Checkouts, Clock, Containers
from runner.records import Records

MAX_WAITS: Final = 40
_GRACE_S: Final = 2.0
_DEFAULT_RETRY_S: Final = 60.0
_PHASES: Final = {
    Outcome.PUBLISHED: Phase.AWAITING_REVIEW,
    Outcome.REJUDGED: Phase.AWAITING_REVIEW,
    Outcome.ESCALATED: Phase.ESCALATED,
    Outcome.BLOCKED: Phase.BLOCKED,
    Outcome.WAITING: Phase.WAITING,
    Outcome.CANCELLED: Phase.CANCELLED,
}


@dataclass(frozen=True, kw_only=True)
class Closing:
    """Carries out `Close`, and stops what a cancelled run has running. resubmit: enqueue a round after seconds."""

    containers: Containers
    checkouts: Checkouts
    records: Records
    clock: Clock
    layout: Layout
    model: ModelAccess
    resubmit: Callable[[RoundInput, float], None]

    def stop_sandboxes(self, run_id: str) -> None:
        """No sandbox of the run is running any more; their files are still there."""
        for found in self.containers.listing(run_id):
            self.containers.stop(found.name, _GRACE_S)

    def close(self, round_input: RoundInput, step: Close) -> RoundClosed:
        """End the round. A repetition changes nothing."""
        run_id = round_input.run_id
        run = self.records.run(run_id)
        for found in self.containers.listing(run_id):
            self.containers.remove(found.name)
        for attempt in self.records.attempts(run_id):
            self.model.shut(run_id, attempt.attempt)
            remove_tree(self.layout.attempt(run_id, attempt.attempt).sockets)
        if run is None:
            return RoundClosed()
        phase, reason = _PHASES[step.outcome], step.reason
        if step.outcome is Outcome.BLOCKED and run.pull is not None:
            # There is a pull request to come back to; only this round came to nothing.
            phase = Phase.AWAITING_REVIEW
        if step.outcome is Outcome.WAITING and run.waits >= MAX_WAITS:
            phase, reason = Phase.ESCALATED, f"Gave up after {MAX_WAITS} waits: {step.reason}"
        now = self.clock.now()
        if phase is Phase.WAITING and step.resume is not None:
            self._wait(round_input, step, step.resume, now)
        else:
            published = step.outcome in {Outcome.PUBLISHED, Outcome.REJUDGED}
            self.records.change(
                run_id, {"phase": phase, "reason": None if published else reason, "waits": 0, "retry_at": None}, now
            )
            self._release(round_input, phase)
        remove_tree(self.layout.run(run_id))
        return RoundClosed()

    def _release(self, round_input: RoundInput, phase: Phase) -> None:
        if phase is not Phase.AWAITING_REVIEW:
            self.records.release(round_input.run_id)

    def _wait(self, round_input: RoundInput, step: Close, resume: Resume, now: float) -> None:
        run = self.records.run(round_input.run_id)
        delay = step.retry_after_s if step.retry_after_s is not None else _DEFAULT_RETRY_S
        if step.retry_at is not None:
            delay = max(1.0, step.retry_at - now)
        following = replace(
            round_input,
            number=round_input.number + 1,
            start_tier=resume.tier,
            first_attempt=resume.attempt,
            start_commit=resume.start_commit,
            feedback=resume.feedback,
        )
        if run is not None and run.round < following.number:
            self.records.save_round(following, now)
            self.records.change(
                round_input.run_id,
                {
                    "phase": Phase.WAITING,
                    "reason": step.reason,
                    "retry_at": now + delay,
                    "waits": run.waits + 1,
                    "round": following.number,
                },
                now,
            )
        self.resubmit(following, delay)
