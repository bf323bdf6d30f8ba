"""What the tests on real podman share: sandboxes of each kind, and how to wait for them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from podman import PodmanClient

from runner.launch import launch_file
from runner.sandbox import Limits, Owner, agent_spec, gate_spec
from runner.sandboxes import RunState, SandboxSpec, SandboxStatus
from tests.sandbox.podman_lab import PodmanLab

OWNER = Owner(run_id="sealed", attempt=1, host="h1")
LIMITS = Limits()
PLACEHOLDER = "placeholder-of-this-attempt"


def ended(lab: PodmanLab, spec: SandboxSpec, within_s: float = 60) -> SandboxStatus:
    """The status once the sandbox has ended."""
    pause = threading.Event()
    for _ in range(int(within_s / 0.05)):
        status = lab.containers.status(spec.name)
        if status.state is not RunState.RUNNING:
            return status
        pause.wait(0.05)
    raise AssertionError(lab.said())


def eventually(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(600):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("it did not come to pass")


def gate(
    lab: PodmanLab, script: str, env_dir: Path | None = None, *, what: str = "probe", limits: Limits = LIMITS
) -> SandboxSpec:
    return gate_spec(
        owner=OWNER,
        what=what,
        take=1,
        image=lab.gate_image,
        tree=str(lab.directory("tree")),
        out_dir=str(lab.directory("out")),
        env_dir=str(env_dir) if env_dir is not None else None,
        script=script,
        limits=limits,
    )


def agent(lab: PodmanLab, argv: tuple[str, ...], environment: dict[str, str], prompt: str = "Say it.") -> SandboxSpec:
    folder = lab.directory("in")
    (folder / "launch.json").write_bytes(launch_file(argv, environment))
    (folder / "prompt.txt").write_text(prompt, encoding="utf-8")
    return agent_spec(
        owner=OWNER,
        image=lab.agent_image,
        relay_image=lab.relay_image,
        tree=str(lab.directory("tree")),
        in_dir=str(folder),
        out_dir=str(lab.directory("out")),
        socket_dir=str(lab.directory("sockets")),
        hold_s=30,
    )


def inside(lab: PodmanLab, name: str, script: str) -> tuple[int, str]:
    """Run a shell script in a container that is up."""
    with PodmanClient(base_url=lab.url, timeout=30) as client:
        code, printed = client.containers.get(name).exec_run(["sh", "-c", script], demux=True)
    assert isinstance(printed, tuple)
    return int(code or 0), (printed[0] or b"").decode("utf-8")


@contextmanager
def listening(path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield
    path.unlink()
