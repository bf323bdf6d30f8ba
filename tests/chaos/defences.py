"""What can be taken out of a victim, to see that its lack is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runner.agent_run import AgentRunner


def _no_adoption() -> None:
    """An agent's sandbox that is there is removed and started afresh."""
    real = AgentRunner.run

    def run(self: AgentRunner, round_input: Any, step: Any, *args: Any, **kwargs: Any) -> Any:
        dirs = self.layout.attempt(round_input.run_id, step.attempt)
        (dirs.root / "launched").unlink(missing_ok=True)
        self.containers.remove(f"ash-agent-{round_input.run_id}-{step.attempt}")
        return real(self, round_input, step, *args, **kwargs)

    AgentRunner.run = run  # type: ignore[method-assign]


DEFENCES: dict[str, Callable[[], None]] = {
    "adoption": _no_adoption,
}


def take_out(name: str) -> None:
    """This process does without that defence from now on."""
    DEFENCES[name]()
