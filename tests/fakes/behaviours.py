"""What runs in the fake's sandboxes: each behaviour is named by what it does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from runner.launch import AgentExit, ExitReason
from runner.sandbox import IN_DIR, OUT_DIR, WORKSPACE
from runner.sandboxes import SandboxSpec

PATIENCE_S = 20.0
"""How long a behaviour may wait for the test; a test that forgets it then fails instead of hanging."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a sandbox ended: its exit code, and whether the kernel killed it for memory."""

    code: int
    oom: bool = False


@dataclass(frozen=True, kw_only=True)
class Inside:
    """What a behaviour has to work with."""

    spec: SandboxSpec
    stopping: threading.Event
    """Set by SIGTERM."""

    killed: threading.Event
    """Set by SIGKILL: whatever the behaviour does after that is not looked at."""

    printed: bytearray

    def host(self, target: str) -> Path:
        """The host directory that is mounted at `target`."""
        return next(Path(mount.source) for mount in self.spec.mounts if mount.target == target)

    @property
    def tree(self) -> Path:
        return self.host(WORKSPACE)

    @property
    def out(self) -> Path:
        return self.host(OUT_DIR)

    def say(self, data: bytes) -> None:
        """Print to the sandbox's output."""
        self.printed.extend(data)


Behaviour: TypeAlias = Callable[[Inside], Ended]


def exits(code: int = 0, output: bytes = b"") -> Behaviour:
    """Print and leave."""

    def behaviour(inside: Inside) -> Ended:
        inside.say(output)
        return Ended(code=code)

    return behaviour


def runs_until_stopped(inside: Inside) -> Ended:
    """Run until SIGTERM, and heed it."""
    inside.stopping.wait(PATIENCE_S)
    return Ended(code=143)


def ignores_stop(inside: Inside) -> Ended:
    """Run until SIGKILL."""
    inside.killed.wait(PATIENCE_S)
    return Ended(code=137)


def runs_out_of_memory(_inside: Inside) -> Ended:
    """Be killed by the kernel at once."""
    return Ended(code=137, oom=True)


def judges(function: Callable[[Path, Path], tuple[int, bytes]]) -> Behaviour:
    """A gate: `function(tree, out)` writes its evidence to `out` and returns its exit code and its output."""

    def behaviour(inside: Inside) -> Ended:
        code, output = function(inside.tree, inside.out)
        inside.say(output)
        return Ended(code=code)

    return behaviour


@dataclass(frozen=True, kw_only=True)
class AgentAtWork:
    """What an agent's behaviour has: its prompt, its tree, and the means to say and do what Claude Code would."""

    inside: Inside

    @property
    def tree(self) -> Path:
        return self.inside.tree

    @property
    def launch(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.inside.host(IN_DIR) / "launch.json").read_text(encoding="utf-8"))
        return read

    @property
    def prompt(self) -> str:
        return (self.inside.host(IN_DIR) / str(self.launch["prompt_file"])).read_text(encoding="utf-8")

    def event(self, event: dict[str, Any]) -> None:
        """Append one event line."""
        with (self.inside.out / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def result(self, *, turns: int = 1, cost_usd: float = 0.01, **changes: Any) -> None:
        """Append the result event of a completed execution, with `changes`."""
        event = {
            "type": "result",
            "subtype": "success",
            "is_error": False,
            "num_turns": turns,
            "result": "Done.",
            "terminal_reason": "completed",
            "total_cost_usd": cost_usd,
            "usage": {"input_tokens": 100, "output_tokens": 20},
            "permission_denials": [],
            "session_id": "00000000-0000-4000-8000-000000000000",
        }
        self.event(event | changes)


def works(function: Callable[[AgentAtWork], int | None]) -> Behaviour:
    """An agent: `function` edits files and says events; its exit code (None: 0) goes into `exit.json`.

    Like the real entrypoint it starts the agent at most once in an out directory.
    """

    def behaviour(inside: Inside) -> Ended:
        events = inside.out / "events.jsonl"
        try:
            events.open("x", encoding="utf-8").close()
        except FileExistsError:
            if not (inside.out / "exit.json").exists():
                _leave(inside, AgentExit(code=None, signal=None, reason=ExitReason.ALREADY_STARTED))
            return Ended(code=3)
        (inside.out / "stderr.txt").touch()
        code = function(AgentAtWork(inside=inside)) or 0
        if inside.killed.is_set():
            return Ended(code=137)
        reason = ExitReason.TERMINATED if inside.stopping.is_set() else ExitReason.EXITED
        _leave(inside, AgentExit(code=code, signal=None, reason=reason))
        return Ended(code=code)

    return behaviour


def _leave(inside: Inside, ending: AgentExit) -> None:
    record = {"code": ending.code, "signal": ending.signal, "reason": ending.reason.value}
    draft = inside.out / ".exit.json"
    draft.write_text(json.dumps(record), encoding="utf-8")
    draft.replace(inside.out / "exit.json")


@dataclass(kw_only=True)
class Held:
    """An agent in two halves with a wait between them, so that a test can cancel or kill in the middle.

    Use it as a behaviour. `reached` is set when the first half is done; `release()` lets the second half run. SIGTERM
    while it waits ends it with 143.
    """

    first: Callable[[AgentAtWork], None]
    then: Callable[[AgentAtWork], int | None]
    reached: threading.Event = field(default_factory=threading.Event)
    _go: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let the agent go on."""
        self._go.set()

    def __call__(self, inside: Inside) -> Ended:
        return works(self._work)(inside)

    def _work(self, agent: AgentAtWork) -> int | None:
        self.first(agent)
        self.reached.set()
        for _ in range(int(PATIENCE_S / 0.01)):
            if self._go.wait(0.01):
                return self.then(agent)
            if agent.inside.stopping.is_set() or agent.inside.killed.is_set():
                return 143
        return 1
