"""Set-ups on real podman: what a change's own build can harm, and where a set-up can go, seen from the inside."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gates.plan import GATE_FILE, GatePlan, plan
from gates.verdict import Inconclusive
from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_records import SqlRecords
from runner.adapters.system_clock import SystemClock
from runner.disk import Disk
from runner.egress_rules import Egress
from runner.fleet import Fleet, RepoRules
from runner.gateway.egress import EgressProxy
from runner.gateway.loop import GatewayLoop
from runner.layout import Layout
from runner.model import Phase
from runner.recipes import Recipes
from runner.records import RunRecord
from runner.sandbox import Limits
from runner.sandbox_run import SandboxRunner
from runner.setup_run import Environment, SetUp, Wanted
from tests.sandbox.podman_lab import PodmanLab

pytestmark = [pytest.mark.podman, pytest.mark.timeout(240)]

RUN = "widgets-1-aaaaaa"
NEXT = "widgets-2-bbbbbb"

# A build backend of the repository's own, as PEP 517 has it: pip runs it to make the package.
HOOK = """
import zipfile
{deed}
def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "lib-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{{directory}}/{{name}}", "w") as wheel:
        wheel.writestr("lib.py", "KIND = {kind!r}\\n")
        wheel.writestr("lib-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: lib\\nVersion: 1\\n")
        wheel.writestr("lib-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("lib-1.dist-info/RECORD", "")
    return name
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "{hook}"\nbackend-path = ["hooks"]\n'
EVERYWHERE = """
import glob, os
for top in ("/ashigaru", "/workspace", "/tmp", "/var", "/root", "/home", "/usr", "/etc", "/run"):
    for here, _, _ in os.walk(top):
        try:
            with open(os.path.join(here, "poisoned"), "w") as file:
                file.write("poison")
        except OSError:
            pass
"""
PIP = "/ashigaru/env/venv/bin/python -m pip install --quiet --no-index --no-deps --no-build-isolation ."
GATE = f"""
[setup]
run = ["python3 -m venv --system-site-packages /ashigaru/env/venv", "{PIP}"]
[[gate]]
name = "test"
run = "true"
"""
BASE = {
    GATE_FILE: GATE,
    "pyproject.toml": PROJECT.format(hook="good"),
    "hooks/good.py": HOOK.format(deed="", kind="clean"),
}
POISONED = {
    **BASE,
    "pyproject.toml": PROJECT.format(hook="evil"),
    "hooks/evil.py": HOOK.format(deed=EVERYWHERE, kind="poison"),
}


@dataclass(frozen=True, kw_only=True)
class Trees:
    """Checkouts of commits that are told outright."""

    commits: Mapping[str, Mapping[str, str]]

    def read(self, _run_id: str, commit: str, path: str) -> bytes | None:
        text = self.commits[commit].get(path)
        return None if text is None else text.encode()

    def paths(self, _run_id: str, commit: str) -> tuple[str, ...]:
        return tuple(sorted(self.commits[commit]))

    def export(self, _run_id: str, commit: str, destination: Path) -> None:
        for path, text in self.commits[commit].items():
            (destination / path).parent.mkdir(parents=True, exist_ok=True)
            (destination / path).write_text(text, encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Yard:
    """One state directory with everything that makes set-ups."""

    set_up: SetUp
    proxy: EgressProxy
    records: SqlRecords
    plan: GatePlan
    image: str
    state: Path

    def made(self, run_id: str = RUN, change: tuple[str, str] | None = None) -> Environment | Inconclusive:
        wanted = Wanted(run_id=run_id, base_sha="base", plan=self.plan, image=self.image, change=change)
        made = self.set_up.environment(wanted, lambda: False)
        assert isinstance(made, Environment | Inconclusive), made
        return made

    def made_at(self, run_id: str = RUN, change: tuple[str, str] | None = None) -> Path:
        made = self.made(run_id, change)
        assert isinstance(made, Environment), made
        assert made.path is not None
        return made.path


@contextmanager
def yard(lab: PodmanLab, commits: Mapping[str, Mapping[str, str]], rules: Egress = Egress()) -> Iterator[Yard]:  # noqa: B008 - frozen
    state = lab.directory("s")
    engine = open_engine(f"sqlite:///{state}/records.db")
    migrate(engine)
    records = SqlRecords(engine)
    for run_id, issue in ((RUN, 1), (NEXT, 2)):
        records.claim(
            RunRecord(
                run_id=run_id,
                repo="acme/widgets",
                issue=issue,
                brief="x",
                model=None,
                phase=Phase.GATE,
                base_branch="main",
                branch="b",
                created_at=0,
                updated_at=0,
                start_tier=0,
            )
        )
    checkouts = Trees(commits=commits)
    found = plan(checkouts.read(RUN, "base", GATE_FILE), (), lambda _path: None)
    assert isinstance(found, GatePlan)
    containers, clock, layout = lab.containers, SystemClock(), Layout(state_dir=state)
    loop = GatewayLoop()
    loop.start()
    proxy = EgressProxy(loop, Egress())
    set_up = SetUp(
        containers=containers,
        checkouts=checkouts,  # type: ignore[arg-type] # what a set-up asks of them
        clock=clock,
        layout=layout,
        recipes=Recipes(
            image_id=containers.image_id,
            host="here",
            agent_image=lab.agent_image,
            relay_image=lab.relay_image,
            gate_image=lab.gate_image,
            agent_limits=Limits(),
            gate_limits=Limits(),
            hold_s=5,
        ),
        sandboxes=SandboxRunner(
            containers=containers, clock=clock, stopping=threading.Event(), disk=Disk(state_dir=state, clock=clock)
        ),
        egress=proxy,
        records=records,
        fleet=Fleet(repos={"acme/widgets": RepoRules(egress=rules)}),
    )
    try:
        yield Yard(
            set_up=set_up,
            proxy=proxy,
            records=records,
            plan=found,
            image=containers.image_id(lab.gate_image),
            state=state,
        )
    finally:
        proxy.close()
        loop.close()
        engine.dispose()


def content_of(folder: Path) -> dict[str, str]:
    """Every plain file below it, by a digest."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def kind_in(environment: Path) -> str:
    (lib,) = environment.glob("venv/lib/python3*/site-packages/lib.py")
    return lib.read_text(encoding="utf-8").strip()


def test_a_poisoned_build_backend_harms_its_own_layer_alone(podman_host: PodmanLab) -> None:
    with yard(podman_host, {"base": BASE, "evil": POISONED, "honest": {**BASE, "note.txt": "x"}}) as one:
        base = one.made_at()
        before = content_of(base)
        assert kind_in(base) == "KIND = 'clean'"

        own = one.made_at(change=("evil", "head-1-1"))
        assert kind_in(own) == "KIND = 'poison'", "the change's own dependencies are set up for it"
        assert (own / "poisoned").read_text(encoding="utf-8") == "poison", "and its build did what it could"
        assert own.is_relative_to(one.state / "runs" / RUN)

        assert content_of(base) == before
        assert one.made_at() == base
        assert one.made_at(NEXT, ("honest", "head-1-1")) == base, "the next run's change edits no manifest"
        assert one.made_at(change=("evil", "head-2-1")) != own, "nor does the next attempt use it"
        strays = [path for path in one.state.rglob("poisoned") if not path.is_relative_to(one.state / "runs" / RUN)]
        assert strays == []


INSIDE = """
import json, socket
def said(line):
    with socket.create_connection(("127.0.0.1", 3128), 10) as made:
        made.sendall((line + "\\r\\n\\r\\n").encode())
        head = b""
        while not head.endswith(b"\\r\\n\\r\\n"):
            byte = made.recv(1)
            if not byte:
                break
            head += byte
        if b" 200 " in head:
            made.sendall(b"ping")
            return made.recv(4).decode()
        return head.decode().split("\\r\\n")[0]
def fault(deed):
    try:
        deed()
    except OSError as exc:
        return type(exc).__name__
    return "it went through"
seen = {{
    "named": said("CONNECT localhost:{port} HTTP/1.1"),
    "unnamed": said("CONNECT evil.example:443 HTTP/1.1"),
    "port": said("CONNECT localhost:22 HTTP/1.1"),
    "address": said("CONNECT 127.0.0.1:{port} HTTP/1.1"),
    "metadata": said("CONNECT 169.254.169.254:80 HTTP/1.1"),
    "get": said("GET http://localhost:{port}/ HTTP/1.1"),
    "direct": fault(lambda: socket.create_connection(("192.0.2.1", 443), 5)),
    "resolve": fault(lambda: socket.getaddrinfo("localhost.example", 443)),
}}
json.dump(seen, open("/ashigaru/env/seen.json", "w"))
"""


REACH = """
import socket
with socket.create_connection(("127.0.0.1", 3128), 10) as made:
    made.sendall(b"CONNECT localhost:{port} HTTP/1.1\\r\\n\\r\\n")
    assert made.recv(100), "nobody answers"
"""


@dataclass(kw_only=True)
class Echo:
    """A server on this machine that says everything again; heard: how many connections it had."""

    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    heard: int = 0

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                made, _ = self.listener.accept()
            except OSError:
                return
            self.heard += 1
            with made:
                made.settimeout(10)
                if data := made.recv(100):
                    made.sendall(data)


@contextmanager
def echo() -> Iterator[Echo]:
    made = Echo()
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.listener.shutdown(socket.SHUT_RDWR)
        made.listener.close()
        thread.join(10)


def gate_file(*commands: str) -> str:
    return f'[setup]\nrun = {json.dumps(list(commands))}\n[[gate]]\nname = "test"\nrun = "true"\n'


def test_from_the_inside_there_is_the_proxy_alone_and_it_goes_where_it_may(podman_host: PodmanLab) -> None:
    with echo() as server:
        rules = Egress(allowed=frozenset({f"localhost:{server.port}"}), private_hosts=frozenset({"localhost"}))
        files = {GATE_FILE: gate_file("python3 probe.py"), "probe.py": INSIDE.format(port=server.port)}
        with yard(podman_host, {"base": files}, rules) as one:
            seen = json.loads((one.made_at() / "seen.json").read_text(encoding="utf-8"))
            (notice,) = one.records.notices(RUN)
    assert seen.pop("named") == "ping"
    assert {seen.pop(one) for one in ("unnamed", "port")} == {"HTTP/1.1 403 Forbidden"}
    assert {seen.pop(one) for one in ("address", "metadata", "get")} == {"HTTP/1.1 405 Method Not Allowed"}
    assert seen == {"direct": "OSError", "resolve": "gaierror"}
    assert server.heard == 1
    for refused in ("evil.example:443", "localhost:22", "169.254.169.254"):
        assert refused in notice.text


def test_with_the_proxy_dead_a_set_up_has_no_network_at_all_and_fails_as_blocked(podman_host: PodmanLab) -> None:
    with echo() as server:
        rules = Egress(allowed=frozenset({f"localhost:{server.port}"}), private_hosts=frozenset({"localhost"}))
        files = {GATE_FILE: gate_file("python3 reach.py"), "reach.py": REACH.format(port=server.port)}
        with yard(podman_host, {"base": files}, rules) as one:
            one.proxy.open = lambda owner, socket_dir, rules=None: socket_dir.mkdir(parents=True)  # type: ignore[method-assign] # noqa: ARG005
            told = one.made()
    assert isinstance(told, Inconclusive)
    assert "set-up" in told.reason
    assert server.heard == 0
