"""What nobody looks after: sandboxes without a record, records without a round, slots without work."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from mcp_ashigaru.state_dir import host_label
from runner.errors import RecordsFault
from runner.sandbox import Owner, gate_name, gate_spec
from runner.sandboxes import Role
from runner.sweeping import Sweep
from tests.fakes.behaviours import runs_until_stopped
from tests.fakes.containers import FakeContainers
from tests.story.house import House
from tests.story.scenes import RIGHT, held, house_of, passes_when, started, writes

pytestmark = pytest.mark.slow


def stray(containers: FakeContainers, run_id: str, host: str, tree: Path) -> str:
    """A gate's sandbox of that run and host, running; its name."""
    spec = gate_spec(
        owner=Owner(run_id=run_id, attempt=1, host=host),
        what="stray",
        take=1,
        image=containers.image_id("localhost/ashigaru/gate:latest"),
        tree=str(tree),
        out_dir=str(tree),
        script="true",
    )
    containers.start(spec)
    return spec.name


def on_shared_podman(house: House) -> FakeContainers:
    """The daemon sees what is its own, as on real podman; the whole engine is returned."""
    everything = house.containers
    house.containers = everything.seen_by(host_label(house.state, "here"), "here")
    return everything


def left(everything: FakeContainers) -> list[str]:
    return [one.name for one in everything.listing()]


def test_a_sandbox_of_ours_that_no_record_knows_is_gone_and_a_neighbours_is_left(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, runs_until_stopped)
    everything = on_shared_podman(house)
    ours = host_label(state, "here")
    hosts = (ours, "here", "here-0123")
    strays = {host: stray(everything, f"run-{number}", host, source) for number, host in enumerate(hosts)}
    with house.daemon() as foreman:
        assert left(everything) == sorted([strays["here"], strays["here-0123"]])
        foreman.daemon.forge.add(str(source), "widgets")
    assert started(house, Role.AGENT) == []


def test_two_daemons_of_one_name_on_one_podman_leave_each_other_alone(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    everything = on_shared_podman(house)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        neighbour = everything.seen_by(host_label(state / "neighbour", "here"), "here")
        assert neighbour.listing() == ()
        assert f"ash-agent-{run_id}-1" in [one.name for one in house.containers.listing(run_id)]
        agent.release()
        foreman.at_rest(run_id)


def test_a_sandbox_that_an_older_version_labelled_goes_with_its_run(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    everything = on_shared_podman(house)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        older = stray(everything, run_id, "here", source)
        agent.release()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert older == gate_name(run_id, "stray", 1)
    assert left(everything) == []


def test_rounds_that_the_engine_does_not_know_any_more_are_worked_at_work_and_queued_alike(
    state: Path, source: Path
) -> None:
    """The engine's tables are gone, as where only the records were restored."""
    agent = held(RIGHT)
    house = house_of(state, {1: agent, 2: writes(RIGHT)}, passes_when(RIGHT), slots=1)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id, queued = foreman.work(), foreman.work(issue=2)
        assert agent.reached.wait(20)
    for file in state.glob("engine.db*"):
        file.unlink()
    with house.daemon() as foreman:
        agent.release()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
        assert foreman.at_rest(queued)["phase"] == "awaiting_review"
    assert len(started(house, Role.AGENT, queued)) == 1


def test_a_slot_whose_round_is_over_is_the_next_ones(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT), slots=1)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        agent.release()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    with closing(sqlite3.connect(state / "ashigaru.db")) as db:
        # As a crash leaves it that comes between the round's end and the slot's.
        db.execute("insert into slots (host, slot, run_id, number, since) values ('here', 1, ?, 1, 1.0)", (run_id,))
        db.commit()
    with house.daemon() as foreman:
        assert foreman.at_rest(foreman.work(issue=2))["phase"] == "awaiting_review"


def test_the_sweep_comes_again_and_again_whatever_it_meets() -> None:
    looks: list[int] = []
    enough = threading.Event()

    def look() -> None:
        looks.append(len(looks))
        if len(looks) == 1:
            raise RecordsFault("The disk is full.")
        if len(looks) == 2:
            raise ValueError("a fault of ours")
        enough.set()

    sweep = Sweep(look=look, every_s=0.001)
    sweep.start()
    assert enough.wait(20)
    sweep.close(5.0)
    seen = len(looks)
    assert len(looks) == seen
