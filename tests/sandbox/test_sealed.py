"""Every recipe, looked at from inside: one probe and one table of what it is to find (`tests.sandbox.inside`)."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from podman import PodmanClient

from gates.services import Service
from runner.launch import claude_environment
from runner.sandbox import Beside, gate_spec, relay_name, service_spec, setup_spec
from runner.sandboxes import RunState, SandboxSpec
from tests.sandbox.inside import (
    ASSERTIONS,
    NEIGHBOUR,
    OF_THE_ENGINE,
    OF_THE_ENGINE_MAYBE,
    PROBE,
    broken,
    secrets_in,
    shown,
)
from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.scenes import OWNER, PLACEHOLDER, agent, ended, gate, inside, listening

pytestmark = pytest.mark.podman

SAYS_IT = f"exec python3 -I -c {shlex.quote(PROBE)}"
SECRET = "worth-much-on-the-host"
SERVE = "exec python3 -I -m http.server --bind 127.0.0.1 --directory /tmp 8000"


def in_a_gate(lab: PodmanLab) -> tuple[SandboxSpec, dict[str, Any]]:
    spec = gate(lab, SAYS_IT, env_dir=lab.directory("env"))
    return spec, told(lab, spec, spec.name)


def in_an_agent(lab: PodmanLab) -> tuple[SandboxSpec, dict[str, Any]]:
    spec = agent(lab, ("/usr/bin/python3", "-I", "-c", PROBE), claude_environment("api_key", PLACEHOLDER))
    with listening(lab.directory("sockets") / "model.sock"):
        lab.containers.start(spec)
        status = ended(lab, spec)
    events = lab.directory("out") / "events.jsonl"
    assert status.exit_code == 0, (events.parent / "stderr.txt").read_text(encoding="utf-8")
    seen: dict[str, Any] = json.loads(events.read_text(encoding="utf-8"))
    return spec, seen


def in_a_set_up(lab: PodmanLab, script: str = SAYS_IT) -> tuple[SandboxSpec, dict[str, Any]]:
    spec = setup(lab, script)
    with listening(lab.directory("sockets") / "egress.sock"):
        return spec, told(lab, spec, spec.name)


def in_a_relay(lab: PodmanLab) -> tuple[SandboxSpec, dict[str, Any]]:
    spec = setup(lab, "exec sleep 60")
    with listening(lab.directory("sockets") / "egress.sock"):
        lab.containers.start(spec)
        code, printed = inside(lab, relay_name(spec.name), SAYS_IT)
    assert code == 0, printed
    return spec, json.loads(printed)


def in_a_service(lab: PodmanLab) -> tuple[SandboxSpec, dict[str, Any]]:
    spec = served(lab, "exec sleep 20", SAYS_IT)
    return spec, told(lab, spec, spec.services[0].name)


def in_a_gate_beside_a_service(lab: PodmanLab) -> tuple[SandboxSpec, dict[str, Any]]:
    spec = served(lab, SAYS_IT, SERVE)
    return spec, told(lab, spec, spec.name)


Looks = Callable[[PodmanLab], tuple[SandboxSpec, dict[str, Any]]]
RECIPES: dict[Looks, tuple[dict[str, str], set[str], set[str]]] = {
    in_an_agent: (
        {"/workspace": "done", "/ashigaru/in": "EROFS", "/ashigaru/out": "done"},
        {"/workspace", "/ashigaru/out", "/tmp"},  # noqa: S108 - inside
        set(),
    ),
    in_a_gate: (
        {"/workspace": "done", "/ashigaru/out": "done", "/ashigaru/env": "EROFS"},
        {"/workspace", "/ashigaru/out", "/tmp"},  # noqa: S108 - inside
        set(),
    ),
    in_a_gate_beside_a_service: (
        {"/workspace": "done", "/ashigaru/out": "done"},
        {"/workspace", "/ashigaru/out", "/tmp"},  # noqa: S108 - inside
        set(),
    ),
    in_a_set_up: (
        {"/workspace": "done", "/ashigaru/env": "done"},
        {"/workspace", "/ashigaru/env", "/tmp"},  # noqa: S108 - inside
        set(),
    ),
    in_a_service: ({}, {"/tmp", "/var/lib/www"}, set()),  # noqa: S108 - inside
    in_a_relay: ({"/ashigaru/sockets": "EROFS"}, set(), {"/ashigaru/sockets/egress.sock"}),
}
"""For each recipe: what of the host's it is shown and what touching a file there comes to; where it can write; the
sockets it is granted.
"""
OWN_DEVICES = {"/dev/shm", "/dev/mqueue"}  # noqa: S108 - inside


@pytest.mark.parametrize("looks", RECIPES, ids=lambda looks: str(looks.__name__).removeprefix("in_a_"))
def test_every_recipe_is_sealed(podman_host: PodmanLab, looks: Looks) -> None:
    (podman_host.directory("elsewhere") / NEIGHBOUR).write_text("theirs", encoding="utf-8")
    (podman_host.home / NEIGHBOUR).write_text("theirs", encoding="utf-8")
    spec, seen = looks(podman_host)
    granted, writable, sockets = RECIPES[looks]
    assert broken(seen) == [], shown(seen)
    assert seen["granted"] == granted
    assert {path for path in seen["writable"] if not path.startswith("/tmp/")} - OWN_DEVICES == writable  # noqa: S108
    assert set(seen["sockets"]) == sockets
    places = granted.keys() | {path for path in writable if path not in granted}
    assert set(seen["mounts"]) - OF_THE_ENGINE_MAYBE == OF_THE_ENGINE | places
    assert PLACEHOLDER not in spoken_of(podman_host, spec)
    podman_host.containers.remove(spec.name)


def test_what_holds_a_pod_together_is_shown_nothing_and_does_nothing(podman_host: PodmanLab) -> None:
    spec = setup(podman_host, "exec sleep 60")
    with listening(podman_host.directory("sockets") / "egress.sock"):
        podman_host.containers.start(spec)
    code, printed = inside(podman_host, f"{spec.name}-infra", SAYS_IT)
    assert code == 0, printed
    seen = json.loads(printed)
    # Podman gives it a writable root, and the capabilities that a process without privileges cannot take up.
    held = set(ASSERTIONS) - {"the root is read-only", "no capability, not even in the bounding set", "no core dumps"}
    assert held & set(broken(seen)) == set(), shown(seen)
    assert seen["first"]["caps"][2] == 0
    assert (seen["granted"], seen["sockets"]) == ({}, [])
    assert set(seen["mounts"]) - OF_THE_ENGINE_MAYBE == OF_THE_ENGINE
    assert {text for path, text in seen["said"].items() if path == "/proc/1/cmdline"} == {"/bin/sleep\0infinity\0"}
    podman_host.containers.remove(spec.name)


def test_an_agents_placeholder_is_in_its_own_process_alone(podman_host: PodmanLab) -> None:
    spec, seen = in_an_agent(podman_host)
    assert set(seen["environ"]) <= {*claude_environment("api_key", PLACEHOLDER), "PWD", "LC_CTYPE"}
    assert "/proc/1/environ" not in secrets_in(seen, PLACEHOLDER)
    assert not [path for path in secrets_in(seen, PLACEHOLDER) if path.endswith("cmdline")]
    podman_host.containers.remove(spec.name)


def test_a_gates_environment_is_the_recipes(podman_host: PodmanLab) -> None:
    spec, seen = in_a_gate(podman_host)
    allowed = {"HOME", "HOSTNAME", "LANG", "PATH", "PWD", "TERM", "TMPDIR", "container", "LC_CTYPE"}
    assert set(seen["environ"]) <= allowed
    podman_host.containers.remove(spec.name)


def setup(lab: PodmanLab, script: str) -> SandboxSpec:
    return setup_spec(
        owner=OWNER,
        key="probe",
        image=lab.gate_image,
        relay_image=lab.relay_image,
        tree=str(lab.directory("tree")),
        env_dir=str(lab.directory("env")),
        socket_dir=str(lab.directory("sockets")),
        script=script,
    )


def served(lab: PodmanLab, script: str, run: str) -> SandboxSpec:
    """A gate that runs `script`, with a service that runs `run` beside it."""
    wanted = Service(
        name="web",
        image=lab.gate_image,
        run=run,
        environment=(),
        writable=("/var/lib/www",),
        ready=None,
        ready_timeout_s=30,
        memory=256 * 1024 * 1024,
    )
    beside = service_spec(owner=OWNER, what="g", take=1, image=lab.gate_image, service=wanted)
    return gate_spec(
        owner=OWNER,
        what="g",
        take=1,
        image=lab.gate_image,
        tree=str(lab.directory("tree")),
        out_dir=str(lab.directory("out")),
        script=script,
        beside=Beside(relay_image=lab.relay_image, services=(beside,)),
    )


def told(lab: PodmanLab, spec: SandboxSpec, name: str) -> dict[str, Any]:
    """What the probe said in that sandbox, once it has ended."""
    lab.containers.start(spec)
    status = ended(lab, spec if name == spec.name else spec.services[0])
    said = lab.containers.output(name, 1_000_000)
    assert (status.state, status.exit_code) == (RunState.EXITED, 0), said
    seen: dict[str, Any] = json.loads(said.splitlines()[-1])
    return seen


def spoken_of(lab: PodmanLab, spec: SandboxSpec) -> str:
    """Everything that podman tells of the sandbox and its pod when asked, the logs of those beside it among it."""
    parts = []
    with PodmanClient(base_url=lab.url, timeout=30) as client:
        for found in client.containers.list(all=True, filters={"label": f"ashigaru.run={OWNER.run_id}"}):
            parts.append(json.dumps(client.containers.get(found.id).attrs))
            if found.name != spec.name:
                parts.extend(piece.decode("utf-8", "replace") for piece in found.logs(stream=True, follow=False))
        parts.extend(json.dumps(pod.attrs) for pod in client.pods.list())
    return "\n".join(parts)
