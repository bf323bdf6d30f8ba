"""Cancel in every phase there is: sandboxes gone within two seconds of our own waiting, work on a branch."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.adapters.system_clock import SystemClock
from runner.conclusion import UpstreamFailure
from runner.facts import Fact, SaveWork, Step
from runner.model import CheckState, RoundInput
from runner.sandbox import LABEL_RUN
from runner.sandboxes import Role, SandboxSpec
from tests.fakes.behaviours import PATIENCE_S, AgentAtWork, Behaviour, Ended, Inside, works
from tests.fakes.containers import FakeContainers
from tests.story.house import Foreman, House, git
from tests.story.scenes import RIGHT, WRONG, HeldGate, bare, branches, is_base, is_head, passes_when, says_hello, writes
from tests.story.worlds import CI, FOLLOWED

pytestmark = pytest.mark.slow

WITHIN_S = 2.0


class Measured(SystemClock):
    """How long each thread has waited since the cancel, by its own word; the waits themselves are cut short.

    While `stopped` nobody comes out of a wait: the flag goes up, and only then does time begin to pass.
    """

    def __init__(self) -> None:
        self._waited: dict[int, float] = defaultdict(float)
        self._measuring = False
        self._passes = threading.Event()
        self._passes.set()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self._passes.clear()
        try:
            yield
        finally:
            self._measuring = True
            self._passes.set()

    def waited(self) -> float:
        return max(self._waited.values(), default=0.0)

    def sleep(self, seconds: float) -> None:
        assert self._passes.wait(PATIENCE_S)
        if self._measuring:
            self._waited[threading.get_ident()] += seconds
        super().sleep(min(seconds, 0.01))


class Timed(FakeContainers):
    """An engine whose graces pass by the measured clock, and which knows when the last sandbox of a run was gone."""

    def __init__(self, behaviours: Callable[[SandboxSpec], Behaviour], clock: Measured) -> None:
        super().__init__(behaviours)
        self._clock = clock
        self.gone_after: float | None = None

    def stop(self, name: str, grace_s: float) -> None:
        sandbox = self._sandboxes.get(name)
        if sandbox is not None and not sandbox.done.is_set():
            sandbox.inside.stopping.set()
            if not sandbox.done.wait(0.1):
                self._clock.sleep(grace_s)
        super().stop(name, 0)

    def remove(self, name: str) -> None:
        super().remove(name)
        self.gone_after = self._clock.waited()


@dataclass(kw_only=True)
class Held:
    """Holds a round after its first step of one kind was done, and sees what is left of its sandboxes when it saves."""

    kind: str | None
    containers: Timed
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    at_save: list[list[str]] = field(default_factory=list)

    def __call__(self, round_input: RoundInput, step: Step, fact: Fact) -> None:  # noqa: ARG002 - a witness's
        if isinstance(step, SaveWork):
            self.at_save.append([one.name for one in self.containers.listing(round_input.run_id)])
        if step.kind == self.kind and not self.reached.is_set():
            self.reached.set()
            assert self.go.wait(PATIENCE_S)


def deaf(reached: threading.Event) -> Behaviour:
    """An agent that writes, and then heeds nothing but SIGKILL."""

    def work(agent: AgentAtWork) -> int:
        says_hello(agent)
        (agent.tree / "total.py").write_text(WRONG, encoding="utf-8")
        reached.set()
        agent.inside.killed.wait(PATIENCE_S)
        return 137

    return works(work)


@dataclass(kw_only=True)
class Scene:
    """One house for one phase. after: the step whose end holds the round. kept: total.py on the branch; None: none."""

    phase: str
    kept: str | None
    after: str | None = None
    agent: Behaviour | None = None
    gate: Behaviour = field(default_factory=lambda: passes_when(RIGHT))
    reached: threading.Event | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    upstream: UpstreamFailure | None = None


def scenes() -> dict[str, Scene]:
    writing, judging, judging_base = threading.Event(), threading.Event(), threading.Event()
    head = HeldGate(holds=is_head, then=passes_when(RIGHT), reached=judging)
    base = HeldGate(holds=is_base, then=passes_when(RIGHT), reached=judging_base)
    busy = UpstreamFailure(status=529, type="overloaded_error", retry_at=4_000_000_000.0)
    limited = writes(WRONG, is_error=True, terminal_reason="api_error", api_error_status=529)
    return {
        "preparing": Scene(phase="preparing", kept=None, after="prepare"),
        "agent": Scene(phase="agent", kept=WRONG, agent=deaf(writing), reached=writing),
        "agent ended": Scene(phase="agent", kept=RIGHT, after="run_agent"),
        "collecting": Scene(phase="agent", kept=RIGHT, after="collect"),
        "gate of the base": Scene(phase="gate", kept=RIGHT, gate=base, reached=judging_base),
        "gate": Scene(phase="gate", kept=RIGHT, gate=head, reached=judging),
        "judged": Scene(phase="gate", kept=RIGHT, after="judge_head"),
        "publishing": Scene(phase="publishing", kept=RIGHT, after="publish"),
        "waiting": Scene(phase="waiting", kept=WRONG, agent=limited, upstream=busy),
        "ci": Scene(phase="ci", kept=RIGHT, changes=FOLLOWED),
        "awaiting review": Scene(phase="awaiting_review", kept=RIGHT),
    }


@pytest.mark.parametrize("name", scenes())
def test_cancelled_it_leaves_no_sandbox_and_keeps_the_work(name: str, state: Path, source: Path) -> None:
    scene, clock = scenes()[name], Measured()

    def behaviour(spec: SandboxSpec) -> Behaviour:
        return (scene.agent or writes(RIGHT)) if spec.role is Role.AGENT else scene.gate

    containers = Timed(behaviour, clock)
    held = Held(kind=scene.after, containers=containers)
    house = House(state=state, containers=containers, clock=clock, witness=held, changes=scene.changes)
    house.model.upstream = scene.upstream
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        for reached in (held.reached if scene.after else None, scene.reached):
            assert reached is None or reached.wait(PATIENCE_S)
        if scene.phase == "ci":
            _ci_runs(foreman, run_id)
        foreman.until(run_id, lambda told: told["phase"] == scene.phase)
        with clock.stopped():
            foreman.call("cancel", run_id=run_id)
        held.go.set()
        told = foreman.until(run_id, lambda told: told["phase"] == "cancelled")
        assert told["slot"] is None
        assert containers.listing(run_id) == ()
        assert all(left == [] for left in held.at_save), "the sandboxes go first: saving may take long"
        assert containers.gone_after is None or containers.gone_after <= WITHIN_S
        kept = [git(bare(state), "show", f"{sha}:total.py") + "\n" for sha in branches(state).values()]
        assert kept == ([] if scene.kept is None else [scene.kept])
        assert foreman.work() != run_id, "the claim was not released"
        if isinstance(scene.gate, HeldGate):
            scene.gate.go.set()


def _ci_runs(foreman: Foreman, run_id: str) -> None:
    sha = foreman.until(run_id, lambda told: told["phase"] == "ci")["head_sha"]
    foreman.daemon.forge.operator.report("widgets", sha, "test", CheckState.PENDING, source=CI, log=b"")


def test_one_that_waits_in_the_line_again_keeps_what_it_had(state: Path, source: Path) -> None:
    """Its time has come, and all slots are others'."""
    other, limited = threading.Event(), writes(WRONG, is_error=True, terminal_reason="api_error", api_error_status=529)
    tries: list[Behaviour] = [limited]
    clock = Measured()

    def behaviour(spec: SandboxSpec) -> Behaviour:
        if spec.role is not Role.AGENT:
            return passes_when(RIGHT)
        return tries.pop() if tries else _until(other)

    house = House(state=state, containers=Timed(behaviour, clock), changes={"slots": 1})
    house.model.upstream = UpstreamFailure(status=529, type="overloaded_error", retry_at=4_000_000_000.0)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert foreman.at_rest(run_id)["phase"] == "waiting"
        busy = foreman.work(issue=2)
        foreman.until(busy, lambda told: told["phase"] == "agent")
        foreman.daemon.service._rounds.hasten(run_id, 2)
        foreman.until(run_id, lambda told: told["phase"] == "queued")
        foreman.call("cancel", run_id=run_id)
        told = foreman.call("status", run_id=run_id)
        assert told["phase"] == "cancelled"
        assert "is on branch" in told["reason"]
        assert [git(bare(state), "show", f"{sha}:total.py") + "\n" for sha in branches(state).values()] == [WRONG]
        other.set()
        foreman.at_rest(busy)
    assert [dict(one.labels)[LABEL_RUN] for one in house.containers.started if one.role is Role.AGENT] == [run_id, busy]


def _until(told: threading.Event) -> Behaviour:
    def behaviour(inside: Inside) -> Ended:
        told.wait(PATIENCE_S)
        return writes(RIGHT)(inside)

    return behaviour
