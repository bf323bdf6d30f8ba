"""How rounds and hosts are called in the engine's tables."""

from __future__ import annotations


def round_id(run_id: str, number: int) -> str:
    """The round's own workflow."""
    return f"round:{run_id}:{number}"


def intake_id(run_id: str, number: int) -> str:
    """The workflow that assigns it a host."""
    return f"intake:{run_id}:{number}"


def host_queue(host_id: str) -> str:
    """Where a host takes its work from."""
    return f"host-{host_id}"
