"""The pod around a sandbox that is not alone: its namespace, its relay and its services."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import podman.errors
from podman import PodmanClient
from podman.domain.containers import Container

from runner.adapters.podman_faults import short
from runner.adapters.podman_payloads import infra_name, pod_arguments, pod_name
from runner.adapters.podman_races import create_container, create_pod, despite_races, start_anyway
from runner.errors import SandboxFault
from runner.sandbox import LABEL_RUN
from runner.sandboxes import Role, SandboxSpec

RELAY_READY = b"ready"
RELAY_WAIT_S = 10.0
POLL_S = 0.005

NEVER_STARTED = frozenset({"created", "configured", "initialized"})
RUNNING = frozenset({"running", "paused", "stopping", "restarting"})


def find(client: PodmanClient, name: str) -> Container | None:
    """The container of that name, if it is there."""
    try:
        return despite_races(lambda: client.containers.get(name))
    except podman.errors.NotFound:
        return None


def printed(container: Container) -> Iterator[bytes]:
    """Frame by frame what the container has printed so far."""
    frames: Iterator[bytes] = container.logs(stream=True, follow=False)  # type: ignore[assignment] # as it streams
    return frames


def ours(found: Container, spec: SandboxSpec) -> None:
    """Nothing. Raises SandboxFault where the container is not this run's."""
    if found.labels.get(LABEL_RUN) != dict(spec.labels).get(LABEL_RUN):
        raise foreign(spec.name)


def foreign(name: str) -> SandboxFault:
    """That the name is taken by somebody else."""
    return SandboxFault(f"A container named {name} is there that is not ours; remove it and try again.")


def have_pod(client: PodmanClient, spec: SandboxSpec) -> None:
    """A pod with nothing but loopback is there."""
    pod = pod_name(spec.name)
    if client.pods.exists(pod):
        labels = client.pods.get(pod).attrs.get("Labels") or {}
        if labels.get(LABEL_RUN) != dict(spec.labels).get(LABEL_RUN):
            raise foreign(spec.name)
        if client.containers.exists(infra_name(spec.name)):
            return
        client.pods.remove(pod, force=True)  # the service ended between making the pod and what holds it
    create_pod(client, pod_arguments(spec))


def start_member(client: PodmanClient, member: SandboxSpec, arguments: Callable[[], dict[str, Any]]) -> Container:
    """The relay or a service, made with `arguments` where it is not there. A service is started once, a relay again."""
    found = find(client, member.name)
    if found is None:
        found = create_container(client, arguments())
    ours(found, member)
    if found.status in NEVER_STARTED or (member.role is Role.RELAY and found.status not in RUNNING):
        start_anyway(found)
    return found


def await_relay(relay: Container, name: str) -> None:
    """The relay of the sandbox `name` listens: one that started before it would find its ports closed."""
    deadline = time.monotonic() + RELAY_WAIT_S
    while True:
        despite_races(relay.reload)  # first: what it said in the end is among what is read now
        said = b"".join(printed(relay))
        if RELAY_READY in said.split(b"\n"):
            return
        if relay.status not in RUNNING or time.monotonic() >= deadline:
            told = short(said.decode("utf-8", "replace"))
            raise SandboxFault(f"The relay of {name} did not come up; it said: {told}")
        time.sleep(POLL_S)
