"""Sandboxes made before they are due: a convenience that is never in the way."""

from __future__ import annotations

import threading

from runner.ahead import Ahead
from runner.errors import ImageMissing
from runner.sandbox import Owner, gate_name, gate_spec
from runner.sandboxes import RunState, SandboxSpec
from tests.fakes.behaviours import exits
from tests.fakes.containers import FakeContainers

NAME = gate_name("r1", "g", 1)


class Readied(FakeContainers):
    """Remembers what it was to make ready."""

    def __init__(self) -> None:
        super().__init__(lambda _: exits())
        self.readied: list[str] = []

    def ready(self, spec: SandboxSpec) -> None:
        super().ready(spec)
        self.readied.append(spec.name)


def spec_on(containers: FakeContainers, run_id: str = "r1") -> SandboxSpec:
    image = containers.image_id("localhost/ashigaru/gate:latest")
    return gate_spec(
        owner=Owner(run_id=run_id, attempt=1, host="h"),
        what="g",
        take=1,
        image=image,
        tree="/t",
        out_dir="/o",
        script="true",
    )


def test_what_was_made_is_taken_once() -> None:
    containers = Readied()
    ahead = Ahead(containers=containers)
    spec = spec_on(containers)
    ahead.begin("r1", NAME, lambda: spec)
    assert ahead.begun(NAME)
    assert ahead.take(NAME) == spec
    assert not ahead.begun(NAME)
    assert ahead.take(NAME) is None
    assert containers.readied == [NAME]


def test_it_is_begun_once_however_often_it_is_asked_for() -> None:
    containers = Readied()
    ahead = Ahead(containers=containers)
    for _ in range(3):
        ahead.begin("r1", NAME, lambda: spec_on(containers))
    assert ahead.take(NAME) is not None
    assert containers.readied == [NAME]


def test_what_an_interrupted_try_left_goes_first() -> None:
    containers = Readied()
    spec = spec_on(containers)
    containers.start(spec)
    ahead = Ahead(containers=containers)
    ahead.begin("r1", NAME, lambda: spec)
    assert ahead.take(NAME) == spec
    assert containers.status(NAME).state is RunState.ABSENT


def test_what_cannot_be_made_ahead_is_left_to_be_made_when_it_is_due() -> None:
    containers = Readied()

    def no_image() -> SandboxSpec:
        raise ImageMissing("A sandbox's image is not on this host; build the images and try again.")

    ahead = Ahead(containers=containers)
    ahead.begin("r1", NAME, no_image)
    assert ahead.take(NAME) is None


def test_a_run_is_settled_when_nothing_is_being_made_for_it() -> None:
    containers = Readied()
    goes_on = threading.Event()

    def slow() -> SandboxSpec:
        assert goes_on.wait(20.0)
        return spec_on(containers)

    ahead = Ahead(containers=containers)
    ahead.begin("r1", NAME, slow)
    ahead.begin("r2", gate_name("r2", "g", 1), lambda: spec_on(containers, "r2"))
    settler = threading.Thread(target=ahead.settle, args=("r1",), daemon=True)
    settler.start()
    goes_on.set()
    settler.join(20.0)
    assert NAME in containers.readied
    assert not ahead.begun(NAME)
    assert ahead.take(gate_name("r2", "g", 1)) is not None
