"""A daemon to be told by signals: the real `serve` in a process of its own, over fake sandboxes.

    python -m tests.fakes.served <state directory> <port> <streamable-http|stdio> <agent>

agent: `writes` repairs total.py at once; `waits` works until it is stopped; `hangs` does not even heed that; `stuck`
works, and the container engine never answers when it is asked how the agent is.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from mcp_ashigaru.daemon import Parts
from mcp_ashigaru.serving import serve
from mcp_ashigaru.settings import load_settings
from runner.sandboxes import Role, SandboxSpec, SandboxStatus
from tests.fakes.behaviours import AgentAtWork, Behaviour, ignores_stop, judges, runs_until_stopped, works
from tests.fakes.containers import FakeContainers
from tests.story.house import LADDER, FakeModel, NoEgress


def _writes(agent: AgentAtWork) -> int:
    (agent.tree / "total.py").write_text("total = 1\n", encoding="utf-8")
    agent.result()
    return 0


AGENTS: dict[str, Behaviour] = {
    "writes": works(_writes),
    "waits": runs_until_stopped,
    "hangs": ignores_stop,
    "stuck": ignores_stop,
}


class StuckContainers(FakeContainers):
    """An engine that takes a question about an agent and never answers."""

    def status(self, name: str) -> SandboxStatus:
        if any(one.name == name and one.role is Role.AGENT for one in self.started):
            threading.Event().wait()
        return super().status(name)


def main() -> None:
    """Serve until told to stop."""
    state, port, transport, agent = sys.argv[1:]

    def behaviour(spec: SandboxSpec) -> Behaviour:
        return AGENTS[agent] if spec.role is Role.AGENT else judges(lambda _tree, _out: (0, b"fine\n"))

    settings = load_settings(state_dir=Path(state), port=int(port), ladder=LADDER, host_id="here", host="127.0.0.1")
    containers = (StuckContainers if agent == "stuck" else FakeContainers)(behaviour)
    parts = Parts(containers=containers, model=FakeModel(), egress=NoEgress())
    serve(settings, "stdio" if transport == "stdio" else "streamable-http", parts)


if __name__ == "__main__":
    main()
