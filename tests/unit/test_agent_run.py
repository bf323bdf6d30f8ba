"""Whoever watches an agent that does nothing rests between two looks, and not when it is wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.adapters.secret_scanner import DetectSecrets
from runner.adapters.sql_records import SqlRecords
from runner.agent_reading import EventReader
from runner.agent_run import AgentRunner
from runner.ahead import Ahead
from runner.disk import Disk, DiskLimits
from runner.facts import RunAgent
from runner.guard import Guard
from runner.layout import Layout
from runner.lookout import Lookout
from runner.precedence import Precedence
from runner.recipes import Recipes
from runner.rounds import Interrupted
from runner.sandbox import Limits, agent_name
from runner.sandbox_run import Cancelled, SandboxRunner
from tests.contract.test_records import run
from tests.fakes.a_round import INPUT
from tests.fakes.behaviours import runs_until_stopped
from tests.fakes.clocks import HandClock
from tests.fakes.containers import IMAGES, FakeContainers
from tests.story.house import FakeModel

STEP = RunAgent(attempt=1, tier=0, from_commit="c" * 40, feedback=None)
AGENT, RELAY, GATE = IMAGES


@dataclass(kw_only=True)
class Watched(HandClock):
    """A clock on which something comes about while it is slept on for the third time; it counts from then on."""

    comes: Callable[[], None]
    slept: int = 0
    since: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.slept += 1
        if self.slept == 3:
            self.comes()
        elif self.slept > 3:
            self.since.append(seconds)


@pytest.fixture
def containers() -> Iterator[FakeContainers]:
    made = FakeContainers(lambda _spec: runs_until_stopped)
    yield made
    made.stop(agent_name(INPUT.run_id, STEP.attempt), 0.0)


def watching(
    containers: FakeContainers, records: SqlRecords, home: Path, clock: HandClock, stopping: threading.Event
) -> AgentRunner:
    """What runs an agent that is at work already."""
    records.claim(run(INPUT.run_id))
    layout = Layout(state_dir=home)
    limits = Limits()
    recipes = Recipes(
        image_id=containers.image_id,
        host="here",
        agent_image=AGENT,
        relay_image=RELAY,
        gate_image=GATE,
        agent_limits=limits,
        gate_limits=limits,
        hold_s=60,
    )
    dirs = layout.attempt(INPUT.run_id, STEP.attempt)
    for path in (dirs.tree, dirs.out):
        path.mkdir(parents=True)
    containers.start(recipes.agent(run_id=INPUT.run_id, attempt=STEP.attempt, dirs=dirs))
    disk = Disk(state_dir=home, clock=clock, limits=DiskLimits(floor=0))
    guard = Guard(records=records, clock=clock, scanner=DetectSecrets(), marked=(), canary=lambda _run_id: "canary" * 9)
    nothing: Any = None
    return AgentRunner(
        containers=containers,
        checkouts=nothing,
        records=records,
        clock=clock,
        layout=layout,
        recipes=recipes,
        sandboxes=SandboxRunner(containers=containers, clock=clock, stopping=stopping, disk=disk),
        model=FakeModel(),
        limits=nothing,
        early=Ahead(containers=containers),
        reader=EventReader(records=records, clock=clock, guard=guard, precedence=Precedence(clock)),
        lookout=Lookout(clock),
    )


@pytest.mark.parametrize(("what", "ends"), [("left", Interrupted), ("cancelled", Cancelled)])
def test_a_rest_between_two_looks_ends_when_the_daemon_leaves_or_the_run_is_cancelled(
    what: str, ends: type[Exception], containers: FakeContainers, records: SqlRecords, tmp_path: Path
) -> None:
    stopping, cancel = threading.Event(), threading.Event()
    clock = Watched(comes=stopping.set if what == "left" else cancel.set)
    runner = watching(containers, records, tmp_path, clock, stopping)
    with pytest.raises(ends):
        runner.run(INPUT, STEP, "b" * 40, cancelled=cancel.is_set, doomed=lambda: False, started=lambda: None)
    assert clock.since == []
