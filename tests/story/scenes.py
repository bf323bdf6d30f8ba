"""What stories share: a repository with one gate, agents that write, gates that look, and daemons that crash."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.facts import Fact, Step
from runner.model import RoundInput
from runner.rounds import Interrupted
from runner.sandbox import LABEL_ATTEMPT
from runner.sandboxes import Role, SandboxSpec
from tests.fakes.behaviours import AgentAtWork, Behaviour, Ended, Held, Inside, judges, works
from tests.fakes.containers import FakeContainers
from tests.story.house import House, git

GATE = '[[gate]]\nname = "test"\nrun = "check"\n'
FILES = {"total.py": "total = 0\n", "README.md": "Totals.\n", ".ashigaru.toml": GATE}
RIGHT = "total = 1\n"
WRONG = "total = 2\n"


def passes_when(text: str) -> Behaviour:
    """A gate that is green for the first commit and for a total.py that holds `text`."""

    def check(tree: Path, out: Path) -> tuple[int, bytes]:  # noqa: ARG001 - a gate's signature
        said = (tree / "total.py").read_text(encoding="utf-8")
        return (0, b"fine\n") if text in said or said == "total = 0\n" else (1, b"total.py: wrong total\n")

    return judges(check)


def says_hello(agent: AgentAtWork, name: str = "total.py") -> None:
    """The first events of any agent."""
    agent.event({"type": "system", "subtype": "init", "model": "claude-x", "session_id": "s"})
    block = {"type": "tool_use", "id": "t", "name": "Write", "input": {"file_path": f"/workspace/{name}"}}
    agent.event({"type": "assistant", "message": {"model": "claude-x", "content": [block]}})


def writes(text: str | None, name: str = "total.py", **result: Any) -> Behaviour:
    """An agent that writes one file (None: nothing) and says its result, changed as told."""

    def work(agent: AgentAtWork) -> int:
        says_hello(agent, name)
        if text is not None:
            (agent.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (agent.tree / name).write_text(text, encoding="utf-8")
        agent.result(**result)
        return 1 if result.get("is_error") else 0

    return works(work)


def held(text: str) -> Held:
    """An agent that has written `text` and waits to be released before it says its result."""

    def first(agent: AgentAtWork) -> None:
        says_hello(agent)
        (agent.tree / "total.py").write_text(text, encoding="utf-8")

    return Held(first=first, then=lambda agent: agent.result())


@dataclass(kw_only=True)
class HeldGate:
    """A gate that holds while `holds(tree)`, then answers as `then` does. SIGTERM ends it with 143."""

    holds: Callable[[Path], bool]
    then: Behaviour
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, inside: Inside) -> Ended:
        if self.holds(inside.tree):
            self.reached.set()
            for _ in range(2000):
                if self.go.wait(0.01):
                    break
                if inside.stopping.is_set():
                    return Ended(code=143)
        return self.then(inside)


def is_base(tree: Path) -> bool:
    return (tree / "total.py").read_text(encoding="utf-8") == "total = 0\n"


def is_head(tree: Path) -> bool:
    return not is_base(tree)


def attempt_of(spec: SandboxSpec) -> int:
    return int(dict(spec.labels)[LABEL_ATTEMPT])


def house_of(state: Path, agents: Mapping[int, Behaviour], gate: Behaviour, **changes: Any) -> House:
    """A house whose agents do as their attempt's number says, and whose gates all do the same."""

    def behaviour(spec: SandboxSpec) -> Behaviour:
        return agents[attempt_of(spec)] if spec.role is Role.AGENT else gate

    return House(state=state, containers=FakeContainers(behaviour), changes=changes)


def started(house: House, role: Role, part: str = "") -> list[str]:
    """Names of the sandboxes that were started in that role, with `part` in their name."""
    return [spec.name for spec in house.containers.started if spec.role is role and part in spec.name]


def bare(state: Path) -> Path:
    return state / "forge" / "widgets.git"


def branches(state: Path) -> dict[str, str]:
    """The forge's branches, but for main, and their commits."""
    lines = git(bare(state), "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
    return {name: sha for name, sha in (line.split() for line in lines) if name != "main"}


@dataclass(kw_only=True)
class Facts:
    """A witness that keeps what it saw, and crashes the daemon before the n-th fact of all is recorded, once."""

    crash_at: int = 0
    seen: list[tuple[int, Step, Fact]] = field(default_factory=list)
    crashed: threading.Event = field(default_factory=threading.Event)

    def __call__(self, round_input: RoundInput, step: Step, fact: Fact) -> None:
        self.seen.append((round_input.number, step, fact))
        if len(self.seen) == self.crash_at:
            self.crashed.set()
            raise Interrupted
