"""A gate with a service beside it, on real podman: it reaches the service, and neither reaches anything else."""

from __future__ import annotations

import pytest

from gates.services import Service
from runner.sandbox import Beside, Owner, gate_spec, service_spec
from runner.sandboxes import RunState, SandboxSpec
from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.scenes import ended

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
