"""The suite's share of real podman, on a machine where others may be at work: only what is named as ours is counted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from runner.adapters.podman_containers import PodmanContainers
from runner.errors import RunnerError
from tests.sandbox.podman_lab import PodmanLab, residue

MARK: Final = "attack"
"""In the name of every run of the suite's, and so in the name of every container and pod."""

_URL: Final = "ASHIGARU_TEST_PODMAN_URL"
_REASON: Final = "ASHIGARU_TEST_PODMAN_REASON"
_IMAGES: Final = ("ASHIGARU_TEST_GATE_IMAGE", "ASHIGARU_TEST_RELAY_IMAGE", "ASHIGARU_TEST_AGENT_IMAGE")


_Seen = TypeVar("_Seen")
_TRIES: Final = 3


class NoAnswer(Exception):
    """A sandbox did not say what it was made to say."""


class SomethingLeft(Exception):
    """A container, pod, socket or mount of the suite's is still there."""


def why_not() -> str | None:
    """Why real podman cannot be used here; None where it can."""
    if all(os.environ.get(name) for name in (_URL, *_IMAGES)):
        return None
    return os.environ.get(_REASON) or "nobody said where podman and its images are, as `make attack` does"


@contextmanager
def podman_lab() -> Iterator[PodmanLab]:
    """The lab, where `why_not` is None. Raises SomethingLeft at the end where something is."""
    url = os.environ[_URL]
    containers = PodmanContainers(url, timeout_s=30)
    gate, relay, agent = (containers.image_id(os.environ[name]) for name in _IMAGES)
    with tempfile.TemporaryDirectory(prefix="ash-", dir="/tmp") as home:
        yield PodmanLab(url=url, gate_image=gate, relay_image=relay, agent_image=agent, home=Path(home))
        left = [name for name in residue(url) if MARK in name]
        for found in containers.listing():
            if MARK in found.name:
                containers.remove(found.name)
        left += [str(path) for path in Path(home).rglob("*") if path.is_socket()]
        left += [line for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines() if home in line]
    if left:
        raise SomethingLeft(", ".join(left))


def undisturbed(look: Callable[[], _Seen]) -> _Seen:
    """What `look` sees, looked for again where somebody else's clean-up took the sandbox away. Raises what it raises.

    An attack is never repeated until it is stopped: only what gave no answer at all is.
    """
    for _ in range(_TRIES - 1):
        try:
            return look()
        except (NoAnswer, RunnerError, OSError):
            continue
    return look()
