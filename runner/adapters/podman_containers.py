"""Sandboxes by rootless podman: `runner.ports.Containers` through podman-py, and the only place that imports it.

Every sandbox is hardened here, whatever its recipe says. Each call uses a client of its own, so that one adapter may
be used from many threads.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import podman.errors
from podman import PodmanClient
from podman.domain.containers import Container

from runner.adapters.podman_faults import FAULTS, NO_IMAGE, short, translate
from runner.adapters.podman_payloads import container_arguments, pod_arguments, pod_name, relay_name
from runner.adapters.podman_races import despite_races, start_anyway
from runner.errors import EngineDown, ImageMissing, SandboxFault
from runner.sandbox import LABEL_ROLE, LABEL_RUN
from runner.sandboxes import Role, RunState, SandboxListing, SandboxSpec, SandboxStatus

RELAY_READY = b"ready"
RELAY_WAIT_S = 10.0
POLL_S = 0.005

_NEVER_STARTED = frozenset({"created", "configured", "initialized"})
_RUNNING = frozenset({"running", "paused", "stopping", "restarting"})
_GONE = (HTTPStatus.NOT_FOUND,)
_GONE_OR_SETTLED = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.NOT_MODIFIED)


class PodmanContainers:
    """The sandboxes of the podman service at `url` ("unix:///…/podman.sock")."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        """Wait at most `timeout_s` for each answer of the service."""
        self._url = url
        self._timeout_s = timeout_s
        self._listening: dict[str, str] = {}
        """The relays that were heard to listen, by sandbox, until that is removed."""
        self._making = tuple(threading.Lock() for _ in range(64))

    @contextmanager
    def _one_at_a_time(self, name: str) -> Iterator[None]:
        """No other thread makes or removes a sandbox of that name: one takes podman several calls."""
        lock = self._making[hash(name) % len(self._making)]
        if not lock.acquire(timeout=4 * self._timeout_s):
            raise EngineDown("Podman is slow to start or remove a sandbox; see what holds it up and try again.")
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _client(self) -> Iterator[PodmanClient]:
        try:
            self._knock()
            with PodmanClient(base_url=self._url, timeout=self._timeout_s) as client:
                yield client
        except FAULTS as fault:
            raise translate(fault) from fault

    def _knock(self) -> None:
        """Raise OSError where nobody listens: podman-py would leave its socket open when it cannot connect."""
        path = self._url.removeprefix("unix://")
        if path != self._url:
            with socket.socket(socket.AF_UNIX) as door:
                door.settimeout(self._timeout_s)
                door.connect(path)

    def image_id(self, reference: str) -> str:
        """As `Containers.image_id` promises."""
        with self._client() as client:
            return str(client.images.get(reference).id)

    def ready(self, spec: SandboxSpec) -> None:
        """As `Containers.ready` promises."""
        with self._one_at_a_time(spec.name), self._client() as client:
            found = _find(client, spec.name)
            if found is not None:
                return _ours(found, spec)
            self._create(client, spec)
            return self._have_relay(client, spec) if spec.relay is not None else None

    def start(self, spec: SandboxSpec) -> bool:
        """As `Containers.start` promises."""
        with self._one_at_a_time(spec.name), self._client() as client:
            found = _find(client, spec.name)
            if found is not None:
                _ours(found, spec)
            if found is None or found.status in _NEVER_STARTED:
                self._start_created(client, spec, found or self._create(client, spec))
            return found is None

    def _create(self, client: PodmanClient, spec: SandboxSpec) -> Container:
        """The sandbox, not started; its relay is on its way up meanwhile."""
        beside_it = (spec.relay.image,) if spec.relay is not None else ()
        for image in (spec.image, *beside_it, *(service.image for service in spec.services)):
            if not client.images.exists(image):  # before anything is made; for a relay podman would ask a registry
                raise ImageMissing(NO_IMAGE)
        if spec.relay is None:
            return client.containers.create(**container_arguments(spec))
        self._have_pod(client, spec)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="relay") as beside:
            relay = beside.submit(self._start_relay, spec)
            made = client.containers.create(**container_arguments(spec))
            relay.result()
        return made

    def _start_relay(self, spec: SandboxSpec) -> None:
        with self._client() as client:
            relay = client.containers.get(relay_name(spec.name))
            if relay.status in _NEVER_STARTED:
                start_anyway(relay)

    def _start_created(self, client: PodmanClient, spec: SandboxSpec, container: Container) -> None:
        if spec.relay is not None:
            self._have_relay(client, spec)
        for service in spec.services:
            beside = _find(client, service.name)
            if beside is None:
                beside = client.containers.create(**container_arguments(service, pod_of=spec.name))
            _ours(beside, service)
            if beside.status in _NEVER_STARTED:
                start_anyway(beside)
        start_anyway(container)

    def _have_pod(self, client: PodmanClient, spec: SandboxSpec) -> None:
        """A pod with nothing but loopback is there, its relay made."""
        pod = pod_name(spec.name)
        if client.pods.exists(pod):
            labels = client.pods.get(pod).attrs.get("Labels") or {}
            if labels.get(LABEL_RUN) != dict(spec.labels).get(LABEL_RUN):
                raise _foreign(spec.name)
            if not client.containers.exists(relay_name(spec.name)):
                client.pods.remove(pod, force=True)  # the service ended between making the pod and making its relay
                client.pods.create(**pod_arguments(spec))
        else:
            client.pods.create(**pod_arguments(spec))

    def _have_relay(self, client: PodmanClient, spec: SandboxSpec) -> None:
        """The relay listens: a sandbox that starts before it would find its ports closed."""
        relay = client.containers.get(relay_name(spec.name))
        if relay.status in _RUNNING and self._listening.get(spec.name) == relay.id:
            return  # it was heard already, and it is started once
        if relay.status not in _RUNNING:
            start_anyway(relay)
        deadline = time.monotonic() + RELAY_WAIT_S
        while True:
            relay.reload()  # first: what it said in the end is among what is read now
            printed = b"".join(_printed(relay))
            if RELAY_READY in printed.split(b"\n"):
                self._listening[spec.name] = str(relay.id)
                return
            if relay.status not in _RUNNING or time.monotonic() >= deadline:
                said = short(printed.decode("utf-8", "replace"))
                raise SandboxFault(f"The relay of {spec.name} did not come up; it said: {said}")
            time.sleep(POLL_S)

    def status(self, name: str) -> SandboxStatus:
        """As `Containers.status` promises; one that was never started counts as absent."""
        with self._client() as client:
            found = _find(client, name)
        if found is None or found.status in _NEVER_STARTED:
            return SandboxStatus(state=RunState.ABSENT)
        if found.status in _RUNNING:
            return SandboxStatus(state=RunState.RUNNING)
        state: dict[str, Any] = found.attrs["State"]
        return SandboxStatus(
            state=RunState.EXITED, exit_code=int(state.get("ExitCode", -1)), oom=bool(state.get("OOMKilled"))
        )

    def output(self, name: str, max_bytes: int) -> bytes:
        """As `Containers.output` promises."""
        kept: deque[bytes] = deque()
        size = 0
        with self._client() as client:
            found = _find(client, name)
            if found is None or found.status in _NEVER_STARTED:
                return b""
            for piece in _printed(found):
                kept.append(piece)
                size += len(piece)
                while kept and size - len(kept[0]) >= max_bytes:
                    size -= len(kept.popleft())
        return b"".join(kept)[-max_bytes:] if max_bytes > 0 else b""

    def stop(self, name: str, grace_s: float) -> None:
        """As `Containers.stop` promises."""
        with self._client() as client:
            found = _find(client, name)
            if found is None or found.status not in _RUNNING:
                return
            seconds = math.ceil(max(0.0, grace_s))
            # podman-py's own stop() gives up waiting after one and a half times the grace, whatever the client allows
            answer = client.api.post(
                f"/containers/{found.id}/stop", params={"timeout": seconds}, timeout=seconds + self._timeout_s
            )
            if answer.status_code not in _GONE_OR_SETTLED:
                answer.raise_for_status()

    def remove(self, name: str) -> None:
        """As `Containers.remove` promises."""
        with self._one_at_a_time(name), self._client() as client:
            self._listening.pop(name, None)
            found = _find(client, name)
            if found is not None and LABEL_RUN not in found.labels:
                raise _foreign(name)
            pod = pod_name(name)
            if found is not None:
                # Killed first: a plain forced removal waits ten seconds for whoever does not heed SIGTERM.
                _settle(client.api.post(f"/containers/{found.id}/kill", params={"signal": "SIGKILL"}), not_running=True)
            if client.pods.exists(pod):
                _settle(client.api.post(f"/pods/{pod}/kill", params={"signal": "SIGKILL"}), not_running=True)
                _settle(client.api.delete(f"/pods/{pod}", params={"force": True}))
            if found is not None:
                _settle(client.api.delete(f"/containers/{found.id}", params={"force": True, "v": True, "timeout": 0}))

    def listing(self, run_id: str | None = None) -> tuple[SandboxListing, ...]:
        """As `Containers.listing` promises; a pod left without its sandbox is listed as that sandbox, absent."""
        wanted = LABEL_RUN if run_id is None else f"{LABEL_RUN}={run_id}"
        with self._client() as client:
            containers = client.containers.list(all=True, filters={"label": wanted})
            pods = client.pods.list(filters={"label": wanted})
        listed: dict[str, SandboxListing] = {}
        for container in containers:
            labels = tuple(sorted((str(key), str(value)) for key, value in container.labels.items()))
            if dict(labels).get(LABEL_ROLE) in {Role.RELAY, Role.SERVICE}:
                continue
            listed[str(container.name)] = SandboxListing(
                name=str(container.name), labels=labels, state=_state(str(container.attrs.get("State")))
            )
        for pod in pods:
            name = str(pod.name).removesuffix(pod_name(""))
            if name not in listed:
                labels = tuple(sorted((str(key), str(value)) for key, value in (pod.attrs.get("Labels") or {}).items()))
                listed[name] = SandboxListing(name=name, labels=labels, state=RunState.ABSENT)
        return tuple(listed[name] for name in sorted(listed))


def _state(status: str) -> RunState:
    if status in _RUNNING:
        return RunState.RUNNING
    return RunState.ABSENT if status in _NEVER_STARTED else RunState.EXITED


def _find(client: PodmanClient, name: str) -> Container | None:
    try:
        return despite_races(lambda: client.containers.get(name))
    except podman.errors.NotFound:
        return None


def _printed(container: Container) -> Iterator[bytes]:
    """Frame by frame what the container has printed so far."""
    frames: Iterator[bytes] = container.logs(stream=True, follow=False)  # type: ignore[assignment] # as it streams
    return frames


def _ours(found: Container, spec: SandboxSpec) -> None:
    if found.labels.get(LABEL_RUN) != dict(spec.labels).get(LABEL_RUN):
        raise _foreign(spec.name)


def _foreign(name: str) -> SandboxFault:
    return SandboxFault(f"A container named {name} is there that is not ours; remove it and try again.")


def _settle(answer: Any, *, not_running: bool = False) -> None:
    """Take "it is gone" (and, after a kill, "it does not run") for done; raise anything else."""
    if answer.status_code in _GONE_OR_SETTLED or (not_running and answer.status_code >= 400):
        return
    answer.raise_for_status()
