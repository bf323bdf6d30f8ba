"""Podman looks at a container's process by its pid, and stumbles where that has just left: nothing is wrong then.

Seen with podman 4.3 under load: `read /proc/4666/cgroup: no such process`, for a container that had run to its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

import podman.errors
from podman.domain.containers import Container

T = TypeVar("T")

_TRIES: Final = 4
_RACED: Final = re.compile(r"/proc/\d+/\S+: no such (?:process|file or directory)")
_NEVER_STARTED: Final = frozenset({"created", "configured", "initialized"})


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
