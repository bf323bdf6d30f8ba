"""The rootless podman that the tests may use, told by environment variables; and what a test must not leave behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from podman import PodmanClient

from runner.adapters.podman_containers import PodmanContainers
from runner.adapters.podman_inside import PodmanInside
from runner.sandbox import LABEL_HOST, Owner
from runner.seal.looking import Ground

_NEEDED = (
    "ASHIGARU_TEST_PODMAN_URL",
    "ASHIGARU_TEST_GATE_IMAGE",
    "ASHIGARU_TEST_RELAY_IMAGE",
    "ASHIGARU_TEST_AGENT_IMAGE",
)


@dataclass(frozen=True, kw_only=True)
class PodmanLab:
    """One test's podman: images by id, and a short-named directory that everything mounted lies in."""

    url: str
    gate_image: str
    relay_image: str
    agent_image: str
    home: Path

    @property
    def containers(self) -> PodmanContainers:
        return PodmanContainers(self.url, timeout_s=30)

    def containers_of(self, host: str) -> PodmanContainers:
        """The same, as a daemon has it whose sandboxes have that label."""
        return PodmanContainers(self.url, hosts=(host,), timeout_s=30)

    def ground(self, owner: Owner) -> Ground:
        """Where its sandboxes are looked at from inside."""
        return Ground(
            containers=self.containers,
            inside=PodmanInside(self.url, timeout_s=30),
            home=self.home,
            agent_image=self.agent_image,
            relay_image=self.relay_image,
            gate_image=self.gate_image,
            owner=owner,
        )

    def info(self) -> dict[str, Any]:
        """What podman says of its host."""
        with PodmanClient(base_url=self.url, timeout=30) as client:
            found: dict[str, Any] = client.system.info()
        return found

    def directory(self, name: str) -> Path:
        made = self.home / name
        made.mkdir(exist_ok=True)
        return made

    def said(self) -> str:
        """What every container of ours has printed, for the report of a failing test."""
        containers = self.containers
        parts = []
        for found in containers.listing():
            for name in (found.name, f"{found.name}-relay"):
                printed = containers.output(name, 4000).decode("utf-8", "replace")
                parts.append(f"--- {name} ({containers.status(name)})\n{printed}")
        return "\n".join(parts)


@contextmanager
def opened_lab() -> Iterator[PodmanLab]:
    """The lab for one test, which must leave no container, pod, mount or socket of ours."""
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    if missing:
        # `make test` says why this machine's podman cannot be used; a plain `pytest` was given none.
        unset = f"{missing[0]} does not say where podman and its images are; `make test` sets it"
        reason = os.environ.get("ASHIGARU_TEST_PODMAN_REASON") or unset
        if os.environ.get("ASHIGARU_REQUIRE_PODMAN") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    url = os.environ["ASHIGARU_TEST_PODMAN_URL"]
    asked = PodmanContainers(url, timeout_s=30)
    gate, relay, agent = (asked.image_id(os.environ[name]) for name in _NEEDED[1:])
    others = _there_before(url)
    assert residue(url) == others, "an earlier test left something"
    with tempfile.TemporaryDirectory(prefix="ash-", dir="/tmp") as home:
        lab = PodmanLab(url=url, gate_image=gate, relay_image=relay, agent_image=agent, home=Path(home))
        try:
            yield lab
        finally:
            print(lab.said())  # noqa: T201 - pytest shows it with a failing test
            left = [name for name in residue(url) if name not in others]
            for name in {one.removesuffix("-pod").removesuffix("-infra").removesuffix("-relay") for one in left}:
                asked.remove(name)
            sockets = [str(path) for path in Path(home).rglob("*") if path.is_socket()]
            mounts = [
                line for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines() if home in line
            ]
        assert (left, sockets, mounts) == ([], [], [])


@cache
def _there_before(url: str) -> list[str]:
    """What somebody else has there, such as a daemon at work on the same podman; it is left alone."""
    return residue(url)


def residue(url: str) -> list[str]:
    """Every container and pod named as ours, but for those that a daemon of somebody else's has labelled as its own."""
    with PodmanClient(base_url=url, timeout=30) as client:
        found = [(str(one.name), one.labels) for one in client.containers.list(all=True)]
        found += [(str(one.name), one.attrs.get("Labels") or {}) for one in client.pods.list()]
    theirs = {name.removesuffix("-pod") for name, labels in found if not _of_a_test(labels.get(LABEL_HOST))}
    return sorted(
        name for name, _ in found if name.startswith("ash-") and name not in theirs and not _in_pod_of(name, theirs)
    )


def _of_a_test(host: str | None) -> bool:
    """Whether a test's sandbox may say so: what says nothing is a test's until it is known to be somebody else's."""
    return host is None or host.startswith(("h1", "h-", "here"))


def _in_pod_of(name: str, sandboxes: set[str]) -> bool:
    return any(name.removesuffix(ending) in sandboxes for ending in ("-pod", "-infra", "-relay"))
