"""How long a gate or a set-up may take, whatever becomes of the wall clock."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.disk import Disk
from runner.moments import Moment
from runner.sandbox_run import SandboxRunner
from runner.sandboxes import Role, SandboxSpec
from tests.fakes.behaviours import runs_until_stopped
from tests.fakes.clocks import DAY_S, HandClock
from tests.fakes.containers import FakeContainers

both_ways = pytest.mark.parametrize("setting", [DAY_S, -DAY_S], ids=["forwards", "backwards"])
TIMEOUT_S = 100.0


@dataclass(kw_only=True)
class Meddled(HandClock):
    """A clock that goes when it is slept on, and that somebody sets by `by` when half of the time has passed."""

    by: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.passes(seconds)
        if self.by and self.awake > 1000.0 + TIMEOUT_S / 2:
            self.is_set(self.by)
            self.by = 0.0


def seconds_until_stopped(clock: HandClock, state: Path, since: Moment) -> float:
    """How long a sandbox that never ends is left running by a daemon that begins to watch it now."""
    containers = FakeContainers(lambda _: runs_until_stopped)
    runner = SandboxRunner(
        containers=containers,
        clock=clock,
        stopping=threading.Event(),
        disk=Disk(state_dir=state, clock=clock),
        timeline=clock.timeline(),
    )
    spec = SandboxSpec(
        name="ash-gate-1",
        role=Role.GATE,
        image=containers.image_id("localhost/ashigaru/gate:latest"),
        command=(),
        workdir="/",
        environment=(),
        mounts=(),
        tmpfs=(),
        labels=(),
        memory=1,
        pids=1,
        cpus=1.0,
        file=1,
    )
    watched_from = clock.awake
    ran = runner.to_end(spec, since=since, timeout_s=TIMEOUT_S, cancelled=lambda: False)
    assert ran.timed_out
    assert containers.faults == []
    return clock.awake - watched_from


@both_ways
def test_a_clock_that_is_set_meanwhile_neither_hastens_the_end_nor_puts_it_off(tmp_path: Path, setting: float) -> None:
    clock = Meddled(by=setting)
    assert seconds_until_stopped(clock, tmp_path, clock.moment()) == pytest.approx(TIMEOUT_S, abs=0.2)
    assert clock.by == 0.0, "nobody set the clock"


@both_ways
def test_one_that_is_adopted_has_what_is_left_whatever_the_clock_was_set_to(tmp_path: Path, setting: float) -> None:
    clock = HandClock()
    since = clock.moment()
    clock.passes(70.0)
    clock.is_set(setting)
    assert seconds_until_stopped(clock, tmp_path, since) == pytest.approx(30.0, abs=0.2)


def test_one_that_a_daemon_began_which_knew_the_wall_clock_only_is_timed_by_that_until_it_is_adopted(
    tmp_path: Path,
) -> None:
    clock = HandClock()
    since = Moment(utc=clock.now() - 70.0)
    assert seconds_until_stopped(clock, tmp_path, since) == pytest.approx(30.0, abs=0.2)


def test_a_host_that_was_suspended_gives_a_gate_the_time_that_it_could_not_use(tmp_path: Path) -> None:
    clock = HandClock()
    since = clock.moment()
    clock.is_suspended(DAY_S)
    assert seconds_until_stopped(clock, tmp_path, since) == pytest.approx(TIMEOUT_S, abs=0.2)
