"""Sandboxes by rootless podman: `runner.ports.Containers` through podman-py, and the only place that imports it.

Every sandbox is hardened here, whatever its recipe says. Each call uses a client of its own, so that one adapter may
be used from many threads.
"""

from __future__ import annotations

import math
import socket
import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from podman import PodmanClient
from podman.domain.containers import Container

from runner.adapters.podman_faults import FAULTS, NO_IMAGE, translate
from runner.adapters.podman_home import hard_limits
from runner.adapters.podman_payloads import askable, container_arguments, pod_name
from runner.adapters.podman_pods import (
    NEVER_STARTED,
    RUNNING,
    await_relay,
    find,
    foreign,
    have_pod,
    ours,
    printed,
    start_member,
)
from runner.adapters.podman_races import create_container, start_anyway
from runner.errors import EngineDown, ImageMissing
from runner.sandbox import LABEL_HOST, LABEL_ROLE, LABEL_RUN, relay_spec
from runner.sandboxes import Role, RunState, SandboxListing, SandboxSpec, SandboxStatus

_GONE = (HTTPStatus.NOT_FOUND,)
_GONE_OR_SETTLED = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.NOT_MODIFIED)


class PodmanContainers:
    """The sandboxes of the podman service at `url` ("unix:///…/podman.sock")."""

    def __init__(
        self,
        url: str,
        *,
        hosts: Collection[str] | None = None,
        timeout_s: float = 60.0,
        seccomp: Path | None = None,
    ) -> None:
        """Wait at most `timeout_s` for each answer of the service. seccomp: the profile; None: the service's own.

        hosts: the values of the label `ashigaru.host` by which sandboxes are listed as ours; None: whatever it says.
        """
        self._hosts = None if hosts is None else frozenset(hosts)
        self._url = url
        self._timeout_s = timeout_s
        self._seccomp = None if seccomp is None else str(seccomp)
        self._listening: dict[str, str] = {}
        """The relays that were heard to listen, by sandbox, until that is removed."""
        self._bounds: frozenset[str] | None = None
        """What a sandbox can be held to here; asked in vain, podman starts nothing."""
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
            found = find(client, spec.name)
            if found is not None:
                ours(found, spec)
                return
            self._create(client, spec)
            self._have_relay(spec)

    def start(self, spec: SandboxSpec) -> bool:
        """As `Containers.start` promises."""
        with self._one_at_a_time(spec.name), self._client() as client:
            found = find(client, spec.name)
            if found is not None:
                ours(found, spec)
            if found is None or found.status in NEVER_STARTED:
                self._start_created(client, spec, found or self._create(client, spec))
            return found is None

    def _create(self, client: PodmanClient, spec: SandboxSpec) -> Container:
        """The sandbox, not started; its relay is on its way up meanwhile."""
        beside_it = (spec.relay.image,) if spec.relay is not None else ()
        for image in (spec.image, *beside_it, *(service.image for service in spec.services)):
            if not client.images.exists(image):  # before anything is made; for a pod podman would ask a registry
                raise ImageMissing(NO_IMAGE)
        if spec.relay is None:
            return create_container(client, self._arguments(client, spec))
        have_pod(client, spec)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="relay") as beside:
            relay = beside.submit(self._start_relay, spec)
            made = create_container(client, self._arguments(client, spec))
            relay.result()
        return made

    def _arguments(self, client: PodmanClient, spec: SandboxSpec, pod_of: str | None = None) -> dict[str, Any]:
        if self._bounds is None:
            self._bounds = askable(client.system.info())
        return container_arguments(spec, pod_of=pod_of, bounds=self._bounds, most=hard_limits(), seccomp=self._seccomp)

    def _start_relay(self, spec: SandboxSpec) -> Container | None:
        """The relay, started; None where nothing is to be relayed."""
        if spec.relay is None or not spec.relay.ports:
            return None
        relay = relay_spec(spec, spec.relay)
        with self._client() as client:
            return start_member(client, relay, lambda: self._arguments(client, relay, spec.name))

    def _start_created(self, client: PodmanClient, spec: SandboxSpec, container: Container) -> None:
        self._have_relay(spec)
        for service in spec.services:
            start_member(client, service, partial(self._arguments, client, service, spec.name))
        start_anyway(container)

    def _have_relay(self, spec: SandboxSpec) -> None:
        """The relay listens, where there is to be one."""
        relay = self._start_relay(spec)
        if relay is not None and self._listening.get(spec.name) != relay.id:
            await_relay(relay, spec.name)
            self._listening[spec.name] = str(relay.id)

    def status(self, name: str) -> SandboxStatus:
        """As `Containers.status` promises; one that was never started counts as absent."""
        with self._client() as client:
            found = find(client, name)
        if found is None or found.status in NEVER_STARTED:
            return SandboxStatus(state=RunState.ABSENT)
        if found.status in RUNNING:
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
            found = find(client, name)
            if found is None or found.status in NEVER_STARTED:
                return b""
            for piece in printed(found):
                kept.append(piece)
                size += len(piece)
                while kept and size - len(kept[0]) >= max_bytes:
                    size -= len(kept.popleft())
        return b"".join(kept)[-max_bytes:] if max_bytes > 0 else b""

    def stop(self, name: str, grace_s: float) -> None:
        """As `Containers.stop` promises."""
        with self._client() as client:
            found = find(client, name)
            if found is None or found.status not in RUNNING:
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
            found = find(client, name)
            if found is not None and LABEL_RUN not in found.labels:
                raise foreign(name)
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
            labels = _labels(container.labels)
            if dict(labels).get(LABEL_ROLE) in {Role.RELAY, Role.SERVICE} or not self._is_ours(labels):
                continue
            listed[str(container.name)] = SandboxListing(
                name=str(container.name), labels=labels, state=_state(str(container.attrs.get("State")))
            )
        for pod in pods:
            name = str(pod.name).removesuffix(pod_name(""))
            labels = _labels(pod.attrs.get("Labels") or {})
            if name not in listed and self._is_ours(labels):
                listed[name] = SandboxListing(name=name, labels=labels, state=RunState.ABSENT)
        return tuple(listed[name] for name in sorted(listed))

    def _is_ours(self, labels: tuple[tuple[str, str], ...]) -> bool:
        return self._hosts is None or dict(labels).get(LABEL_HOST) in self._hosts


def _labels(told: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(key), str(value)) for key, value in told.items()))


def _state(status: str) -> RunState:
    if status in RUNNING:
        return RunState.RUNNING
    return RunState.ABSENT if status in NEVER_STARTED else RunState.EXITED


def _settle(answer: Any, *, not_running: bool = False) -> None:
    """Take "it is gone" (and, after a kill, "it does not run") for done; raise anything else."""
    if answer.status_code in _GONE_OR_SETTLED or (not_running and answer.status_code >= 400):
        return
    answer.raise_for_status()
