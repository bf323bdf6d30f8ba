"""Sandboxes in memory, held to the same contract as podman's; what runs in them is Python, told by a behaviour.

`FakeContainers(behaviours)` asks `behaviours(spec)` what a sandbox does when it starts. It outlives the daemon under
test, as podman does: a restart finds its sandboxes running, or ended.
"""

from __future__ import annotations

import hashlib
import json
import threading
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from runner.errors import EngineDown, ImageMissing, SandboxFault
from runner.model import RunState, SandboxListing, SandboxSpec, SandboxStatus
from runner.sandbox import IN_DIR, LABEL_RUN, OUT_DIR, WORKSPACE, AgentExit, ExitReason

IMAGES = ("localhost/ashigaru/agent:latest", "localhost/ashigaru/relay:latest", "localhost/ashigaru/gate:latest")
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


# --- behaviours ----------------------------------------------------------------------------------------------


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
        return (self.inside.host(IN_DIR) / self.launch["prompt_file"]).read_text(encoding="utf-8")

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


# --- the engine ----------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Sandbox:
    spec: SandboxSpec
    inside: Inside
    done: threading.Event = field(default_factory=threading.Event)
    ended: Ended | None = None


class FakeContainers:
    """`runner.ports.Containers` in memory.

    threaded: each behaviour runs in a thread of its own; otherwise within `start`, which then returns with the
    sandbox already exited. images: the references that are on this host. `down = True` makes every call raise
    EngineDown, as a stopped podman service would; sandboxes run on.
    """

    def __init__(
        self,
        behaviours: Callable[[SandboxSpec], Behaviour],
        *,
        threaded: bool = True,
        images: Collection[str] = IMAGES,
    ) -> None:
        self._behaviours = behaviours
        self._threaded = threaded
        self._images = {reference: self._id(reference) for reference in images}
        self._sandboxes: dict[str, _Sandbox] = {}
        self._lock = threading.Lock()
        self.down = False
        self.started: list[SandboxSpec] = []
        """Every sandbox that was really started, in order."""
        self.faults: list[str] = []
        """Tracebacks of behaviours that raised: a story asserts that there are none."""

    @staticmethod
    def _id(reference: str) -> str:
        return hashlib.sha256(reference.encode("utf-8")).hexdigest()

    @contextmanager
    def _engine(self) -> Iterator[dict[str, _Sandbox]]:
        if self.down:
            raise EngineDown("Podman does not answer; see that its service runs and try again.")
        with self._lock:
            yield self._sandboxes

    def image_id(self, reference: str) -> str:
        with self._engine():
            found = self._images.get(reference, reference if reference in self._images.values() else None)
        if found is None:
            raise ImageMissing("A sandbox's image is not on this host; build the images and try again.")
        return found

    def start(self, spec: SandboxSpec) -> bool:
        images = (spec.image,) if spec.relay is None else (spec.image, spec.relay.image)
        with self._engine() as sandboxes:
            there = sandboxes.get(spec.name)
            if there is not None:
                if _run(there.spec) != _run(spec):
                    raise SandboxFault(f"A container named {spec.name} is there that is not ours; remove it first.")
                return False
            if not set(images) <= set(self._images.values()):
                raise ImageMissing("A sandbox's image is not on this host; build the images and try again.")
            inside = Inside(spec=spec, stopping=threading.Event(), killed=threading.Event(), printed=bytearray())
            sandbox = sandboxes[spec.name] = _Sandbox(spec=spec, inside=inside)
            self.started.append(spec)
        if self._threaded:
            threading.Thread(target=self._live, args=(sandbox,), name=spec.name, daemon=True).start()
        else:
            self._live(sandbox)
        return True

    def _live(self, sandbox: _Sandbox) -> None:
        try:
            ended = self._behaviours(sandbox.spec)(sandbox.inside)
        except BaseException:  # noqa: BLE001 - whatever a test's behaviour raises ends its sandbox and is kept
            fault = traceback.format_exc()
            self.faults.append(fault)
            sandbox.inside.say(fault.encode("utf-8"))
            ended = Ended(code=70)
        with self._lock:
            sandbox.ended = sandbox.ended or ended
        sandbox.done.set()

    def status(self, name: str) -> SandboxStatus:
        with self._engine() as sandboxes:
            sandbox = sandboxes.get(name)
            if sandbox is None:
                return SandboxStatus(state=RunState.ABSENT)
            if sandbox.ended is None:
                return SandboxStatus(state=RunState.RUNNING)
            return SandboxStatus(state=RunState.EXITED, exit_code=sandbox.ended.code, oom=sandbox.ended.oom)

    def output(self, name: str, max_bytes: int) -> bytes:
        with self._engine() as sandboxes:
            sandbox = sandboxes.get(name)
            printed = bytes(sandbox.inside.printed) if sandbox is not None else b""
        return printed[-max_bytes:] if max_bytes > 0 else b""

    def stop(self, name: str, grace_s: float) -> None:
        with self._engine() as sandboxes:
            sandbox = sandboxes.get(name)
        if sandbox is None or sandbox.done.is_set():
            return
        sandbox.inside.stopping.set()
        if not sandbox.done.wait(grace_s):
            self._kill(sandbox)

    def _kill(self, sandbox: _Sandbox) -> None:
        with self._lock:
            sandbox.ended = sandbox.ended or Ended(code=137)
        sandbox.inside.killed.set()
        sandbox.inside.stopping.set()

    def kill(self, name: str) -> None:
        """What a test does to a sandbox behind the daemon's back: SIGKILL."""
        self._kill(self._sandboxes[name])

    def remove(self, name: str) -> None:
        with self._engine() as sandboxes:
            sandbox = sandboxes.pop(name, None)
        if sandbox is not None:
            self._kill(sandbox)

    def listing(self, run_id: str | None = None) -> tuple[SandboxListing, ...]:
        with self._engine() as sandboxes:
            found = [
                SandboxListing(
                    name=name,
                    labels=tuple(sorted(sandbox.spec.labels)),
                    state=RunState.RUNNING if sandbox.ended is None else RunState.EXITED,
                )
                for name, sandbox in sorted(sandboxes.items())
            ]
        return tuple(one for one in found if run_id is None or dict(one.labels).get(LABEL_RUN) == run_id)


def _run(spec: SandboxSpec) -> str | None:
    return dict(spec.labels).get(LABEL_RUN)
