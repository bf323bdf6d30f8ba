"""A daemon that goes and comes back, wherever it was: the same agent, the same end, nothing done twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.adapters.sql_engine import open_engine
from runner.adapters.sql_records import SqlRecords
from runner.facts import Close, Fact, Prepare, Publish, Step, Trouble
from runner.model import RoundInput
from runner.sandboxes import Role
from tests.fakes.behaviours import exits
from tests.story.house import House, git
from tests.story.scenes import (
    GATE,
    RIGHT,
    WRONG,
    Facts,
    HeldGate,
    bare,
    branches,
    held,
    house_of,
    is_base,
    is_head,
    passes_when,
    started,
    writes,
)

LINT = '[[gate]]\nname = "lint"\nrun = "lint"\n'
FACTS_OF_A_CLIMB = [
    "prepare",
    "run_agent",
    "collect",
    "judge_base",
    "judge_head",
    "run_agent",
    "collect",
    "judge_head",
    "publish",
    "close",
]


def once_each(house: House) -> bool:
    return max(Counter(spec.name for spec in house.containers.started).values()) == 1


def events_of(state: Path, run_id: str) -> list[str]:
    engine = open_engine(f"sqlite:///{state}/ashigaru.db")
    try:
        return [f"{event.attempt} {event.summary}" for event in SqlRecords(engine).events(run_id, limit=100)]
    finally:
        engine.dispose()


def test_what_fails_while_the_daemon_leaves_is_nothing_to_wait_for_after_its_return(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    failed, leaving = threading.Event(), [threading.Event()]

    def fails_as_it_leaves(_number: RoundInput, step: Step, fact: Fact) -> None:
        house.containers.down = house.containers.down or isinstance(step, Prepare)
        if isinstance(fact, Trouble):
            leaving[0].set()
            failed.set()

    house.witness = fails_as_it_leaves
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        leaving[0] = foreman.daemon.stopping
        run_id = foreman.work()
        assert failed.wait(20)
    house.witness, house.containers.down = None, False
    with house.daemon() as foreman:
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert once_each(house)


def test_an_agent_under_way_is_adopted_and_its_events_are_read_once(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        foreman.until(run_id, lambda told: told["recent_actions"])
    before = events_of(state, run_id)
    with house.daemon() as foreman:
        assert foreman.call("status", run_id=run_id)["phase"] == "agent"
        agent.release()
        told = foreman.at_rest(run_id)
    assert told["phase"] == "awaiting_review"
    after = events_of(state, run_id)
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1
    assert started(house, Role.AGENT) == [f"ash-agent-{run_id}-1"]
    assert len(branches(state)) == 1


def test_an_agent_that_ended_while_nobody_looked_is_read_and_not_run_again(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
    agent.release()
    with house.daemon() as foreman:
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert once_each(house)


@pytest.mark.parametrize("which", [is_base, is_head])
def test_a_gate_under_way_is_adopted(state: Path, source: Path, which: Callable[[Path], bool]) -> None:
    gate = HeldGate(holds=which, then=passes_when(RIGHT))
    house = house_of(state, {1: writes(RIGHT)}, gate)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert gate.reached.wait(20)
    gate.go.set()
    with house.daemon() as foreman:
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert once_each(house)
    assert len(started(house, Role.GATE)) == 2


def test_of_two_gates_the_one_that_ended_before_a_restart_is_not_run_again(state: Path, source: Path) -> None:
    (source / ".ashigaru.toml").write_text(GATE + LINT, encoding="utf-8")
    git(source, "commit", "--quiet", "--all", "-m", "two gates")
    second = HeldGate(holds=is_head, then=passes_when(RIGHT))
    first = passes_when(RIGHT)
    house = house_of(
        state, {1: writes(RIGHT)}, lambda inside: (second if "lint" in inside.spec.command[-1] else first)(inside)
    )
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert second.reached.wait(20)
    second.go.set()
    with house.daemon() as foreman:
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert once_each(house)
    assert len(started(house, Role.GATE)) == 4


@pytest.mark.parametrize("crash_at", range(1, len(FACTS_OF_A_CLIMB) + 1))
def test_a_crash_before_any_fact_is_recorded_changes_nothing_about_the_end(
    state: Path, source: Path, crash_at: int
) -> None:
    facts = Facts(crash_at=crash_at)
    house = house_of(state, {1: writes(WRONG), 2: writes(RIGHT)}, passes_when(RIGHT))
    house.witness = facts
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert facts.crashed.wait(20)
    with house.daemon() as foreman:
        told = foreman.at_rest(run_id)
        assert told["phase"] == "awaiting_review"
        assert [tried["verdict"] for tried in told["tiers_tried"]] == ["failed", "passed"]
        assert told["tier"] == "large"
        assert told["pull"]["number"] == 1
        assert list(branches(state).values()) == [told["head_sha"]]
        answer = foreman.call("promote", repo="widgets", pr=1, head_sha=told["head_sha"])
        assert answer["promoted"], answer
    kinds = [step.kind for _, step, _ in facts.seen]
    assert kinds[:crash_at] == FACTS_OF_A_CLIMB[:crash_at]
    assert kinds[crash_at:] == FACTS_OF_A_CLIMB[crash_at - 1 :]
    assert once_each(house)
    assert len(started(house, Role.AGENT)) == 2
    assert git(bare(state), "rev-list", "--count", "main") == "2"
    assert house.containers.faults == []
    assert house.containers.listing() == ()


def test_a_crash_between_publishing_and_closing_opens_no_second_pull_request(state: Path, source: Path) -> None:
    facts = Facts(crash_at=6)
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    house.witness = facts
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert facts.crashed.wait(20)
        assert isinstance(facts.seen[-1][1], Publish)
    with house.daemon() as foreman:
        told = foreman.at_rest(run_id)
        assert told["pull"]["number"] == 1
        assert foreman.daemon.forge.pull("widgets", 2) is None
    assert isinstance(facts.seen[-1][1], Close)


def test_an_agent_whose_sandbox_is_gone_after_a_restart_is_tried_again_at_the_same_tier(
    state: Path, source: Path
) -> None:
    agent = held(WRONG)
    house = house_of(state, {1: agent, 2: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
    house.containers.remove(f"ash-agent-{run_id}-1")
    with house.daemon() as foreman:
        told = foreman.at_rest(run_id)
    assert [(tried["tier"], tried["ending"]) for tried in told["tiers_tried"]] == [
        ("small", "vanished"),
        ("small", "completed"),
    ]
    assert once_each(house)


def test_a_red_base_found_before_a_crash_starts_no_agent_after_it(state: Path, source: Path) -> None:
    facts = Facts(crash_at=2)
    agent = held(RIGHT)
    gate = HeldGate(holds=is_base, then=exits(1))
    house = house_of(state, {1: agent}, gate)
    house.witness = facts
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        gate.go.set()
        assert facts.crashed.wait(20)
    with house.daemon() as foreman:
        assert foreman.at_rest(run_id)["phase"] == "blocked"
    assert len(started(house, Role.AGENT)) == 1
