"""Where podman stumbles over itself though nothing is wrong. Both were seen with podman 4.3 under load.

It looks at a container's process by its pid, and that has just left: `read /proc/4666/cgroup: no such process`, for a
container that had run to its end. And it reads the account's subordinate ids with libsubid, which keeps them in one
place for the whole process: two creations at once have ended the service with SIGSEGV in `subid_get_uid_ranges`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import podman.errors
from podman import PodmanClient
from podman.domain.containers import Container

from runner.errors import EngineDown

T = TypeVar("T")

_TRIES: Final = 4
_RACED: Final = re.compile(r"/proc/\d+/\S+: no such (?:process|file or directory)")
_NEVER_STARTED: Final = frozenset({"created", "configured", "initialized"})
_CREATING: Final = threading.Lock()
"""Of the process, not of an adapter: two adapters may ask the same service."""
_PATIENCE_S: Final = 120.0


def raced(fault: podman.errors.APIError) -> bool:
    """Whether podman says no more than that a process left while it was looking."""
    return _RACED.search(str(fault.explanation or fault)) is not None


def despite_races(ask: Callable[[], T]) -> T:
    """What `ask`, which changes nothing, answers once no process leaves meanwhile. Raises what it raises."""
    for _ in range(_TRIES - 1):
        try:
            return ask()
        except podman.errors.APIError as fault:
            if not raced(fault):
                raise
    return ask()


def create_container(client: PodmanClient, arguments: dict[str, Any]) -> Container:
    """The container, created while nothing else is. Raises what podman raises, and EngineDown after a long wait."""
    return _alone(lambda: client.containers.create(**arguments))


def create_pod(client: PodmanClient, arguments: dict[str, Any]) -> None:
    """The pod, created while nothing else is. Raises what podman raises, and EngineDown after a long wait."""
    _alone(lambda: client.pods.create(**arguments))


def _alone(create: Callable[[], T]) -> T:
    if not _CREATING.acquire(timeout=_PATIENCE_S):
        raise EngineDown("Podman is slow to make a sandbox; see what holds it up and try again.")
    try:
        return create()
    finally:
        _CREATING.release()


def start_anyway(container: Container) -> None:
    """Start it, once: after a stumble again only where it was never started. Raises what podman raises."""
    for _ in range(_TRIES - 1):
        try:
            return container.start()
        except podman.errors.APIError as fault:
            if not raced(fault):
                raise
        despite_races(container.reload)
        if container.status not in _NEVER_STARTED:
            return None
    return container.start()
