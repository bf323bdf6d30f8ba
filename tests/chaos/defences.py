"""What can be taken out of a victim, to see that its lack is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runner.agent_run import AgentRunner
from runner.files import remove_tree
from runner.restarting import Restarter
from runner.unasked import Unasked


def _no_adoption() -> None:
    """An agent's sandbox that is there is removed and started afresh."""
    real = AgentRunner.run

    def run(self: AgentRunner, round_input: Any, step: Any, *args: Any, **kwargs: Any) -> Any:
        dirs = self.layout.attempt(round_input.run_id, step.attempt)
        (dirs.root / "launched").unlink(missing_ok=True)
        self.containers.remove(f"ash-agent-{round_input.run_id}-{step.attempt}")
        return real(self, round_input, step, *args, **kwargs)

    AgentRunner.run = run  # type: ignore[method-assign]


def _files_first() -> None:
    """What an agent left goes before the round that is to go on from it is on record."""
    real = Restarter._following

    def following(self: Restarter, run: Any, *args: Any, **kwargs: Any) -> Any:
        told = real(self, run, *args, **kwargs)
        remove_tree(self.closing.layout.run(run.run_id))
        return told

    Restarter._following = following  # type: ignore[method-assign]


def _no_asking() -> None:
    """Runs whose repository is not shown after a restore are taken for any others."""
    Unasked.holds = lambda *_: False  # type: ignore[method-assign]


DEFENCES: dict[str, Callable[[], None]] = {
    "adoption": _no_adoption,
    "asking": _no_asking,
    "keeping": _files_first,
}


def take_out(name: str) -> None:
    """This process does without that defence from now on."""
    DEFENCES[name]()
