"""Every recipe, looked at from inside: by the probe and the assertions that `doctor --self-test` uses too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from podman import PodmanClient

from runner.adapters import podman_containers
from runner.adapters.podman_payloads import container_arguments
from runner.sandboxes import SandboxSpec
from runner.seal.assertions import Host, Looked, Result, broken, judged, secrets_in
from runner.seal.looking import PLACEHOLDER, Seen, look
from runner.seal.places import Place
from runner.seal.self_test import clear
from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.scenes import OWNER

pytestmark = pytest.mark.podman


@contextmanager
def looked(lab: PodmanLab, place: Place) -> Iterator[tuple[Seen, Looked]]:
    """What was seen there, while the sandbox can still be asked about."""
    ground = lab.ground(OWNER)
    found = look(ground, place)
    try:
        host = Host.told(lab.info())
        yield found, Looked(place=place, seen=found.seen, bounds=found.bounds, host=host, secrets=("another's secret",))
    finally:
        clear(ground)


@pytest.mark.parametrize("place", Place, ids=lambda place: str(place.value))
def test_every_recipe_is_sealed(podman_host: PodmanLab, place: Place) -> None:
    with looked(podman_host, place) as (found, there):
        assert [one for one in judged(there) if one.result is Result.BROKEN] == []
        assert PLACEHOLDER not in spoken_of(podman_host, found.spec)


def test_what_holds_a_pod_together_does_nothing(podman_host: PodmanLab) -> None:
    with looked(podman_host, Place.HOLDER) as (found, _):
        assert found.seen["first"]["caps"][2] == 0
        assert {text for path, text in found.seen["said"].items() if path == "/proc/1/cmdline"} == {
            "/bin/sleep\0infinity\0"
        }


def test_an_agents_placeholder_is_in_its_own_process_alone(podman_host: PodmanLab) -> None:
    with looked(podman_host, Place.AGENT) as (found, _):
        places = secrets_in(found.seen, PLACEHOLDER)
        assert places
        assert "/proc/1/environ" not in places
        assert not [path for path in places if path.endswith("cmdline")]


def spoken_of(lab: PodmanLab, spec: SandboxSpec) -> str:
    """Everything that podman tells of the sandbox and its pod when asked, the logs of those beside it among it."""
    parts = []
    with PodmanClient(base_url=lab.url, timeout=30) as client:
        for found in client.containers.list(all=True, filters={"label": f"ashigaru.run={OWNER.run_id}"}):
            parts.append(json.dumps(client.containers.get(found.id).attrs))
            if found.name != spec.name:
                parts.extend(piece.decode("utf-8", "replace") for piece in found.logs(stream=True, follow=False))
        parts.extend(json.dumps(pod.attrs) for pod in client.pods.list())
    return "\n".join(parts)


def unconfined(asked: dict[str, Any]) -> dict[str, Any]:
    return asked | {"seccomp_profile_path": "unconfined"}


def podmans_own_filter(asked: dict[str, Any]) -> dict[str, Any]:
    return asked | {"seccomp_profile_path": "/usr/share/containers/seccomp.json"}


def with_capabilities(asked: dict[str, Any]) -> dict[str, Any]:
    return asked | {"cap_drop": []}


def with_new_privileges(asked: dict[str, Any]) -> dict[str, Any]:
    return asked | {"no_new_privileges": False}


def with_a_writable_root(asked: dict[str, Any]) -> dict[str, Any]:
    return asked | {"read_only": False}


def with_a_network(asked: dict[str, Any]) -> dict[str, Any]:
    return asked | {"network_mode": "host"}


def as_root(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name != "userns_mode"}


def shown_the_neighbours(asked: dict[str, Any]) -> dict[str, Any]:
    home = str(Path(next(iter(asked["volumes"]))).parent)
    return asked | {"volumes": asked["volumes"] | {home: {"bind": "/mnt", "mode": "ro"}}}


TAKEN_OUT: dict[Callable[[dict[str, Any]], dict[str, Any]], str] = {
    unconfined: "seccomp filters",
    podmans_own_filter: "no right of the kernel's",
    with_capabilities: "no capability, not even in the bounding set",
    with_new_privileges: "no new privileges",
    with_a_writable_root: "the root is read-only",
    with_a_network: "loopback is the only interface",
    as_root: "never root",
    shown_the_neighbours: "no other run's file",
}


@pytest.mark.parametrize("without", TAKEN_OUT, ids=lambda without: str(without.__name__))
def test_a_defence_that_is_taken_out_is_missed(
    podman_host: PodmanLab, without: Callable[[dict[str, Any]], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def weakened(spec: SandboxSpec, **also: Any) -> dict[str, Any]:
        return without(container_arguments(spec, **also))

    monkeypatch.setattr(podman_containers, "container_arguments", weakened)
    with looked(podman_host, Place.GATE) as (_, there):
        assert TAKEN_OUT[without] in broken(there)
