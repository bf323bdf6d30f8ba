"""What podman's answers mean. Knows its words, not its library."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from runner.sandboxes import RunState

NEVER_STARTED: Final = frozenset({"created", "configured", "initialized"})
RUNNING: Final = frozenset({"running", "paused", "stopping", "restarting"})
GONE_OR_SETTLED: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.NOT_MODIFIED)


def short(reason: object) -> str:
    """A reason on one line, bounded."""
    return " ".join(str(reason).split())[:300] or "none given"


def state_of(status: str) -> RunState:
    """What a container of that status is doing."""
    if status in RUNNING:
        return RunState.RUNNING
    return RunState.ABSENT if status in NEVER_STARTED else RunState.EXITED


def settle(answer: Any, *, not_running: bool = False) -> None:
    """Take "it is gone" (and, after a kill, "it does not run") for done; raise anything else."""
    if answer.status_code in GONE_OR_SETTLED or (not_running and answer.status_code >= 400):
        return
    answer.raise_for_status()
