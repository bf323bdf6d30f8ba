"""Carry out one step of a round through the ports, and answer with a fact. Every deed here is safe to do twice."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from gates.errors import BadGateSpec
from gates.plan import GATE_FILE, GatePlan, NoGate, plan
from gates.verdict import Failed, Verdict
from runner.agent_run import AgentRunner
from runner.closing import Closing
from runner.errors import CheckoutFault, ImageMissing, PushRejected, RunnerError, Unavailable, UnknownRepo
from runner.facts import (
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
    NothingChanged,
    Outcome,
    Prepare,
    Prepared,
    Publish,
    RoundClosed,
    RunAgent,
    SaveWork,
    Step,
    Trouble,
    Unworkable,
    WorkSaved,
)
from runner.gate_run import GateRunner, Question
from runner.layout import Layout
from runner.model import Candidate, Phase, RoundInput
from runner.policy import Allowed, ChangeLimits, Refused, judge_changes
from runner.ports import Checkouts, Clock, Forge
from runner.publishing import Publisher
from runner.records import Records, RunChange, RunRecord
from runner.sandbox_run import Cancelled

_LOG: Final = logging.getLogger(__name__)
_DIFF_BYTES: Final = 48 * 1024
_DISK_RETRY_S: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Does what the ladder says. One instance a process; safe to call from several threads, one run a thread."""

    checkouts: Checkouts
    forge: Forge
    records: Records
    clock: Clock
    layout: Layout
    agents: AgentRunner
    gates: GateRunner
    publisher: Publisher
    closing: Closing
    limits: ChangeLimits
    pool: ThreadPoolExecutor
    _base: dict[str, Future[Verdict]] = field(default_factory=dict)

    def carry_out(self, round_input: RoundInput, step: Step) -> Fact:
        """Do `step` and say what happened. World trouble is a `Trouble` fact; anything raised is a fault of ours.

        `runner.rounds.Interrupted` passes through: the daemon is leaving and the step will be done again.
        """
        run = self._run(round_input)
        try:
            if run.round > round_input.number and not (isinstance(step, Close) and step.outcome is Outcome.WAITING):
                # A later round has taken over: this one has nothing to say any more.
                return RoundClosed() if isinstance(step, Close) else CancelSeen()
            if run.cancel_requested and not isinstance(step, Close | SaveWork):
                self.closing.stop_sandboxes(round_input.run_id)
                return CancelSeen()
            return self._dispatch(round_input, step)
        except Cancelled:
            self.closing.stop_sandboxes(round_input.run_id)
            return CancelSeen()
        except Unavailable as exc:
            return Trouble(detail=str(exc), retry_after_s=exc.retry_after_s)
        except ImageMissing as exc:
            return Trouble(detail=str(exc), retry_after_s=_DISK_RETRY_S)
        except (PushRejected, UnknownRepo) as exc:
            return Unworkable(reason=str(exc))
        except CheckoutFault as exc:
            return Trouble(detail=str(exc), retry_after_s=60.0)
        except RunnerError as exc:
            return Trouble(detail=str(exc), retry_after_s=60.0)
        except OSError as exc:
            _LOG.exception("the host refused a step", extra={"run": round_input.run_id})
            return Trouble(detail=f"The host refused: {exc.strerror or exc}.", retry_after_s=_DISK_RETRY_S)

    def _dispatch(self, round_input: RoundInput, step: Step) -> Fact:
        match step:
            case Prepare():
                return self._prepare(round_input)
            case RunAgent():
                return self._run_agent(round_input, step)
            case JudgeBase():
                self._phase(round_input, phase=Phase.GATE)
                return self._base_judged(round_input)
            case Collect():
                return self._collect(round_input, step)
            case JudgeHead():
                return self._judge_head(round_input, step)
            case Publish():
                self._phase(round_input, phase=Phase.PUBLISHING)
                return self.publisher.publish(round_input, self._run(round_input), step)
            case SaveWork():
                return self._save(round_input, step)
            case Close():
                return self.closing.close(round_input, self._keeping_partial(round_input, step))
        assert_never(step)

    # --- steps ---

    def _prepare(self, round_input: RoundInput) -> Fact:
        run = self._run(round_input)
        self._phase(round_input, phase=Phase.PREPARING, tier=round_input.ladder[round_input.start_tier].name)
        remote = self.forge.remote(round_input.repo)
        self.checkouts.refresh(round_input.repo, remote)
        self.checkouts.clone(round_input.run_id, round_input.repo)
        tip = self.checkouts.branch_head(round_input.repo, round_input.base_branch)
        if tip is None:
            return Unworkable(
                reason=f"The branch {round_input.base_branch} is gone; set the repository's default branch."
            )
        rejudged: Candidate | None = None
        base_sha = run.base_sha or tip
        if round_input.rejudge and round_input.start_commit is not None:
            base_sha = tip
            message = f"Merge of {round_input.branch} for judgement"
            rejudged = self.checkouts.merge(round_input.run_id, tip, round_input.start_commit, message)
            if rejudged is None:
                return Unworkable(
                    reason=f"The branch conflicts with {round_input.base_branch}; ask for changes that resolve it."
                )
        elif run.base_sha is None:
            self.records.change(round_input.run_id, {"base_sha": tip}, self.clock.now())
        found = self._plan(round_input, base_sha)
        if isinstance(found, str):
            return Unworkable(reason=found)
        return Prepared(base_sha=base_sha, rejudged=rejudged)

    def _run_agent(self, round_input: RoundInput, step: RunAgent) -> Fact:
        self._phase(round_input, phase=Phase.AGENT, tier=round_input.ladder[step.tier].name, attempt=step.attempt)
        base_sha = self._base_sha(round_input)
        beside = self._base_beside(round_input, base_sha)

        def doomed() -> bool:
            return beside.done() and beside.exception() is None and isinstance(beside.result(), Failed)

        ended = self.agents.run(
            round_input, step, base_sha, cancelled=lambda: self._cancelled(round_input), doomed=doomed
        )
        if ended is None:
            return BaseJudged(verdict=beside.result())
        return ended

    def _base_judged(self, round_input: RoundInput) -> Fact:
        base_sha = self._base_sha(round_input)
        key = f"{round_input.run_id}/{base_sha}"
        beside = self._base_beside(round_input, base_sha)
        try:
            return BaseJudged(verdict=beside.result())
        finally:
            self._base.pop(key, None)

    def _base_beside(self, round_input: RoundInput, base_sha: str) -> Future[Verdict]:
        """The base's judgement, under way in a thread beside the agent; asked once for a run and base."""
        key = f"{round_input.run_id}/{base_sha}"
        known = self._base.get(key)
        if known is None:
            question = self._question(round_input, base_sha, what="base", attempt=0, take=self._takes(round_input) + 1)
            known = self.pool.submit(self.gates.ask, question, lambda: self._cancelled(round_input))
            self._base[key] = known
        return known

    def _takes(self, round_input: RoundInput) -> int:
        """How often the base was judged without a word: a further try is a further take."""
        return sum(
            1
            for judged in self.records.judgements(round_input.run_id)
            if judged.what == "base" and judged.verdict.kind == "inconclusive"
        )

    def _collect(self, round_input: RoundInput, step: Collect) -> Fact:
        run = self._run(round_input)
        run_id = round_input.run_id
        base_sha = self._base_sha(round_input)
        dirs = self.layout.attempt(run_id, step.attempt)
        match judge_changes(self.checkouts.changes(run_id, base_sha, dirs.tree), self.limits):
            case Refused(reasons=reasons):
                return ChangesRefused(refusals=reasons)
            case Allowed(changes=changes):
                pass
        if not changes:
            return NothingChanged()
        message = f"{_subject(round_input)}\n\nRun: {run_id}\nAttempt: {step.attempt} ({round_input.ladder[step.tier].name})\n"
        candidate = self.checkouts.commit(run_id, base_sha, run.head_sha or base_sha, changes, message)
        if run.head_tree == candidate.tree and round_input.feedback is not None:
            return NothingChanged()
        diff = self.checkouts.diff(run_id, base_sha, candidate.commit, _DIFF_BYTES)
        return Collected(candidate=candidate, files=len(changes), diff=diff)

    def _judge_head(self, round_input: RoundInput, step: JudgeHead) -> Fact:
        self._phase(round_input, phase=Phase.GATE)
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

    def _save(self, round_input: RoundInput, step: SaveWork) -> Fact:
        """Whatever cannot be saved is said in the log; a run must be able to end."""
        candidate = step.candidate
        if candidate is None and step.attempt is not None and self._run(round_input).base_sha is not None:
            tier = next((i for i, t in enumerate(round_input.ladder) if t.name == self._run(round_input).tier), 0)
            collected = self._collect(round_input, Collect(attempt=step.attempt, tier=tier))
            candidate = collected.candidate if isinstance(collected, Collected) else None
        if candidate is None:
            return WorkSaved(commit=None)
        remote = self.forge.remote(round_input.repo)
        self.checkouts.push(round_input.run_id, remote, candidate.commit, round_input.branch)
        return WorkSaved(commit=candidate.commit)

    def _keeping_partial(self, round_input: RoundInput, step: Close) -> Close:
        """A wait loses nothing: what the interrupted agent had done by then is where the next round starts."""
        if step.outcome is not Outcome.WAITING or step.resume is None or step.resume.attempt < 2:
            return step
        attempt = step.resume.attempt - 1
        if not (self.layout.attempt(round_input.run_id, attempt).root / "launched").exists():
            return step
        try:
            collected = self._collect(round_input, Collect(attempt=attempt, tier=step.resume.tier))
        except (RunnerError, OSError):
            _LOG.exception("partial work could not be kept", extra={"run": round_input.run_id})
            return step
        if not isinstance(collected, Collected):
            return step
        return replace(step, resume=replace(step.resume, start_commit=collected.candidate.commit))

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
        return self._run(round_input).cancel_requested

    def _phase(self, round_input: RoundInput, **change: object) -> None:
        """Say where the run is, once: a repeated step does not wake whoever waits for news."""
        run = self._run(round_input)
        news: RunChange = {k: v for k, v in change.items() if getattr(run, k) != v}  # type: ignore[assignment]
        if news:
            self.records.change(round_input.run_id, news, self.clock.now())

    def _plan(self, round_input: RoundInput, base_sha: str) -> GatePlan | str:
        """The gates at the base commit, or a sentence that says why there are none."""

        def read(path: str) -> bytes | None:
            return self.checkouts.read(round_input.run_id, base_sha, path)

        try:
            found = plan(read(GATE_FILE), self.checkouts.paths(round_input.run_id, base_sha), read)
        except BadGateSpec as exc:
            return f"{GATE_FILE} on {round_input.base_branch}: {exc}"
        return found.reason if isinstance(found, NoGate) else found

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
        found = self._plan(round_input, base_sha)
        if isinstance(found, str):
            raise CheckoutFault(found)
        commit = base_sha if candidate is None else candidate.commit
        head = round_input.start_commit if what == "merged" and round_input.start_commit else commit
        return Question(
            run_id=round_input.run_id,
            what=what,
            attempt=attempt,
            take=take,
            commit=commit,
            tree=self.checkouts.tree_of(round_input.run_id, commit),
            head=head,
            base_sha=base_sha,
            plan=found,
        )


def _subject(round_input: RoundInput) -> str:
    """First line of the commit: the brief's first line, bounded."""
    line = round_input.brief.strip().splitlines()[0]
    words = line if len(line) <= 60 else f"{line[:57].rstrip()}..."
    return f"Fix #{round_input.issue}: {words}"
