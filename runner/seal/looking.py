"""Has sandboxes of every recipe looked at from inside: the probe is run there, and what it saw is read."""

from __future__ import annotations

import json
import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gates.services import Service
from runner.errors import SandboxFault
from runner.launch import claude_environment, launch_file
from runner.ports import Containers
from runner.sandbox import (
    EGRESS_SOCKET,
    MODEL_SOCKET,
    PYTHON,
    Beside,
    Limits,
    Owner,
    agent_spec,
    gate_spec,
    relay_name,
    relay_spec,
    service_spec,
    setup_spec,
)
from runner.sandboxes import RunState, SandboxSpec, SandboxStatus
from runner.seal.bounds import TRIALS, Came
from runner.seal.places import Bounds, Place
from runner.seal.probe import NEIGHBOUR, PROBE

SAYS_IT: Final = f"exec python3 -I -c {shlex.quote(PROBE)}"
PLACEHOLDER: Final = "placeholder-of-this-attempt"
_SLEEPS: Final = "exec sleep 60"
_SERVES: Final = "exec python3 -I -m http.server --bind 127.0.0.1 --directory /tmp 8000"
_WITHIN_S: Final = 90.0
_POLL_S: Final = 0.05
_MOST: Final = 4 * 1024 * 1024
_MOST_SAID: Final = 200


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where sandboxes are looked at. Images are ids; `home` is a directory of ours with a short name.

    inside: runs a script of the shell's in a container that is up, and gives what it printed to standard output; raises
    SandboxFault where it fails.
    """

    containers: Containers
    inside: Callable[[str, str], str]
    home: Path
    agent_image: str
    relay_image: str
    gate_image: str
    owner: Owner
    limits: Limits = field(default_factory=Limits)

    def directory(self, name: str) -> Path:
        """The directory of that name below `home`, there."""
        made = self.home / name
        made.mkdir(exist_ok=True)
        return made


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the probe saw, and the sandbox that it was started with; `spec` is to be removed, with all beside it."""

    spec: SandboxSpec
    bounds: Bounds
    seen: dict[str, Any]


def look(ground: Ground, place: Place) -> Seen:
    """Start the place's sandbox with the probe in it. Raises SandboxFault where it tells nothing, Unavailable.

    Files that no sandbox is shown lie beside those that it is shown. What was started is left for the caller to remove,
    by name: it can be asked about till then.
    """
    for hidden in (ground.home, ground.directory("elsewhere")):
        (hidden / NEIGHBOUR).write_text("theirs", encoding="utf-8")
    with ExitStack() as stack:
        match place:
            case Place.AGENT:
                spec = agent(ground, (*PYTHON, "-c", PROBE), claude_environment("api_key", PLACEHOLDER))
                stack.enter_context(listening(ground.directory("sockets") / MODEL_SOCKET))
                ground.containers.start(spec)
                return _read(spec, spec, _told_by_agent(ground, spec))
            case Place.SETUP | Place.RELAY | Place.HOLDER:
                spec = setup(ground, SAYS_IT if place is Place.SETUP else _SLEEPS)
                stack.enter_context(listening(ground.directory("sockets") / EGRESS_SOCKET))
                ground.containers.start(spec)
                return _beside(ground, spec, place)
            case Place.GATE | Place.GATE_SERVED:
                spec = gate(ground, SAYS_IT) if place is Place.GATE else served(ground, SAYS_IT, _SERVES)
                ground.containers.start(spec)
                return _read(spec, spec, _told(ground, spec.name))
            case Place.SERVICE:
                spec = served(ground, _SLEEPS, SAYS_IT)
                ground.containers.start(spec)
                return _read(spec, spec.services[0], _told(ground, spec.services[0].name))


def try_bound(ground: Ground, name: str) -> Came:
    """Try what TRIALS says of that name in a gate's sandbox, and remove it. Raises SandboxFault, Unavailable."""
    trial = TRIALS[name]
    spec = gate(ground, f"exec python3 -I -c {shlex.quote(trial.program)}", limits=trial.limits)
    try:
        ground.containers.start(spec)
        status = _ended(ground, spec.name)
        printed = ground.containers.output(spec.name, 10_000).decode("utf-8", "replace")
    finally:
        ground.containers.remove(spec.name)
    return Came(exit_code=status.exit_code, oom=status.oom, printed=printed)


def agent(ground: Ground, argv: tuple[str, ...], environment: dict[str, str]) -> SandboxSpec:
    """The agent's sandbox, with that command line in the agent's place."""
    folder = ground.directory("in")
    (folder / "launch.json").write_bytes(launch_file(argv, environment))
    (folder / "prompt.txt").write_text("Say it.", encoding="utf-8")
    return agent_spec(
        owner=ground.owner,
        image=ground.agent_image,
        relay_image=ground.relay_image,
        tree=str(ground.directory("tree")),
        in_dir=str(folder),
        out_dir=str(ground.directory("agent-out")),
        socket_dir=str(ground.directory("sockets")),
        hold_s=30,
        limits=ground.limits,
    )


def setup(ground: Ground, script: str) -> SandboxSpec:
    """A set-up that runs `script`."""
    return setup_spec(
        owner=ground.owner,
        key="probe",
        image=ground.gate_image,
        relay_image=ground.relay_image,
        tree=str(ground.directory("tree")),
        env_dir=str(ground.directory("env")),
        socket_dir=str(ground.directory("sockets")),
        script=script,
        limits=ground.limits,
    )


def gate(ground: Ground, script: str, *, limits: Limits | None = None) -> SandboxSpec:
    """A gate that runs `script`, with a set-up's result."""
    return gate_spec(
        owner=ground.owner,
        what="probe",
        take=1,
        image=ground.gate_image,
        tree=str(ground.directory("tree")),
        out_dir=str(ground.directory("out")),
        env_dir=str(ground.directory("env")),
        script=script,
        limits=ground.limits if limits is None else limits,
    )


def served(ground: Ground, script: str, run: str) -> SandboxSpec:
    """A gate that runs `script`, with a service that runs `run` beside it."""
    wanted = Service(
        name="web",
        image=ground.gate_image,
        run=run,
        environment=(),
        writable=("/var/lib/www",),
        ready=None,
        ready_timeout_s=30,
        memory=256 * 1024 * 1024,
    )
    beside = service_spec(owner=ground.owner, what="served", take=1, image=ground.gate_image, service=wanted)
    return gate_spec(
        owner=ground.owner,
        what="served",
        take=1,
        image=ground.gate_image,
        tree=str(ground.directory("tree")),
        out_dir=str(ground.directory("out")),
        script=script,
        limits=ground.limits,
        beside=Beside(relay_image=ground.relay_image, services=(beside,)),
    )


@contextmanager
def listening(path: Path) -> Iterator[None]:
    """A Unix socket that somebody listens at, as the daemon would."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _beside(ground: Ground, spec: SandboxSpec, place: Place) -> Seen:
    if place is Place.SETUP or spec.relay is None:
        return _read(spec, spec, _told(ground, spec.name))
    relay = relay_spec(spec, spec.relay)
    name = relay_name(spec.name) if place is Place.RELAY else f"{spec.name}-infra"
    return _read(spec, relay, ground.inside(name, SAYS_IT))


def _told(ground: Ground, name: str) -> str:
    status = _ended(ground, name)
    printed = ground.containers.output(name, _MOST).decode("utf-8", "replace")
    if status != SandboxStatus(state=RunState.EXITED, exit_code=0):
        raise _silent(name, status, printed)
    return printed


def _told_by_agent(ground: Ground, spec: SandboxSpec) -> str:
    status = _ended(ground, spec.name)
    out = ground.directory("agent-out")
    if status != SandboxStatus(state=RunState.EXITED, exit_code=0):
        raise _silent(spec.name, status, _text(out / "stderr.txt"))
    return _text(out / "events.jsonl")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode("utf-8", "replace")
    except OSError:
        return ""


def _ended(ground: Ground, name: str) -> SandboxStatus:
    pause = threading.Event()
    for _ in range(int(_WITHIN_S / _POLL_S)):
        status = ground.containers.status(name)
        if status.state is not RunState.RUNNING:
            return status
        pause.wait(_POLL_S)
    raise SandboxFault(f"{name} did not end within {_WITHIN_S:.0f} s; see what slows this host and try again.")


def _silent(name: str, status: SandboxStatus, printed: str) -> SandboxFault:
    said = " ".join(printed.split())
    if len(said) > _MOST_SAID:
        # Whole words alone: what is left of a secret that is cut in two is taken for none by whoever looks for it.
        said = said[-_MOST_SAID:].partition(" ")[2]
    said = said or "nothing that can be shown"
    return SandboxFault(f"The probe in {name} failed (exit {status.exit_code}); it said: {said}")


def _read(spec: SandboxSpec, of: SandboxSpec, printed: str) -> Seen:
    lines = printed.splitlines()
    try:
        seen = json.loads(lines[-1] if lines else "")
    except ValueError as fault:
        raise _silent(of.name, SandboxStatus(state=RunState.EXITED, exit_code=0), printed) from fault
    if not isinstance(seen, dict):
        raise _silent(of.name, SandboxStatus(state=RunState.EXITED, exit_code=0), printed)
    return Seen(spec=spec, bounds=Bounds.of(of), seen=seen)
