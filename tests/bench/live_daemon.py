"""A whole daemon in a process of its own, whose sandboxes are fakes in that process: `python -m tests.bench.live_daemon
STATE PORT SLOTS`. Agents have a turn every three seconds until the file `hold` is gone from STATE."""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

from mcp_ashigaru.daemon import Parts, running
from mcp_ashigaru.memory import one_heap, settled
from mcp_ashigaru.serving import web_server
from mcp_ashigaru.settings import load_settings
from runner.sandboxes import Role, SandboxSpec
from tests.fakes.behaviours import AgentAtWork, Behaviour, judges, works
from tests.fakes.containers import FakeContainers
from tests.loopback import listening
from tests.story.house import LADDER, FakeModel, NoEgress
from tests.story.scenes import says_hello

_LONGEST_S = 3600
_TURN_S = 3.0
"""From one turn of an agent to the next: less than a model takes for one."""
_GATE = judges(lambda tree, out: (0, b"fine\n"))  # noqa: ARG005 - a gate's signature


class _Forgotten(list[SandboxSpec]):
    """Keeps nothing: what stories ask the fake for would be taken for the daemon's growth."""

    def append(self, _: SandboxSpec) -> None:
        """Forget it."""


def _agents(state: Path) -> Behaviour:
    def work(agent: AgentAtWork) -> None:
        says_hello(agent)
        stopping = agent.inside.stopping
        for turn in range(_LONGEST_S):
            if not (state / "hold").exists() or stopping.wait(_TURN_S):
                break
            # Something else each time, or it would be found to go round in circles.
            says_hello(agent, f"part{turn}.py")
        (agent.tree / "total.py").write_text(f"total = '{agent.inside.spec.name}'\n", encoding="utf-8")
        agent.result()

    return works(work)


def main() -> None:
    """Serve until SIGTERM."""
    one_heap()
    state, port, slots = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    agent = _agents(state)

    def behaviour(spec: SandboxSpec) -> Behaviour:
        return agent if spec.role is Role.AGENT else _GATE

    ladder = tuple(replace(tier, wall_s=_LONGEST_S, idle_s=_LONGEST_S) for tier in LADDER)
    settings = load_settings(state_dir=state, port=port, ladder=ladder, host_id="bench", slots=slots, disk_floor=0)
    containers = FakeContainers(behaviour)
    containers.started = _Forgotten()
    parts = Parts(containers=containers, model=FakeModel(), egress=NoEgress())
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with listening(port) as listener, running(settings, parts) as daemon:
        server = web_server(daemon, settings)
        settled()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        stopping.wait()
        daemon.stopping.set()
        server.should_exit = True
        thread.join(10)


if __name__ == "__main__":
    main()
