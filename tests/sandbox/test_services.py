"""A gate with a service beside it, on real podman: it reaches the service, and neither reaches anything else."""

from __future__ import annotations

import json

import pytest

from gates.services import Service
from runner.sandbox import Beside, Owner, gate_spec, service_spec
from runner.sandboxes import RunState, SandboxSpec
from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.test_sealed import ENGINE_FILES, PROBE, ended

pytestmark = pytest.mark.podman

OWNER = Owner(run_id="served", attempt=1, host="h1")
SERVE = "python3 -I -m http.server --bind 127.0.0.1 --directory /var/lib/www 8000"
ASK = """python3 -I - <<'END'
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:8000/", timeout=5).status)
END"""
READY = """python3 -I -c 'import socket; socket.create_connection(("127.0.0.1", 8000), 1)'"""


def with_service(lab: PodmanLab, script: str, run: str, writable: tuple[str, ...] = ("/var/lib/www",)) -> SandboxSpec:
    wanted = Service(
        name="web",
        image=lab.gate_image,
        run=run,
        environment=(("GREETING", "hello"),),
        writable=writable,
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


def test_a_gate_reaches_its_service_and_the_service_writes_where_it_may(podman_host: PodmanLab) -> None:
    wait = f"for i in $(seq 100); do {READY} 2>/dev/null && break; sleep 0.1; done"
    spec = with_service(podman_host, f"{wait}\n{ASK}", f"touch /var/lib/www/there && exec {SERVE}")
    containers = podman_host.containers
    containers.start(spec)
    assert ended(podman_host, spec).exit_code == 0, podman_host.said()
    assert b"200" in containers.output(spec.name, 1000)
    assert containers.status(spec.services[0].name).state is RunState.RUNNING
    containers.remove(spec.name)
    assert containers.status(spec.services[0].name).state is RunState.ABSENT


@pytest.mark.parametrize("inside", ["gate", "service"])
def test_with_a_service_beside_it_nothing_is_less_sealed(podman_host: PodmanLab, inside: str) -> None:
    probe = f"exec python3 -I - <<'END'\n{PROBE}\nEND"
    spec = with_service(podman_host, probe if inside == "gate" else "sleep 20", probe if inside == "service" else SERVE)
    seen = spec if inside == "gate" else spec.services[0]
    containers = podman_host.containers
    containers.start(spec)
    assert ended(podman_host, seen).exit_code == 0, containers.output(seen.name, 4000)
    told = json.loads(containers.output(seen.name, 100_000).splitlines()[-1])
    assert told["caps"] == [0, 0, 0, 0, 0]
    assert (told["no_new_privs"], told["seccomp"]) == (1, 2)
    assert told["uid"] != 0
    assert (told["interfaces"], told["routes"]) == (["lo"], 0)
    assert told["dns"].startswith("gaierror")
    assert told["outside"] == "OSError 101"
    assert set(told["root"]) == {"OSError 30"}
    assert told["sockets"] == []
    assert told["tmp"] == "done"
    if inside == "service":
        # Of the host's files it has none, but for what it shares with the whole pod: an empty directory.
        assert told["granted"] == {"/ashigaru/sockets": "OSError 30"}
        assert told["environ"]["GREETING"] == "hello"
        assert set(told["mounts"]) - {"/etc/resolv.conf"} == ENGINE_FILES | {"/ashigaru/sockets", "/var/lib/www"}
    containers.remove(spec.name)
