"""A gate's sandbox is made while the agent is at work: nothing runs before there is a tree, and nothing is left."""

from __future__ import annotations

import threading
from pathlib import Path

from runner.sandboxes import Role, SandboxSpec
from tests.fakes.behaviours import Held
from tests.fakes.containers import IMAGES, FakeContainers
from tests.story.house import House
from tests.story.scenes import RIGHT, held, passes_when, started

GATE_IMAGE = IMAGES[2]
NEWER = "localhost/ashigaru/gate:newer"


class Watched(FakeContainers):
    """Tells when a gate has been made ready. newer: the name of the gate's image stands for another one now."""

    def __init__(self, agent: Held) -> None:
        gate = passes_when(RIGHT)
        super().__init__(lambda spec: agent if spec.role is Role.AGENT else gate, images=(*IMAGES, NEWER))
        self.gate_made = threading.Event()
        self.newer = False

    def ready(self, spec: SandboxSpec) -> None:
        super().ready(spec)
        if spec.role is Role.GATE:
            self.gate_made.set()

    def image_id(self, reference: str) -> str:
        return super().image_id(NEWER if self.newer and reference == GATE_IMAGE else reference)


def heads(house: House) -> list[SandboxSpec]:
    """The gates that have run on a head."""
    return [spec for spec in house.containers.started if spec.role is Role.GATE and "head" in spec.name]


def test_a_gate_is_made_beside_the_agent_and_runs_when_there_is_a_tree(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    containers = Watched(agent)
    house = House(state=state, containers=containers)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert containers.gate_made.wait(20)
        assert agent.reached.wait(20)
        made = [name for name in containers.made if "gate" in name]
        assert heads(house) == []
        agent.release()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert [spec.name for spec in heads(house)] == made
    assert containers.made == {}


def test_a_gate_that_was_made_for_another_image_is_made_anew(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    containers = Watched(agent)
    house = House(state=state, containers=containers)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert containers.gate_made.wait(20)
        assert agent.reached.wait(20)
        containers.newer = True
        agent.release()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert [spec.image for spec in heads(house)] == [containers.image_id(NEWER)]


def test_a_gate_whose_agent_was_cancelled_is_not_left(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    containers = Watched(agent)
    house = House(state=state, containers=containers)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert containers.gate_made.wait(20)
        foreman.call("cancel", run_id=run_id)
        foreman.until(run_id, lambda told: told["phase"] == "cancelled")
        agent.release()
    assert heads(house) == []
    assert containers.made == {}


def test_a_daemon_that_comes_back_makes_the_gate_anew(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    containers = Watched(agent)
    house = House(state=state, containers=containers)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert containers.gate_made.wait(20)
        assert agent.reached.wait(20)
    assert containers.made
    containers.newer = True
    with house.daemon() as foreman:
        agent.release()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert [spec.image for spec in heads(house)] == [containers.image_id(NEWER)]
    assert len(started(house, Role.AGENT)) == 1
    assert containers.made == {}
