"""Services beside a gate, through the whole daemon: allowed or not, alive or not."""

from __future__ import annotations

from pathlib import Path

from runner.sandboxes import Role, RunState, SandboxSpec
from tests.fakes.behaviours import Behaviour, Ended, Inside, exits, runs_until_stopped
from tests.fakes.containers import IMAGES, FakeContainers
from tests.story.house import House, repository
from tests.story.scenes import FILES, RIGHT, passes_when, started, writes

DB = "localhost/services/db:1"
SERVED = FILES | {
    ".ashigaru.toml": f'[[gate]]\nname = "test"\nrun = "check"\n[[service]]\nname = "db"\nimage = "{DB}"\n'
}


def house_with(state: Path, service: Behaviour, gate: Behaviour, **changes: object) -> House:
    def behaviour(spec: SandboxSpec) -> Behaviour:
        return {Role.AGENT: writes(RIGHT), Role.SERVICE: service}.get(spec.role, gate)

    return House(state=state, containers=FakeContainers(behaviour, images=(*IMAGES, DB)), changes=dict(changes))


def test_a_service_that_the_operator_does_not_allow_blocks_the_run_before_anything_starts(
    state: Path, tmp_path: Path
) -> None:
    house = house_with(state, runs_until_stopped, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(repository(tmp_path / "w", SERVED)), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "blocked"
    assert "ASHIGARU_SERVICE_IMAGES" in told["reason"]
    assert house.containers.started == []


def test_a_gate_has_its_service_and_both_are_gone_afterwards(state: Path, tmp_path: Path) -> None:
    house = house_with(state, runs_until_stopped, passes_when(RIGHT), service_images=("localhost/services/*",))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(repository(tmp_path / "w", SERVED)), "widgets")
        told = foreman.at_rest(foreman.work())
        assert told["phase"] == "awaiting_review", told
    assert len(started(house, Role.SERVICE)) == len(started(house, Role.GATE)) == 2
    assert house.containers.listing() == ()


def test_a_service_that_ended_burns_no_tier(state: Path, tmp_path: Path) -> None:
    house = house_with(state, exits(1, b"no space left\n"), exits(1, b"connection refused\n"), service_images=("*",))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(repository(tmp_path / "w", SERVED)), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "blocked"
    assert {one["outcome"] for one in told["verdicts"]} == {"inconclusive"}
    assert "no space left" in told["reason"]
    assert len(told["tiers_tried"]) <= 1


def test_the_services_of_a_gate_do_not_run_on_beside_the_next(state: Path, tmp_path: Path) -> None:
    beside: list[int] = []

    def counts(inside: Inside) -> Ended:
        served = {service.name for spec in house.containers.started for service in spec.services}
        beside.append(sum(house.containers.status(name).state is RunState.RUNNING for name in served))
        return passes_when(RIGHT)(inside)

    house = house_with(state, runs_until_stopped, counts, service_images=(DB,), gates_side_by_side=1)
    twice = SERVED[".ashigaru.toml"] + '[[gate]]\nname = "more"\nrun = "check"\n'
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(repository(tmp_path / "w", SERVED | {".ashigaru.toml": twice})), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "awaiting_review", told
    assert beside == [1, 1, 1, 1]


def test_a_green_gate_whose_service_ended_is_not_believed(state: Path, tmp_path: Path) -> None:
    house = house_with(state, exits(1, b"no space left\n"), exits(0, b"skipped: no database\n"), service_images=(DB,))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(repository(tmp_path / "w", SERVED)), "widgets")
        told = foreman.at_rest(foreman.work())
    assert {one["outcome"] for one in told["verdicts"]} == {"inconclusive"}
    assert "service db ended; its last words: no space left" in told["reason"]
