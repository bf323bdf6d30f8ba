"""Somebody sets the wall clock by a day: nobody is killed for it, nobody lives for ever, and no wait changes."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runner.conclusion import UpstreamFailure
from runner.model import CheckState
from runner.sandboxes import Role, SandboxStatus
from tests.fakes.behaviours import AgentAtWork, works
from tests.fakes.clocks import DAY_S, SetClock
from tests.fakes.containers import FakeContainers
from tests.story.house import LADDER, House
from tests.story.scenes import RIGHT, HeldGate, held, house_of, is_base, passes_when, says_hello, started, writes
from tests.story.test_following import opened
from tests.story.worlds import local_world

pytestmark = pytest.mark.slow

QUOTA: dict[str, Any] = {"is_error": True, "terminal_reason": "api_error", "api_error_status": 429}
both_ways = pytest.mark.parametrize("day", [DAY_S, -DAY_S], ids=["forwards", "backwards"])


@dataclass(kw_only=True)
class Looks:
    """Counts how often the daemon looked at each sandbox."""

    containers: FakeContainers
    times: Counter[str] = field(default_factory=Counter)
    news: threading.Condition = field(default_factory=threading.Condition)

    def status(self, name: str) -> SandboxStatus:
        with self.news:
            self.times[name] += 1
            self.news.notify_all()
        return FakeContainers.status(self.containers, name)

    def again(self, part: str) -> None:
        """Return when every sandbox with that in its name was looked at, and judged by its clocks, since now."""
        with self.news:
            wanted = {name: times + 3 for name, times in self.times.items() if part in name}
            assert wanted
            assert self.news.wait_for(lambda: all(self.times[name] >= more for name, more in wanted.items()), 20)


def looked_at(house: House) -> Looks:
    looks = Looks(containers=house.containers)
    house.containers.status = looks.status  # type: ignore[method-assign]
    return looks


@both_ways
def test_what_is_at_work_goes_on_whether_the_daemon_is_up_or_away_when_the_clock_is_set(
    state: Path, source: Path, day: float
) -> None:
    agent = held(RIGHT)
    gate = HeldGate(holds=is_base, then=passes_when(RIGHT))
    house = house_of(state, {1: agent}, gate)
    house.clock = clock = SetClock()
    looks = looked_at(house)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        assert gate.reached.wait(20)
        clock.offset_s += day
        looks.again(run_id)
    clock.offset_s += day
    with house.daemon() as foreman:
        looks.times.clear()
        foreman.until(run_id, lambda _: looks.times[f"ash-agent-{run_id}-1"] > 0)
        looks.again("agent")
        agent.release()
        gate.go.set()
        told = foreman.at_rest(run_id)
    assert told["phase"] == "awaiting_review"
    assert [one["ending"] for one in told["tiers_tried"]] == ["completed"]
    assert [one["outcome"] for one in told["verdicts"]] == ["passed", "passed"]
    assert len(started(house, Role.AGENT)) == 1
    assert len(started(house, Role.GATE)) == 2


@both_ways
def test_an_agent_that_hangs_is_stopped_at_its_time_though_the_clock_was_set(
    state: Path, source: Path, day: float
) -> None:
    def hangs(agent: AgentAtWork) -> int:
        says_hello(agent)
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        clock.offset_s += day
        agent.inside.stopping.wait(20)
        return 143

    clock = SetClock(speed=60.0)
    short = (replace(LADDER[0], wall_s=60, idle_s=1000),)
    house = house_of(state, {1: works(hangs)}, passes_when(RIGHT), ladder=short)
    house.clock = clock
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert [one["ending"] for one in told["tiers_tried"]] == ["wall_timeout"]
    assert told["phase"] == "awaiting_review"


@both_ways
def test_a_run_that_waits_goes_on_when_its_time_has_passed_and_tells_that_time_by_the_clock_as_it_is(
    state: Path, source: Path, day: float
) -> None:
    house = house_of(state, {1: writes(RIGHT, **QUOTA), 2: writes(RIGHT)}, passes_when(RIGHT))
    house.clock = clock = SetClock()
    house.model.upstream = UpstreamFailure(status=429, type="rate_limit_error", retry_at=clock.now() + 7200.0)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "waiting"
        clock.offset_s += day
    clock.offset_s += day
    house.model.upstream = None
    with house.daemon() as foreman:
        again = foreman.until(run_id, lambda now: now["next"] != told["next"])
        assert again["phase"] == "waiting", "it was hastened"
        clock.passed_s += 7200.0
        foreman.until(run_id, lambda now: now["phase"] == "awaiting_review")
    assert len(started(house, Role.AGENT)) == 2


def test_checks_that_run_have_their_time_though_the_clock_is_set_forwards(
    state: Path, source: Path, tmp_path: Path
) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT), ci_wait_s=3600.0)
    house.clock = clock = SetClock()
    with local_world(source, tmp_path / "world") as world, world.daemon(house) as foreman:
        world.require("build")
        told = opened(foreman, world)
        world.report(told["head_sha"], "build", CheckState.PENDING)
        seen = foreman.until(told["run_id"], lambda now: now["checks"] and now["ci"] == "running")
        clock.offset_s += DAY_S
        foreman.daemon.service.follower.look(told["run_id"])
        now = foreman.call("status", run_id=told["run_id"])
        assert now["checks_as_of"] > seen["checks_as_of"] + DAY_S / 2
        assert (now["phase"], now["ci"]) == ("ci", "running")
        clock.passed_s += 3600.0
        foreman.until(told["run_id"], lambda now: now["ci"] == "stalled")


def test_a_remark_settles_though_the_clock_was_set_backwards(state: Path, source: Path, tmp_path: Path) -> None:
    house = house_of(state, {1: writes(RIGHT), 2: writes("total = 1  # said\n")}, passes_when("total = 1"))
    house.clock = clock = SetClock()
    house.changes = {"review_settle_s": 60.0}
    with local_world(source, tmp_path / "world") as world, world.daemon(house) as foreman:
        world.require("build")
        told = opened(foreman, world)
        clock.offset_s -= DAY_S
        world.comment(told["pull"]["number"], "Say it.")
        foreman.daemon.service.follower.look(told["run_id"])
        assert foreman.call("status", run_id=told["run_id"])["review_rounds"] == 0
        clock.passed_s += 60.0
        foreman.until(told["run_id"], lambda now: now["review_rounds"] == 1 and now["phase"] == "ci")
