"""How rounds, hosts and states are called in the engine's tables."""

from __future__ import annotations

from typing import Final

from runner.rounds import RoundState

IN_FLIGHT: Final = "PENDING"
STATES: Final = {  # of a workflow
    "ENQUEUED": RoundState.QUEUED,
    "DELAYED": RoundState.DELAYED,
    IN_FLIGHT: RoundState.RUNNING,
    "SUCCESS": RoundState.DONE,
    "ERROR": RoundState.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": RoundState.FAILED,
    "CANCELLED": RoundState.FAILED,
}


def round_id(run_id: str, number: int) -> str:
    """The round's own workflow."""
    return f"round:{run_id}:{number}"


def intake_id(run_id: str, number: int) -> str:
    """The workflow that assigns it a host."""
    return f"intake:{run_id}:{number}"


def host_queue(host_id: str) -> str:
    """Where a host takes its work from."""
    return f"host-{host_id}"
