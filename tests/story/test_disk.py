"""A disk that fills: what a sandbox writes is bounded, the host's room is kept, and either is told as what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.sandboxes import Role
from tests.fakes.behaviours import AgentAtWork, Behaviour, Ended, Inside, works
from tests.story.house import Foreman
from tests.story.scenes import RIGHT, WRONG, branches, house_of, is_base, passes_when, says_hello, started, writes

MIB = 1024 * 1024
SMALL: dict[str, Any] = {"sandbox_disk": MIB, "sandbox_files": 1000}
ABSURD = 2**60


def fills(text: str) -> Behaviour:
    """An agent that writes `text`, and then more than it may, until it is stopped."""

    def work(agent: AgentAtWork) -> int:
        says_hello(agent)
        (agent.tree / "total.py").write_text(text, encoding="utf-8")
        (agent.inside.out / "large").write_bytes(b"x" * 3 * MIB)
        agent.inside.stopping.wait(20)
        return 143

    return works(work)


def hasten(foreman: Foreman, run_id: str) -> None:
    """What the passing of time does."""
    service = foreman.daemon.service
    service._rounds.hasten(run_id, service._known(run_id).round)


def test_an_agent_that_fills_its_disk_is_killed_and_what_it_did_is_judged(state: Path, source: Path) -> None:
    house = house_of(state, {1: fills(RIGHT)}, passes_when(RIGHT), **SMALL)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert [(tried["ending"], tried["verdict"]) for tried in told["tiers_tried"]] == [("disk_limit", "passed")]
    assert told["phase"] == "awaiting_review"


def test_a_tier_that_filled_its_disk_is_told_of_to_the_next(state: Path, source: Path) -> None:
    prompts: list[str] = []

    def second(agent: AgentAtWork) -> None:
        prompts.append(agent.prompt)
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        agent.result()

    house = house_of(state, {1: fills(WRONG), 2: works(second)}, passes_when(RIGHT), **SMALL)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        assert foreman.at_rest(foreman.work())["phase"] == "awaiting_review"
    assert "it used more of the disk than it may" in prompts[0]


def test_a_gate_that_fills_its_disk_is_killed_and_says_no(state: Path, source: Path) -> None:
    def gate(inside: Inside) -> Ended:
        if is_base(inside.tree):
            return Ended(code=0)
        (inside.tree / "large").write_bytes(b"x" * 3 * MIB)
        inside.stopping.wait(20)
        return Ended(code=0)

    house = house_of(state, {number: writes(RIGHT) for number in (1, 2, 3)}, gate, **SMALL)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "escalated"
    assert "wrote more than 1 MiB to its disk" in told["reason"]


def test_a_gate_that_has_filled_its_disk_and_left_with_0_is_no_pass(state: Path, source: Path) -> None:
    def gate(inside: Inside) -> Ended:
        if not is_base(inside.tree):
            (inside.tree / "large").write_bytes(b"x" * 30 * MIB)
        return Ended(code=0)

    house = house_of(state, {number: writes(RIGHT) for number in (1, 2, 3)}, gate, **SMALL)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "escalated"


def test_below_the_floor_no_round_starts_and_the_run_waits_and_says_why(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT), disk_floor=ABSURD)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "waiting"
        assert "The host's disk has" in told["reason"]
        assert house.containers.started == []
    house.changes["disk_floor"] = 0
    with house.daemon() as foreman:
        hasten(foreman, run_id)
        foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
    assert len(started(house, Role.AGENT)) == 1
    assert len(branches(state)) == 1
