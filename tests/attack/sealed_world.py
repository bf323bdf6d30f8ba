"""One probe inside each kind of sandbox: what many cases look at. Made once for a ground."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from podman import PodmanClient

from gates.services import Service
from runner.launch import claude_environment, launch_file
from runner.sandbox import Beside, Limits, Owner, agent_spec, gate_spec, relay_name, service_spec, setup_spec
from runner.sandboxes import RunState, SandboxSpec
from tests.attack.ground import Ground
from tests.attack.podman_ground import NoAnswer, undisturbed
from tests.sandbox.podman_lab import PodmanLab

PLACEHOLDER: Final = "placeholder-of-this-attempt"
OTHERS: Final = "what another run keeps"
SCRATCH: Final = 16 * 1024 * 1024
HOSTS: Final = {
    "internet": "192.0.2.1",
    "lan": "10.0.0.1",
    "metadata": "169.254.169.254",
    "resolver": "198.51.100.53",
    "internet-v6": "2001:db8::1",
}
_PYTHON: Final = "/usr/bin/python3"
_SOURCE: Final = Path(__file__).with_name("probe.py")
_LIMITS: Final = Limits(scratch=SCRATCH)
_END_S: Final = 90.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the probe said from inside, and where the things lie that it was told of."""

    said: dict[str, Any]
    port: int
    abstract: str
    podman_socket: str
    others_file: str
    daemon_file: str
    inspected: str


def seen_by(ground: Ground, role: str) -> Seen:
    """The probe's answer from a sandbox of that role: gate, agent, setup, relay or service."""
    return ground.world(f"sealed-{role}", lambda: undisturbed(lambda: _probed(ground.podman, role)))


def _probed(lab: PodmanLab, role: str) -> Seen:
    others = lab.directory("other")
    (others / "work.txt").write_text(OTHERS, encoding="utf-8")
    (lab.home / "daemon.key").write_text("a key of the daemon's", encoding="utf-8")
    tree = lab.directory(f"tree-{role}")
    # An agent's entrypoint never begins twice where it has written before.
    shutil.rmtree(lab.home / "out-agent", ignore_errors=True)
    podman_socket = lab.url.removeprefix("unix://")
    planted = tree / "link"
    planted.unlink(missing_ok=True)
    planted.symlink_to(others / "work.txt")
    with _listeners() as (port, abstract):
        told = {
            "hosts": list(HOSTS.values()),
            "ports": [port],
            "unix": [f"@{abstract}", podman_socket, "/run/dbus/system_bus_socket"],
            "files": [str(others / "work.txt"), str(lab.home / "daemon.key"), "/workspace/link", "/etc/shadow"],
            "writes": [
                *("/etc/x", "/usr/local/bin/git", "/var/tmp/x", "/run/x", "/ashigaru/x"),  # noqa: S108 - inside
                *("/ashigaru/in/launch.json", "/ashigaru/env/x", "/ashigaru/sockets/x", "/ashigaru/ca/x"),
            ],
            "fill": 2 * SCRATCH,
        }
        argv = (_PYTHON, "-c", _SOURCE.read_text(encoding="utf-8"), json.dumps(told))
        spec = _spec(lab, role, tree, argv)
        lab.containers.start(spec)
        try:
            said = _said(lab, role, spec, argv)
            inspected = _inspected(lab, spec)
        finally:
            lab.containers.remove(spec.name)
            planted.unlink()
    return Seen(
        said=said,
        port=port,
        abstract=f"@{abstract}",
        podman_socket=podman_socket,
        others_file=str(others / "work.txt"),
        daemon_file=str(lab.home / "daemon.key"),
        inspected=inspected,
    )


def _spec(lab: PodmanLab, role: str, tree: Path, argv: tuple[str, ...]) -> SandboxSpec:
    owner = Owner(run_id=f"attack-{role}", attempt=1, host="h1")
    match role:
        case "gate" | "service":
            return _gate(lab, role, owner, tree, shlex.join(argv))
        case "setup":
            return _setup(lab, role, owner, tree, shlex.join(argv))
        case "relay":
            # It is asked from within while the set-up waits: the relay has no command but its own.
            return _setup(lab, role, owner, tree, "sleep 90")
        case _:
            inputs = lab.directory("in-agent")
            (inputs / "launch.json").write_bytes(launch_file(argv, claude_environment("api_key", PLACEHOLDER)))
            (inputs / "prompt.txt").write_text("Say it.", encoding="utf-8")
            return agent_spec(
                owner=owner,
                image=lab.agent_image,
                relay_image=lab.relay_image,
                tree=str(tree),
                in_dir=str(inputs),
                out_dir=str(lab.directory("out-agent")),
                socket_dir=str(lab.directory("sock-agent")),
                hold_s=5,
                limits=_LIMITS,
            )


def _gate(lab: PodmanLab, role: str, owner: Owner, tree: Path, script: str) -> SandboxSpec:
    beside = None
    if role == "service":
        wanted = Service(
            name="probe",
            image=lab.gate_image,
            run=script,
            environment=(),
            writable=(),
            ready=None,
            ready_timeout_s=30,
            memory=SCRATCH,
        )
        service = service_spec(owner=owner, what="probe", take=1, image=lab.gate_image, service=wanted)
        # What a service writes is its memory, so its scratch is as large as its memory; that is not asked of here.
        beside = Beside(relay_image=lab.relay_image, services=(replace(service, memory=_LIMITS.memory),))
    return gate_spec(
        owner=owner,
        what="probe",
        take=1,
        image=lab.gate_image,
        tree=str(tree),
        out_dir=str(lab.directory(f"out-{role}")),
        env_dir=str(lab.directory(f"env-{role}")),
        script=script if beside is None else "sleep 90",
        limits=_LIMITS,
        beside=beside,
    )


def _setup(lab: PodmanLab, role: str, owner: Owner, tree: Path, script: str) -> SandboxSpec:
    certificates = lab.directory("ca")
    (certificates / "ca-certificates.crt").write_text("", encoding="utf-8")
    return setup_spec(
        owner=owner,
        key="probe",
        image=lab.gate_image,
        relay_image=lab.relay_image,
        tree=str(tree),
        env_dir=str(lab.directory(f"env-{role}")),
        socket_dir=str(lab.directory(f"sock-{role}")),
        script=script,
        ca_dir=str(certificates),
        limits=_LIMITS,
    )


def _wait(lab: PodmanLab, name: str) -> None:
    pause = threading.Event()
    for _ in range(int(_END_S / 0.05)):
        if lab.containers.status(name).state is not RunState.RUNNING:
            return
        pause.wait(0.05)
    raise NoAnswer(f"the probe did not end: {lab.said()}")


def _said(lab: PodmanLab, role: str, spec: SandboxSpec, argv: tuple[str, ...]) -> dict[str, Any]:
    match role:
        case "agent":
            _wait(lab, spec.name)
            printed = (lab.home / "out-agent" / "events.jsonl").read_text(encoding="utf-8")
        case "relay":
            printed = _inside(lab, relay_name(spec.name), argv)
        case _:
            name = spec.services[0].name if role == "service" else spec.name
            _wait(lab, name)
            printed = lab.containers.output(name, 1_000_000).decode("utf-8", "replace")
    try:
        told: dict[str, Any] = json.loads(printed)
    except ValueError as exc:
        raise NoAnswer(f"the probe said no JSON but {printed[-600:]!r}") from exc
    return told


def _inside(lab: PodmanLab, name: str, argv: tuple[str, ...]) -> str:
    with PodmanClient(base_url=lab.url, timeout=60) as client:
        _, printed = client.containers.get(name).exec_run(list(argv), demux=True)
    return (printed[0] or printed[1] or b"").decode("utf-8", "replace") if isinstance(printed, tuple) else ""


def _inspected(lab: PodmanLab, spec: SandboxSpec) -> str:
    with PodmanClient(base_url=lab.url, timeout=30) as client:
        return json.dumps(client.containers.get(spec.name).inspect())


@contextmanager
def _listeners() -> Iterator[tuple[int, str]]:
    """A port on this machine's loopback and an abstract socket, as a careless service of the host would have."""
    with socket.create_server(("127.0.0.1", 0)) as port, socket.socket(socket.AF_UNIX) as abstract:
        number = int(port.getsockname()[1])
        name = f"ash-attack-{number}"
        abstract.bind(f"\0{name}")
        abstract.listen()
        yield number, name
