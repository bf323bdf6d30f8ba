"""Run one agent attempt: start or adopt its sandbox, read what it does as it does it, watch both clocks."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from runner import reasons
from runner.agent_reading import EventReader
from runner.agent_watch import AgentWatch
from runner.ahead import Ahead
from runner.barred import STOPPED, dated, not_begun
from runner.brief import prompt, system_prompt
from runner.conclusion import ExitReport, Stopped, conclude
from runner.disk import DiskWatch
from runner.facts import AgentEnded, RunAgent
from runner.files import read_untrusted, remove_tree, write_whole
from runner.launch import SYSTEM_PROMPT, claude_argv, claude_environment, launch_file, read_exit
from runner.layout import AttemptDirs, Layout
from runner.lookout import Lookout
from runner.model import Ending, RoundInput, Tier
from runner.model_access import Allowance, ModelAccess
from runner.moments import Moment, worked_s
from runner.policy import ChangeLimits, protected_listing
from runner.ports import Checkouts, Clock, Containers
from runner.recipes import Recipes
from runner.records import AttemptRecord, NoticeKind, Records
from runner.rounds import Interrupted
from runner.sandbox import agent_name
from runner.sandbox_run import CANCEL_GRACE_S, Cancelled, SandboxRunner
from runner.sandboxes import RunState, SandboxSpec
from runner.timeline import begun
from runner.transcript import Transcript

_GRACE_S: Final = 5.0
_GUIDANCE: Final = ("CLAUDE.md", "AGENTS.md")


@dataclass(frozen=True, kw_only=True)
class AgentRunner:
    """Carries out `RunAgent`. limits: the policy that changes to a repository meet, of which it is told."""

    containers: Containers
    checkouts: Checkouts
    records: Records
    clock: Clock
    layout: Layout
    recipes: Recipes
    sandboxes: SandboxRunner
    model: ModelAccess
    limits: Callable[[str], ChangeLimits]
    early: Ahead
    reader: EventReader
    lookout: Lookout

    def ahead(self, run_id: str, attempt: int) -> None:
        """Begin to make the attempt's sandbox, beside what comes before it; `settle` when it will not come."""
        dirs = self.layout.attempt(run_id, attempt)

        def recipe() -> SandboxSpec:
            for path in (dirs.tree, dirs.inputs, dirs.out, dirs.sockets):
                path.mkdir(parents=True, exist_ok=True)
            return self.recipes.agent(run_id=run_id, attempt=attempt, dirs=dirs)

        if not (dirs.root / "launched").exists():
            self.early.begin(run_id, agent_name(run_id, attempt), recipe)

    def run(
        self,
        round_input: RoundInput,
        step: RunAgent,
        base_sha: str,
        *,
        cancelled: Callable[[], bool],
        doomed: Callable[[], bool],
        started: Callable[[], None],
    ) -> AgentEnded | None:
        """How the agent ended; None where `doomed` said that its work is not wanted any more, and it was stopped.

        started: told once the agent is at work, for what can be done beside it.

        Raises Cancelled (the sandbox is stopped), DiskLow (it is gone), Interrupted (it goes on), EngineDown,
        SandboxFault, ImageMissing.
        """
        tier = round_input.ladder[step.tier]
        dirs = self.layout.attempt(round_input.run_id, step.attempt)
        known = self.records.attempt(round_input.run_id, step.attempt)
        # Of an agent that may not begin nothing is on record.
        if known is None and (barrier := self.model.closed(round_input.repo)) is not None:
            return not_begun(barrier, self.clock.now())
        attempt = self._begin(round_input, step, tier)
        if attempt.ending is not None:
            self._clear(round_input.run_id, step.attempt)
            return AgentEnded(ending=Ending(attempt.ending), detail=attempt.detail or "", retry_at=attempt.retry_at)
        since = begun(dirs.root / "begun", attempt.started_at, self.sandboxes.moment())
        left = max(0, round_input.bounds.run_micro_usd - self.records.spent(round_input.run_id))
        self.model.open(
            Allowance(
                run_id=round_input.run_id,
                attempt=step.attempt,
                repo=round_input.repo,
                model=tier.model,
                effort=tier.effort,
                placeholder=attempt.placeholder,
                sockets=dirs.sockets,
                run_micro_usd=round_input.bounds.run_micro_usd,
                patience_s=min(60.0, tier.idle_s / 2),
            )
        )
        name = agent_name(round_input.run_id, step.attempt)
        launched = dirs.root / "launched"
        if not self.early.begun(name) and self.containers.status(name).state is not RunState.ABSENT:
            # Adopted: one that was created and never started is started, no other.
            self.containers.start(self.recipes.agent(run_id=round_input.run_id, attempt=step.attempt, dirs=dirs))
            write_whole(launched, b"")
        elif not launched.exists():
            self._lay_out(round_input, step, tier, dirs, base_sha, attempt.placeholder, left)
            spec = self.early.take(name)
            if spec is None:
                self.containers.remove(name)
                spec = self.recipes.agent(run_id=round_input.run_id, attempt=step.attempt, dirs=dirs)
            self.containers.start(spec)
            write_whole(launched, b"")
            started()
        elif not (dirs.out / "exit.json").exists():
            return self._end(round_input, step, dirs, attempt.transcript or Transcript(), None)
        stopped, transcript, doomed_now = self._watch(
            round_input, step, tier, dirs, attempt, since, cancelled=cancelled, doomed=doomed
        )
        if not doomed_now:
            return self._end(round_input, step, dirs, transcript, stopped)
        self._ended(round_input, step, AgentEnded(ending=Ending.KILLED, detail="Stopped: the base is red."))
        return None

    # --- before ---

    def _begin(self, round_input: RoundInput, step: RunAgent, tier: Tier) -> AttemptRecord:
        """The attempt's record: made once, so that a repeated step keeps its placeholder and its start."""
        return self.records.begin_attempt(
            AttemptRecord(
                run_id=round_input.run_id,
                attempt=step.attempt,
                round=round_input.number,
                tier=tier.name,
                model=tier.model,
                effort=tier.effort,
                from_commit=step.from_commit,
                placeholder=f"ashigaru-{secrets.token_hex(24)}",
                started_at=self.clock.now(),
            )
        )

    def _lay_out(
        self,
        round_input: RoundInput,
        step: RunAgent,
        tier: Tier,
        dirs: AttemptDirs,
        base_sha: str,
        placeholder: str,
        left: int,
    ) -> None:
        """Write the files the sandbox is shown; whatever an interrupted try left is replaced."""
        name = agent_name(round_input.run_id, step.attempt)
        for path in (dirs.tree, dirs.inputs, dirs.out):
            remove_tree(path)
            path.mkdir(parents=True)
        self.checkouts.export(round_input.run_id, step.from_commit, dirs.tree)
        guidance = {
            path: text.decode("utf-8", "replace")
            for path in _GUIDANCE
            if (text := self.checkouts.read(round_input.run_id, base_sha, path)) is not None
        }
        argv = claude_argv(
            tier,
            session_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"ashigaru:{name}")),
            max_micro_usd=max(1, min(tier.max_micro_usd, left)),
            system_prompt_file=SYSTEM_PROMPT if guidance else None,
        )
        environment = claude_environment(self.model.credential_kind, placeholder)
        task = prompt(
            repo=round_input.repo,
            issue=round_input.issue,
            brief=round_input.brief,
            tier=tier.name,
            feedback=step.feedback,
            protected=protected_listing(self.limits(round_input.repo)),
        )
        write_whole(dirs.inputs / "prompt.txt", task.encode("utf-8"))
        if guidance:
            write_whole(dirs.inputs / Path(SYSTEM_PROMPT).name, system_prompt(guidance).encode("utf-8"))
        launch = launch_file(argv, environment, completion_grace_s=tier.watchdogs.grace_s)
        write_whole(dirs.inputs / "launch.json", launch)

    # --- during ---

    def _watch(
        self,
        round_input: RoundInput,
        step: RunAgent,
        tier: Tier,
        dirs: AttemptDirs,
        attempt: AttemptRecord,
        since: Moment,
        *,
        cancelled: Callable[[], bool],
        doomed: Callable[[], bool],
    ) -> tuple[Stopped | None, Transcript, bool]:
        """Read events until the sandbox has ended or was stopped: (why we stopped it, what was read, doomed)."""
        name = agent_name(round_input.run_id, step.attempt)
        lively = partial(self.model.lively, attempt.run_id, attempt.attempt)
        reader = self.reader.of(round_input.run_id, step.attempt, dirs)
        worked = worked_s(since, self.sandboxes.moment())
        watch = AgentWatch(self.clock, tier, worked, lively, beside=self.lookout)
        transcript = attempt.transcript or Transcript()
        disk = self.sandboxes.disk.watch((dirs.tree, dirs.out))
        stopped: Stopped | None = None
        while True:
            ended = self.sandboxes.status(name).state is not RunState.RUNNING
            grown, transcript = reader.read(transcript, final=ended)
            if ended and not grown:
                return stopped, transcript, False
            if grown and not watch.heard():
                continue
            if doomed():
                self.containers.stop(name, _GRACE_S)
                return None, transcript, True
            if cancelled():
                self.containers.stop(name, CANCEL_GRACE_S)
                reader.read(transcript, final=True)
                raise Cancelled
            if self.sandboxes.stopping.is_set():
                raise Interrupted
            stopped = stopped or self._stop_if_over(name, watch.over(transcript), disk)
            if watch.heartbeat_due():
                self.records.touch(round_input.run_id, self.clock.now())
            watch.rest(dirs.out / "exit.json", lambda: cancelled() or self.sandboxes.stopping.is_set())

    def _stop_if_over(self, name: str, why: Stopped | None, disk: DiskWatch) -> Stopped | None:
        """Why the agent was stopped just now, by a watchdog or for what it wrote to the disk. Raises DiskLow."""
        if why is not None:
            self.containers.stop(name, _GRACE_S)
            return why
        return None if self.sandboxes.overran(name, disk, at_end=False) is None else Stopped.DISK

    # --- after ---

    def _end(
        self,
        round_input: RoundInput,
        step: RunAgent,
        dirs: AttemptDirs,
        transcript: Transcript,
        stopped: Stopped | None,
    ) -> AgentEnded:
        run_id = round_input.run_id
        barrier = self.model.refused(run_id, step.attempt) if stopped is None else None
        concluded = conclude(
            transcript,
            self._exit_report(dirs, agent_name(run_id, step.attempt)),
            stopped if barrier is None else STOPPED[barrier],
            self.model.failure(run_id, step.attempt),
        )
        concluded = dated(concluded, self.clock.now())
        self._ended(round_input, step, concluded)
        return concluded

    def _ended(self, round_input: RoundInput, step: RunAgent, ended: AgentEnded) -> None:
        """It is on record how the agent ended, a person is told where a watchdog stopped it, and it is gone."""
        run_id, at = round_input.run_id, self.clock.now()
        self.records.end_attempt(
            run_id, step.attempt, ending=ended.ending.value, detail=ended.detail, retry_at=ended.retry_at, at=at
        )
        told = reasons.watchdog(round_input.ladder[step.tier], ended)
        if told is not None:
            self.records.notify(run_id, f"watchdog:{step.attempt}", NoticeKind.WATCHDOG, told, at)
        self._clear(run_id, step.attempt)

    def _exit_report(self, dirs: AttemptDirs, name: str) -> ExitReport | None:
        """The entrypoint's word where it left one, else the engine's; None where neither knows of an exit."""
        status = self.containers.status(name)
        written = read_untrusted(dirs.out / "exit.json", limit=4096)
        told = None if written is None else read_exit(written)
        if told is not None:
            return ExitReport(code=told.code, signal=told.signal, reason=told.reason.value, oom=status.oom)
        if status.state is not RunState.EXITED:
            return None
        return ExitReport(code=status.exit_code, oom=status.oom)

    def _clear(self, run_id: str, attempt: int) -> None:
        """The sandbox is gone and its placeholder is worth nothing; the tree stays for the next step."""
        self.model.shut(run_id, attempt)
        self.sandboxes.discard(agent_name(run_id, attempt))
