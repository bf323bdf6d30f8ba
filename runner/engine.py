"""Carry out one step of a round through the ports, and answer with a fact. Every deed here is safe to do twice."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final, assert_never

from gates.plan import CiOnly, GatePlan
from gates.verdict import Failed
from runner.agent_run import AgentRunner
from runner.base_run import BaseJudge
from runner.cancel_board import CancelBoard
from runner.closing import Closing
from runner.disk import Disk
from runner.errors import (
    CheckoutFault,
    ImageMissing,
    Leaked,
    PushRejected,
    RecordsDown,
    Rejected,
    RunnerError,
    Unavailable,
)
from runner.facts import (
    BaseJudged,
    CancelSeen,
    Close,
    Collect,
    Fact,
    HeadJudged,
    JudgeBase,
    JudgeHead,
    LeakFound,
    Outcome,
    Prepare,
    Publish,
    RoundClosed,
    RunAgent,
    SaveWork,
    Step,
    Trouble,
    Unworkable,
)
from runner.gate_run import GateRunner, Question
from runner.host_words import refusal
from runner.keeping import Keeper
from runner.model import WORKING_PHASES, Candidate, Phase, RoundInput
from runner.planning import Planner
from runner.ports import Checkouts, Clock, Forge
from runner.preparing import Preparer
from runner.publishing import Publisher
from runner.records import Records, RunChange, RunRecord
from runner.rounds import Interrupted
from runner.sandbox_run import Cancelled

_LOG: Final = logging.getLogger(__name__)
_DISK_RETRY_S: Final = 300.0
_CLOSE_TRIES: Final = 3
_CLOSE_RETRY_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Does what the ladder says. One instance a process; safe to call from several threads, one run a thread."""

    checkouts: Checkouts
    forge: Forge
    records: Records
    clock: Clock
    agents: AgentRunner
    gates: GateRunner
    base: BaseJudge
    keeper: Keeper
    publisher: Publisher
    closing: Closing
    planner: Planner
    preparer: Preparer
    disk: Disk
    cancels: CancelBoard

    def carry_out(self, round_input: RoundInput, step: Step) -> Fact:
        """Do `step` and say what happened. World trouble is a `Trouble` fact; anything raised is a fault of ours.

        But for RecordsDown: nothing can be written down for now, and the step is to be done again when it can.
        `runner.rounds.Interrupted` passes through: the daemon is leaving and the step will be done again. A round
        that cannot be closed is left in flight in the same way, for its outcome would be lost otherwise.
        """
        fact = self._told(round_input, step)
        if not isinstance(step, Close):
            return fact
        for _ in range(_CLOSE_TRIES):
            if isinstance(fact, RoundClosed):
                return fact
            self.clock.sleep(_CLOSE_RETRY_S)
            fact = self._told(round_input, step)
        if isinstance(fact, RoundClosed):
            return fact
        _LOG.error("a round could not be closed; it is tried again", extra={"run": round_input.run_id})
        raise Interrupted

    def _told(self, round_input: RoundInput, step: Step) -> Fact:
        """The step's fact, with the world's faults as facts."""
        try:
            return self._unless_unwanted(round_input, step)
        except RecordsDown:
            raise
        except Unavailable as exc:
            return Trouble(detail=str(exc), retry_after_s=exc.retry_after_s)
        except ImageMissing as exc:
            return Trouble(detail=str(exc), retry_after_s=_DISK_RETRY_S)
        except Leaked as exc:
            return LeakFound(detail=str(exc))
        except (PushRejected, Rejected) as exc:
            return Unworkable(reason=str(exc))
        except RunnerError as exc:
            return Trouble(detail=str(exc), retry_after_s=60.0)
        except OSError as exc:
            _LOG.exception("the host refused a step", extra={"run": round_input.run_id})
            return Trouble(detail=refusal(exc), retry_after_s=_DISK_RETRY_S)

    def _unless_unwanted(self, round_input: RoundInput, step: Step) -> Fact:
        """Do the step, unless a later round has taken over, or the run was cancelled or has ended by its record."""
        run = self._run(round_input)
        if isinstance(step, Close):
            return self._close(round_input, run, step)
        if run.round > round_input.number or run.phase not in WORKING_PHASES:
            return CancelSeen()
        if isinstance(step, SaveWork):
            self._settle(run.run_id)
            return self.keeper.save(round_input, run, step)
        if not run.cancel_requested:
            try:
                return self._dispatch(round_input, step)
            except Cancelled:
                pass
        self._settle(run.run_id)
        self.closing.remove_sandboxes(run.run_id)
        return CancelSeen()

    def _settle(self, run_id: str) -> None:
        """Nothing goes on beside the round any more."""
        self.base.settle(run_id)
        self.agents.early.settle(run_id)

    def _dispatch(self, round_input: RoundInput, step: Step) -> Fact:
        match step:
            case Prepare():
                return self._prepare(round_input)
            case RunAgent():
                return self._run_agent(round_input, step)
            case JudgeBase():
                self._phase(round_input, phase=Phase.GATE)
                self._begin_base(round_input)
                return BaseJudged(verdict=self.base.answer(round_input.run_id))
            case Collect():
                return self.keeper.collect(round_input, self._run(round_input), step)
            case JudgeHead():
                return self._judge_head(round_input, step)
            case Publish():
                self._phase(round_input, phase=Phase.PUBLISHING)
                return self.publisher.publish(round_input, self._run(round_input), step)
            case SaveWork() | Close():
                raise LookupError(f"{step.kind} is done whether or not the run is wanted")
        assert_never(step)

    # --- steps ---

    def _prepare(self, round_input: RoundInput) -> Fact:
        run = self._run(round_input)
        self.disk.fit_for_a_round()
        self.keeper.guard.plant(self.keeper.layout.run(run.run_id) / "canary", run.run_id)
        tier = round_input.ladder[round_input.start_tier].name
        # Whatever it waited for is over.
        self._phase(round_input, phase=Phase.PREPARING, tier=tier, reason=None, retry_at=None)
        if not round_input.rejudge:
            self.agents.ahead(round_input.run_id, round_input.first_attempt)
        return self.preparer.prepare(round_input, run)

    def _run_agent(self, round_input: RoundInput, step: RunAgent) -> Fact:
        run_id = round_input.run_id
        self._phase(round_input, phase=Phase.AGENT, tier=round_input.ladder[step.tier].name, attempt=step.attempt)
        base_sha = self._base_sha(round_input)
        known = self._known_red(round_input, base_sha)
        if known is not None:
            return BaseJudged(verdict=known)
        plan = self.planner.plan(round_input, base_sha)
        if isinstance(plan, GatePlan):
            self._begin_base(round_input)
        ended = self.agents.run(
            round_input,
            step,
            base_sha,
            cancelled=lambda: self._cancelled(round_input),
            doomed=lambda: self.base.red(run_id) is not None,
            started=lambda: self._gate_ahead(run_id, base_sha, plan, step.attempt),
        )
        return BaseJudged(verdict=self.base.answer(run_id)) if ended is None else ended

    def _gate_ahead(self, run_id: str, base_sha: str, plan: GatePlan | CiOnly | str, attempt: int) -> None:
        if isinstance(plan, GatePlan):
            self.gates.ahead(run_id, base_sha, plan, attempt)

    def _known_red(self, round_input: RoundInput, base_sha: str) -> Failed | None:
        """The base's verdict where this run has it on record and it is red: no agent is started for that."""
        for judged in self.records.judgements(round_input.run_id):
            if judged.what == "base" and judged.base_sha == base_sha and isinstance(judged.verdict, Failed):
                return judged.verdict
        return None

    def _begin_base(self, round_input: RoundInput) -> None:
        def question() -> Question:
            base_sha = self._base_sha(round_input)
            return self._question(round_input, base_sha, what="base", attempt=0, take=self._takes(round_input) + 1)

        self.base.begin(question, round_input.run_id, lambda: self._cancelled(round_input))

    def _takes(self, round_input: RoundInput) -> int:
        """How often the base was judged without a word: a further try is a further take."""
        return sum(
            1
            for judged in self.records.judgements(round_input.run_id)
            if judged.what == "base" and judged.verdict.kind == "inconclusive"
        )

    def _judge_head(self, round_input: RoundInput, step: JudgeHead) -> Fact:
        # A re-judgement has a number of its own too, so that a later one is another judgement.
        self._phase(round_input, phase=Phase.GATE, attempt=step.attempt)
        question = self._question(
            round_input,
            step.base_sha or self._base_sha(round_input),
            what="merged" if round_input.rejudge else "head",
            attempt=step.attempt,
            take=step.take,
            candidate=step.candidate,
        )
        verdict = self.gates.ask(question, lambda: self._cancelled(round_input))
        return HeadJudged(candidate=step.candidate, verdict=verdict)

    def _close(self, round_input: RoundInput, run: RunRecord, step: Close) -> Fact:
        if run.round > round_input.number:
            # A later round has taken over; all that may be left to do is to have it enqueued.
            if step.outcome is Outcome.WAITING:
                self.closing.go_on(round_input)
            return RoundClosed()
        self._settle(run.run_id)
        return self.closing.close(round_input, self.keeper.partial(round_input, run, step))

    # --- what steps share ---

    def _run(self, round_input: RoundInput) -> RunRecord:
        run = self.records.run(round_input.run_id)
        if run is None:
            raise LookupError(f"run {round_input.run_id} is not on record")
        return run

    def _base_sha(self, round_input: RoundInput) -> str:
        """The run's base commit; known once the round is prepared."""
        return self._run(round_input).base_sha or ""

    def _cancelled(self, round_input: RoundInput) -> bool:
        return self.cancels.asked(round_input.run_id)

    def _phase(self, round_input: RoundInput, **change: object) -> None:
        """Say where the run is, once: a repeated step does not wake whoever waits for news."""
        run = self._run(round_input)
        news: RunChange = {k: v for k, v in change.items() if getattr(run, k) != v}  # type: ignore[assignment]
        if news:
            self.records.change(round_input.run_id, news, self.clock.now())

    def _question(
        self,
        round_input: RoundInput,
        base_sha: str,
        *,
        what: str,
        attempt: int,
        take: int,
        candidate: Candidate | None = None,
    ) -> Question:
        found = self.planner.plan(round_input, base_sha)
        if not isinstance(found, GatePlan):
            raise CheckoutFault(found if isinstance(found, str) else "No gate judges this repository here.")
        commit = base_sha if candidate is None else candidate.commit
        head = round_input.start_commit if what == "merged" and round_input.start_commit else commit
        return Question(
            run_id=round_input.run_id,
            what=what,
            attempt=attempt,
            take=take,
            commit=commit,
            tree=self.checkouts.tree_of(round_input.run_id, commit) if candidate is None else candidate.tree,
            head=head,
            base_sha=base_sha,
            plan=found,
        )
