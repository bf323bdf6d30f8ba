"""The last step of every round: outcome on record, sandboxes gone, what must be released released, a wait enqueued."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from runner.ci import AWAITED
from runner.errors import SandboxFault, Unavailable
from runner.facts import Close, Outcome, Resume, RoundClosed
from runner.files import remove_tree
from runner.layout import Layout
from runner.model import REVIEW_PHASES, WORKING_PHASES, Ending, Phase, RoundInput
from runner.model_access import ModelAccess
from runner.ports import Clock, Containers
from runner.records import Records, RunRecord
from runner.sandbox import LABEL_HOST, LABEL_RUN

_LOG: Final = logging.getLogger(__name__)
MAX_WAITS: Final = 40
_CARRIED_ON: Final = WORKING_PHASES - {Phase.QUEUED}
_MOST_AT_WORK: Final = 1000
"""Read at once; of what is beyond, each run is read by itself."""
_DEFAULT_RETRY_S: Final = 60.0
_PHASES: Final = {
    Outcome.PUBLISHED: Phase.CI,
    Outcome.REJUDGED: Phase.CI,
    Outcome.ESCALATED: Phase.ESCALATED,
    Outcome.BLOCKED: Phase.BLOCKED,
    Outcome.WAITING: Phase.WAITING,
    Outcome.CANCELLED: Phase.CANCELLED,
}


@dataclass(frozen=True, kw_only=True)
class Closing:
    """Carries out `Close`, and removes what an ended run has running. resubmit: enqueue a round after seconds.

    host: the label of this daemon's own sandboxes.
    """

    containers: Containers
    records: Records
    clock: Clock
    layout: Layout
    model: ModelAccess
    host: str
    resubmit: Callable[[RoundInput, float], None]

    def remove_sandboxes(self, run_id: str) -> None:
        """No sandbox of the run is left; their files are still there. Raises EngineDown, SandboxFault."""
        for found in self.containers.listing(run_id):
            self.containers.remove(found.name)

    def sweep(self) -> None:
        """No sandbox is left whose run has no round in flight: what a close could not reach, or a fault left.

        One of a run that is not on record goes too, if its label says that this very daemon made it.
        """
        try:
            listed = self.containers.listing()
            # Read after they were listed: a sandbox is made by what is at work already.
            at_work = {run.run_id for run in self.records.runs(phases=_CARRIED_ON, limit=_MOST_AT_WORK)}
            for found in listed:
                labels = dict(found.labels)
                if (run_id := labels.get(LABEL_RUN, "")) in at_work:
                    continue
                run = self.records.run(run_id)
                if labels.get(LABEL_HOST) == self.host if run is None else run.phase not in WORKING_PHASES:
                    self.containers.remove(found.name)
        except (Unavailable, SandboxFault):
            _LOG.warning("sandboxes of ended runs could not be swept; the next close tries again", exc_info=True)

    def close(self, round_input: RoundInput, step: Close) -> RoundClosed:
        """End the round. A repetition changes nothing. A container engine that is away does not keep it from ending."""
        run_id = round_input.run_id
        self.clear(run_id)
        run = self.records.run(run_id)
        if run is not None and run.phase in WORKING_PHASES:
            self._record(round_input, run, step)
        _forget(self.layout.run(run_id))
        self.sweep()
        return RoundClosed()

    def go_on(self, round_input: RoundInput) -> None:
        """Have the round after this one enqueued, as it was remembered."""
        run = self.records.run(round_input.run_id)
        following = self.records.round_input(round_input.run_id, round_input.number + 1)
        if run is None or following is None or run.phase is not Phase.WAITING:
            return
        # Read after the wait is on record: a cancel that came before it was seen by nobody else.
        due = 0.0 if run.cancel_requested or run.retry_at is None else run.retry_at - self.clock.now()
        self.resubmit(following, max(0.0, due))

    def clear(self, run_id: str) -> None:
        """Nothing of the run is at work any more, as far as the container engine can be reached."""
        for attempt in self.records.attempts(run_id):
            self.model.shut(run_id, attempt.attempt)
            _forget(self.layout.attempt(run_id, attempt.attempt).sockets)
            if attempt.ending is None:
                self.records.end_attempt(
                    run_id,
                    attempt.attempt,
                    ending=Ending.KILLED,
                    detail="Stopped: its round ended.",
                    retry_at=None,
                    at=self.clock.now(),
                )
        try:
            self.remove_sandboxes(run_id)
        except (Unavailable, SandboxFault):
            # A model that it can reach it has no more; the rest is swept later.
            _LOG.warning("a round's sandboxes could not be removed", exc_info=True, extra={"run": run_id})

    def _record(self, round_input: RoundInput, run: RunRecord, step: Close) -> None:
        phase, reason = _PHASES[step.outcome], step.reason
        published = step.outcome in {Outcome.PUBLISHED, Outcome.REJUDGED}
        if step.outcome is Outcome.WAITING and run.waits >= MAX_WAITS:
            phase, reason = Phase.ESCALATED, f"Gave up after {MAX_WAITS} waits: {step.reason}"
        if phase in {Phase.BLOCKED, Phase.ESCALATED} and run.pull is not None:
            # There is a pull request to come back to, with the head that was judged; only this round came to nothing.
            phase = Phase.AWAITING_REVIEW
        if phase is Phase.CI and run.ci not in AWAITED:
            phase = Phase.AWAITING_REVIEW
        if phase in REVIEW_PHASES and run.cancel_requested:
            phase, published = Phase.CANCELLED, False
            reason = "Cancelled; the branch and the pull request are left as they are."
        if phase is Phase.WAITING and step.resume is not None:
            self._wait(round_input, run, step, step.resume)
            self.go_on(round_input)
            return
        self.records.change(
            run.run_id,
            {"phase": phase, "reason": None if published else reason, "waits": 0, "retry_at": None},
            self.clock.now(),
        )
        if phase not in REVIEW_PHASES:
            self.records.release(run.run_id)

    def _wait(self, round_input: RoundInput, run: RunRecord, step: Close, resume: Resume) -> None:
        now = self.clock.now()
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
            candidate=resume.candidate,
            diff=resume.diff,
        )
        self.records.save_round(following, now)
        self.records.change(
            run.run_id,
            {
                "phase": Phase.WAITING,
                "reason": step.reason,
                "retry_at": now + delay,
                "waits": run.waits + 1,
                "round": following.number,
            },
            now,
        )


def _forget(path: Path) -> None:
    """Files that nobody needs any more; what the host does not let go of keeps no round from its end."""
    try:
        remove_tree(path)
    except OSError:
        _LOG.warning("files of an ended round are left at %s", path, exc_info=True)
