"""An engine of containers that is away, or whose library fails; none of it needs podman."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from socket import AF_UNIX, socket

import podman.errors
import pytest
import requests.exceptions

from runner.adapters.podman_containers import PodmanContainers
from runner.adapters.podman_faults import FAULTS, translate
from runner.errors import EngineDown, RunnerError
from runner.ports import Containers
from runner.sandbox import Owner, setup_spec
from runner.sandboxes import SandboxSpec
from tests.fakes.behaviours import exits
from tests.fakes.containers import FakeContainers


def calls(spec: SandboxSpec) -> dict[str, Callable[[Containers], object]]:
    return {
        "image_id": lambda containers: containers.image_id("x"),
        "start": lambda containers: containers.start(spec),
        "status": lambda containers: containers.status(spec.name),
        "output": lambda containers: containers.output(spec.name, 1),
        "stop": lambda containers: containers.stop(spec.name, 1),
        "remove": lambda containers: containers.remove(spec.name),
        "listing": lambda containers: containers.listing(),
    }


SPEC = setup_spec(
    owner=Owner(run_id="r", attempt=0, host="h"),
    key="k",
    image="0" * 64,
    relay_image="1" * 64,
    tree="/t",
    env_dir="/e",
    socket_dir="/s",
    script="true",
)


@pytest.mark.parametrize("call", calls(SPEC))
def test_an_engine_that_is_not_there_is_down(call: str, tmp_path: Path) -> None:
    fake = FakeContainers(lambda _spec: exits())
    fake.down = True
    for containers in (fake, PodmanContainers(f"unix://{tmp_path}/nobody.sock", timeout_s=5)):
        with pytest.raises(EngineDown):
            calls(SPEC)[call](containers)


def test_an_engine_that_never_answers_is_down(tmp_path: Path) -> None:
    with socket(AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        with pytest.raises(EngineDown):
            PodmanContainers(f"unix://{tmp_path}/s", timeout_s=0.1).status("ash-x")


def faults(module: object) -> list[type[Exception]]:
    members = (member for _, member in inspect.getmembers(module, inspect.isclass))
    return [member for member in members if issubclass(member, Exception)]


@pytest.mark.parametrize("kind", [*faults(podman.errors), *faults(requests.exceptions)])
def test_every_fault_of_the_library_is_translated(kind: type[Exception]) -> None:
    if issubclass(kind, Warning):
        return
    assert issubclass(kind, FAULTS)
    fault = kind.__new__(kind)  # their constructors all differ
    Exception.__init__(fault, "x")
    fault.__dict__.update(response=None, explanation="x")
    said = translate(fault)
    assert isinstance(said, RunnerError)
    assert "\n" not in str(said)
