"""The base is judged first, once, and a red one blocks the run before it costs anything more."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from runner.sandboxes import Role
from tests.fakes.behaviours import Ended, Inside, exits, judges
from tests.story.house import git, repository
from tests.story.scenes import (
    GATE,
    RIGHT,
    WRONG,
    HeldGate,
    branches,
    held,
    house_of,
    is_base,
    passes_when,
    started,
    writes,
)


def test_a_red_base_blocks_the_run_and_stops_the_agent_that_was_started_beside_it(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    gate = HeldGate(holds=is_base, then=exits(1, b"main is broken\n"))
    house = house_of(state, {1: agent, 2: writes(RIGHT)}, gate)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        gate.go.set()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "blocked"
        assert "The base is red" in told["reason"]
        assert "gate test exited 1" in told["reason"]
        assert house.containers.listing() == ()
        assert branches(state) == {}
        assert foreman.work() != run_id, "the claim was not released"
    assert started(house, Role.AGENT, run_id) == [f"ash-agent-{run_id}-1"]


def test_the_base_is_judged_once_though_the_agent_takes_three_attempts(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(WRONG), 2: writes("total = 3\n"), 3: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        assert foreman.at_rest(foreman.work())["phase"] == "awaiting_review"
    assert len(started(house, Role.GATE, "base-")) == 1
    assert len(started(house, Role.GATE, "head-")) == 3


def test_two_runs_at_once_on_one_base_share_its_verdict(state: Path, source: Path) -> None:
    gate = HeldGate(holds=is_base, then=passes_when(RIGHT))
    first, second = held(RIGHT), held(RIGHT)
    turn = itertools.count()

    def agent(inside: Inside) -> Ended:
        return (first, second)[next(turn)](inside)

    house = house_of(state, {1: agent}, gate)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        runs = [foreman.work(issue=1), foreman.work(issue=2)]
        assert first.reached.wait(20)
        assert second.reached.wait(20)
        gate.go.set()
        first.release()
        second.release()
        assert [foreman.at_rest(run_id)["phase"] for run_id in runs] == ["awaiting_review"] * 2
    assert len(started(house, Role.GATE, "base-")) == 1


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"total.py": "total = 0\n"}, "has no gate"),
        ({"total.py": "total = 0\n", ".ashigaru.toml": "[[gate]]\nname = 3\n"}, "gate.1.name"),
        ({"total.py": "total = 0\n", ".ashigaru.toml": "gate ="}, "not valid TOML"),
    ],
)
def test_a_base_without_a_gate_that_works_blocks_with_the_cure_before_an_agent_is_paid_for(
    state: Path, tmp_path: Path, files: dict[str, str], told: str
) -> None:
    house = house_of(state, {}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(repository(tmp_path / "bad", files)), "widgets")
        seen = foreman.at_rest(foreman.work())
    assert seen["phase"] == "blocked"
    assert told in seen["reason"]
    assert house.containers.started == []


def test_the_gates_are_those_of_the_base_whatever_the_branch_says(state: Path, source: Path) -> None:
    (source / ".ashigaru.toml").write_text(GATE.replace("check", "check --strictly"), encoding="utf-8")
    git(source, "commit", "--quiet", "--all", "-m", "second")
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        assert foreman.at_rest(foreman.work())["phase"] == "awaiting_review"
    gates = [spec for spec in house.containers.started if spec.role is Role.GATE]
    assert len(gates) == 2
    assert all("check --strictly" in " ".join(spec.command) for spec in gates)


def test_a_base_that_no_gate_can_judge_is_tried_a_few_times_and_then_blocks(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, judges(lambda _tree, _out: (127, b"check: not found\n")))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        seen = foreman.at_rest(foreman.work())
    assert seen["phase"] == "blocked"
    assert "could not judge the base" in seen["reason"]
    assert len(started(house, Role.GATE, "base-")) == 3
    assert len(started(house, Role.AGENT)) == 1
