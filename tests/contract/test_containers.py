"""One suite for every `Containers`: the fake, and podman."""

from __future__ import annotations

import dataclasses
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from podman import PodmanClient

from gates.services import Service
from runner.adapters.podman_payloads import askable, container_arguments, pod_arguments
from runner.errors import ImageMissing, SandboxFault
from runner.ports import Containers
from runner.sandbox import Beside, Owner, gate_spec, service_spec, setup_name, setup_spec
from runner.sandboxes import RunState, SandboxSpec, SandboxStatus
from tests.fakes.behaviours import Behaviour, Ended, Inside, exits, ignores_stop, judges, runs_until_stopped
from tests.fakes.containers import FakeContainers
from tests.sandbox.podman_lab import PodmanLab


@dataclass(frozen=True, kw_only=True)
class Program:
    """The same thing to do, for a shell and for the fake."""

    script: str
    behaviour: Behaviour


def _counts(inside: Inside) -> Ended:
    with (inside.out / "runs").open("a", encoding="utf-8") as file:
        file.write("x")
    inside.say(b"ran\n")
    return Ended(code=7)


def _works(tree: Path, out: Path) -> tuple[int, bytes]:
    (out / "seen").write_bytes((tree / "given").read_bytes())
    return 0, b""


COUNTS = Program(script="printf x >> /ashigaru/out/runs; echo ran; exit 7", behaviour=_counts)
HEEDS_STOP = Program(script="trap 'exit 143' TERM; echo up; while :; do sleep 0.05; done", behaviour=runs_until_stopped)
IGNORES_STOP = Program(script="trap '' TERM; echo up; while :; do sleep 0.05; done", behaviour=ignores_stop)
PRINTS_MUCH = Program(
    script="i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; printf end >&2",
    behaviour=exits(output=b"".join(b"line %d\n" % number for number in range(5000)) + b"end"),
)
PRINTS_BYTES = Program(script=r"printf 'a\377\000b\r\n\nlast'", behaviour=exits(output=b"a\xff\x00b\r\n\nlast"))
PRINTS_ONE_LONG_LINE = Program(script="head -c 100000 /dev/zero | tr '\\0' y", behaviour=exits(output=b"y" * 100000))
COPIES = Program(script="cat given > /ashigaru/out/seen", behaviour=judges(_works))


@dataclass(kw_only=True)
class World:
    """One engine under test, and what is ours on it: whoever else has sandboxes there sees nothing of them, nor we."""

    host: str
    run_id: str
    containers: Containers
    image: str
    relay_image: str
    directory: Callable[[str], Path]
    programs: dict[str, Program]

    def gate(self, program: Program, *, run_id: str | None = None, what: str = "g", take: int = 1) -> SandboxSpec:
        spec = gate_spec(
            owner=Owner(run_id=run_id or self.run_id, attempt=2, host=self.host),
            what=what,
            take=take,
            image=self.image,
            tree=str(self.directory("tree")),
            out_dir=str(self.directory("out")),
            script=program.script,
        )
        self.programs[spec.name] = program
        return spec

    def setup(self, program: Program) -> SandboxSpec:
        spec = setup_spec(
            owner=Owner(run_id=self.run_id, attempt=0, host=self.host),
            key="k",
            image=self.image,
            relay_image=self.relay_image,
            tree=str(self.directory("tree")),
            env_dir=str(self.directory("env")),
            socket_dir=str(self.directory("sockets")),
            script=program.script,
        )
        self.programs[spec.name] = program
        return spec

    def served(self, program: Program, service: Program) -> SandboxSpec:
        """A gate with one service beside it."""
        owner = Owner(run_id=self.run_id, attempt=2, host=self.host)
        wanted = Service(
            name="db",
            image=self.image,
            run=service.script,
            environment=(),
            writable=("/var/lib/db",),
            ready=None,
            ready_timeout_s=10,
            memory=256 * 1024 * 1024,
        )
        beside = service_spec(owner=owner, what="g", take=1, image=self.image, service=wanted)
        spec = gate_spec(
            owner=owner,
            what="g",
            take=1,
            image=self.image,
            tree=str(self.directory("tree")),
            out_dir=str(self.directory("out")),
            script=program.script,
            beside=Beside(relay_image=self.relay_image, services=(beside,)),
        )
        self.programs |= {spec.name: program, beside.name: service}
        return spec

    def ended(self, name: str) -> SandboxStatus:
        """The status once it no longer runs."""
        pause = threading.Event()
        for _ in range(1000):
            status = self.containers.status(name)
            if status.state is not RunState.RUNNING:
                return status
            pause.wait(0.02)
        raise AssertionError(self.containers.output(name, 4000))

    def up(self, name: str) -> None:
        """Return once a podman sandbox has printed something: its traps are set. The fake needs no such wait."""
        pause = threading.Event()
        for _ in range(1000):
            if isinstance(self.containers, FakeContainers) or self.containers.output(name, 10):
                return
            pause.wait(0.02)
        raise AssertionError(f"{name} does not come up")


def on_podman(lab: PodmanLab) -> World:
    word = secrets.token_hex(4)
    return World(
        host=f"h-{word}",
        run_id=f"r-{word}",
        containers=lab.containers_of(f"h-{word}"),
        image=lab.gate_image,
        relay_image=lab.relay_image,
        directory=lab.directory,
        programs={},
    )


@pytest.fixture(params=["fake", pytest.param("podman", marks=pytest.mark.podman)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    programs: dict[str, Program] = {}
    if request.param == "podman":
        lab: PodmanLab = request.getfixturevalue("podman_host")
        return on_podman(lab)

    def directory(name: str) -> Path:
        (tmp_path / name).mkdir(exist_ok=True)
        return tmp_path / name

    fake = FakeContainers(lambda spec: programs[spec.name].behaviour, hosts=("h1",))
    return World(
        host="h1",
        run_id="r1",
        containers=fake,
        image=fake.image_id("localhost/ashigaru/gate:latest"),
        relay_image=fake.image_id("localhost/ashigaru/relay:latest"),
        directory=directory,
        programs=programs,
    )


def test_a_sandbox_that_is_ready_does_not_run_until_it_is_started(world: World) -> None:
    for spec in (world.gate(COUNTS), world.setup(Program(script=f"{COUNTS.script}", behaviour=exits(code=7)))):
        world.containers.ready(spec)
        world.containers.ready(spec)
        assert world.containers.status(spec.name).state is RunState.ABSENT
        assert world.containers.output(spec.name, 1000) == b""
    spec = world.gate(COUNTS)
    assert not (world.directory("out") / "runs").exists()
    world.containers.start(spec)
    assert world.ended(spec.name) == SandboxStatus(state=RunState.EXITED, exit_code=7)
    assert (world.directory("out") / "runs").read_text(encoding="utf-8") == "x"
    world.containers.ready(spec)
    assert world.containers.status(spec.name).state is RunState.EXITED
    for name in (spec.name, setup_name(world.run_id, "k")):
        world.containers.remove(name)
        assert world.containers.status(name).state is RunState.ABSENT


def test_a_sandbox_runs_once_and_is_adopted_when_it_has_exited(world: World) -> None:
    spec = world.gate(COUNTS)
    assert world.containers.start(spec) is True
    assert world.ended(spec.name) == SandboxStatus(state=RunState.EXITED, exit_code=7)
    assert world.containers.start(spec) is False
    assert world.ended(spec.name) == SandboxStatus(state=RunState.EXITED, exit_code=7)
    assert world.containers.output(spec.name, 1000) == b"ran\n"
    assert (world.directory("out") / "runs").read_text(encoding="utf-8") == "x"
    world.containers.remove(spec.name)


def test_a_running_sandbox_is_adopted(world: World) -> None:
    spec = world.gate(HEEDS_STOP)
    assert world.containers.start(spec) is True
    assert world.containers.start(spec) is False
    assert world.containers.status(spec.name) == SandboxStatus(state=RunState.RUNNING)
    world.containers.remove(spec.name)


def test_a_sandbox_with_a_relay_is_adopted_too(world: World) -> None:
    spec = world.setup(HEEDS_STOP)
    assert world.containers.start(spec) is True
    assert world.containers.start(spec) is False
    assert [found.name for found in world.containers.listing()] == [spec.name]
    world.containers.remove(spec.name)
    assert world.containers.listing() == ()


def test_a_removed_sandbox_starts_anew(world: World) -> None:
    spec = world.gate(COUNTS)
    for _ in range(2):
        assert world.containers.start(spec) is True
        world.ended(spec.name)
        world.containers.remove(spec.name)
    assert (world.directory("out") / "runs").read_text(encoding="utf-8") == "xx"


def test_of_many_starts_at_once_one_creates(world: World) -> None:
    spec = world.setup(HEEDS_STOP)
    with ThreadPoolExecutor(4) as pool:
        created = list(pool.map(lambda _: world.containers.start(spec), range(4)))
    assert sorted(created) == [False, False, False, True]
    assert world.containers.status(spec.name).state is RunState.RUNNING
    world.containers.remove(spec.name)


def test_a_sandbox_of_another_run_is_not_adopted(world: World) -> None:
    spec = world.gate(HEEDS_STOP)
    world.containers.start(spec)
    labels = tuple((key, "r2" if key == "ashigaru.run" else value) for key, value in spec.labels)
    with pytest.raises(SandboxFault):
        world.containers.start(dataclasses.replace(spec, labels=labels))
    world.containers.remove(spec.name)


def test_a_name_nobody_knows_is_absent(world: World) -> None:
    name = "ash-gate-nobody"
    assert world.containers.status(name) == SandboxStatus(state=RunState.ABSENT)
    assert world.containers.output(name, 100) == b""
    world.containers.stop(name, 1)
    world.containers.remove(name)


def test_stopping_lets_a_sandbox_end_by_itself(world: World) -> None:
    spec = world.gate(HEEDS_STOP)
    world.containers.start(spec)
    world.up(spec.name)
    world.containers.stop(spec.name, 10)
    assert world.containers.status(spec.name) == SandboxStatus(state=RunState.EXITED, exit_code=143)
    world.containers.stop(spec.name, 10)
    world.containers.remove(spec.name)


@pytest.mark.parametrize("grace_s", [0.0, 0.5])
def test_stopping_kills_a_sandbox_that_does_not_heed_it(world: World, grace_s: float) -> None:
    spec = world.setup(IGNORES_STOP)
    world.containers.start(spec)
    world.up(spec.name)
    world.containers.stop(spec.name, grace_s)
    assert world.containers.status(spec.name) == SandboxStatus(state=RunState.EXITED, exit_code=137)
    world.containers.remove(spec.name)


def test_removing_a_running_sandbox_leaves_nothing(world: World) -> None:
    spec = world.setup(IGNORES_STOP)
    world.containers.start(spec)
    world.up(spec.name)
    world.containers.remove(spec.name)
    world.containers.remove(spec.name)
    assert world.containers.status(spec.name) == SandboxStatus(state=RunState.ABSENT)
    assert world.containers.listing() == ()


def test_the_end_of_the_output_is_kept(world: World) -> None:
    spec = world.gate(PRINTS_MUCH)
    world.containers.start(spec)
    world.ended(spec.name)
    assert world.containers.output(spec.name, 13) == b"line 4999\nend"
    assert len(world.containers.output(spec.name, 10_000_000)) == len(
        b"".join(b"line %d\n" % number for number in range(5000)) + b"end"
    )
    assert world.containers.output(spec.name, 0) == b""
    world.containers.remove(spec.name)


@pytest.mark.parametrize("program", [PRINTS_BYTES, PRINTS_ONE_LONG_LINE])
def test_the_output_comes_as_it_was_printed(world: World, program: Program) -> None:
    spec = world.gate(program)
    world.containers.start(spec)
    world.ended(spec.name)
    printed = world.containers.output(spec.name, 1_000_000)
    assert printed == (b"a\xff\x00b\r\n\nlast" if program is PRINTS_BYTES else b"y" * 100_000)
    world.containers.remove(spec.name)


def test_what_is_mounted_is_the_hosts(world: World) -> None:
    (world.directory("tree") / "given").write_text("by the host", encoding="utf-8")
    spec = world.gate(COPIES)
    world.containers.start(spec)
    assert world.ended(spec.name).exit_code == 0
    assert (world.directory("out") / "seen").read_text(encoding="utf-8") == "by the host"
    world.containers.remove(spec.name)


def test_sandboxes_are_listed_by_run(world: World) -> None:
    another = f"{world.run_id}-2"
    first, second = world.gate(HEEDS_STOP), world.gate(COUNTS, run_id=another)
    world.containers.start(first)
    world.containers.start(second)
    world.ended(second.name)
    assert {one.name: one.state for one in world.containers.listing()} == {
        first.name: RunState.RUNNING,
        second.name: RunState.EXITED,
    }
    (only,) = world.containers.listing(another)
    assert only.name == second.name
    assert dict(only.labels) == {
        "ashigaru.run": another,
        "ashigaru.attempt": "2",
        "ashigaru.role": "gate",
        "ashigaru.host": world.host,
    }
    world.containers.remove(first.name)
    world.containers.remove(second.name)


def test_a_neighbours_sandboxes_are_in_no_listing_of_ours(world: World) -> None:
    """The neighbour's is in a pod: with podman, the pod that it leaves behind is not ours either."""
    spec = world.setup(HEEDS_STOP)
    theirs = dataclasses.replace(
        spec, labels=tuple((key, "neighbour" if key == "ashigaru.host" else value) for key, value in spec.labels)
    )
    world.containers.start(theirs)
    assert world.containers.listing() == world.containers.listing(world.run_id) == ()
    world.containers.remove(theirs.name)


def test_an_unknown_image_is_missing_and_leaves_nothing(world: World) -> None:
    with pytest.raises(ImageMissing):
        world.containers.image_id("localhost/ashigaru/nobody:1")
    nobody = "0" * 64
    for spec in (
        dataclasses.replace(world.gate(COUNTS), image=nobody),
        dataclasses.replace(world.setup(COUNTS), image=nobody),
    ):
        with pytest.raises(ImageMissing):
            world.containers.start(spec)
    spec = world.setup(COUNTS)
    assert spec.relay is not None
    with pytest.raises(ImageMissing):
        world.containers.start(dataclasses.replace(spec, relay=dataclasses.replace(spec.relay, image=nobody)))
    assert world.containers.listing() == ()


# --- podman's own --------------------------------------------------------------------------------------------


@pytest.mark.podman
def test_a_sandbox_created_but_never_started_is_started(podman_host: PodmanLab) -> None:
    world = on_podman(podman_host)
    spec = world.setup(Program(script="exit 5", behaviour=exits(5)))
    with PodmanClient(base_url=podman_host.url, timeout=30) as client:
        client.pods.create(**pod_arguments(spec))
        (left,) = world.containers.listing()
        assert (left.name, left.state) == (spec.name, RunState.ABSENT)
        client.containers.create(**container_arguments(spec, bounds=askable(podman_host.info())))
    assert world.containers.status(spec.name).state is RunState.ABSENT
    assert world.containers.start(spec) is False
    assert world.ended(spec.name).exit_code == 5
    world.containers.remove(spec.name)


@pytest.mark.podman
def test_a_pod_left_alone_is_taken_up_and_removed(podman_host: PodmanLab) -> None:
    world = on_podman(podman_host)
    spec = world.setup(Program(script="exit 5", behaviour=exits(5)))
    with PodmanClient(base_url=podman_host.url, timeout=30) as client:
        client.pods.create(**pod_arguments(spec))
        assert world.containers.start(spec) is True
        world.ended(spec.name)
        world.containers.remove(spec.name)
        client.pods.create(**pod_arguments(spec))
    world.containers.remove(spec.name)
    assert world.containers.listing() == ()


@pytest.mark.podman
def test_a_strangers_container_is_neither_adopted_nor_removed(podman_host: PodmanLab) -> None:
    world = on_podman(podman_host)
    spec = world.gate(COUNTS)
    with PodmanClient(base_url=podman_host.url, timeout=30) as client:
        stranger = client.containers.create(podman_host.gate_image, ["true"], name=spec.name, network_mode="none")
        with pytest.raises(SandboxFault):
            world.containers.start(spec)
        with pytest.raises(SandboxFault):
            world.containers.remove(spec.name)
        assert client.containers.exists(spec.name)
        stranger.remove()


@pytest.mark.podman
def test_a_relay_that_does_not_come_up_is_a_fault_that_says_why(podman_host: PodmanLab) -> None:
    world = on_podman(podman_host)
    world.relay_image = world.image  # it has no relay.py
    spec = world.setup(COUNTS)
    with pytest.raises(SandboxFault, match=r"relay\.py"):
        world.containers.start(spec)
    assert world.containers.status(spec.name).state is RunState.ABSENT
    world.containers.remove(spec.name)


# --- services ------------------------------------------------------------------------------------------------

SERVES = Program(script="echo serving; exec sleep 600", behaviour=runs_until_stopped)
DIES = Program(script="echo dying; exit 3", behaviour=exits(3, b"dying\n"))


def test_a_service_lives_beside_its_sandbox_and_goes_with_it(world: World) -> None:
    spec = world.served(COUNTS, SERVES)
    service = spec.services[0].name
    assert world.containers.start(spec) is True
    assert world.ended(spec.name).exit_code == 7
    assert world.containers.status(service).state is RunState.RUNNING
    assert [one.name for one in world.containers.listing()] == [spec.name]
    assert world.containers.start(spec) is False
    world.containers.remove(spec.name)
    assert world.containers.status(service).state is RunState.ABSENT
    assert world.containers.listing() == ()


def test_a_service_that_ended_is_seen_to_have_ended_with_what_it_said(world: World) -> None:
    spec = world.served(HEEDS_STOP, DIES)
    world.containers.start(spec)
    assert world.ended(spec.services[0].name).exit_code == 3
    assert b"dying" in world.containers.output(spec.services[0].name, 1000)
    assert world.containers.status(spec.name).state is RunState.RUNNING
    world.containers.remove(spec.name)


@pytest.mark.podman
def test_a_strangers_container_is_not_taken_for_a_service(podman_host: PodmanLab) -> None:
    world = on_podman(podman_host)
    spec = world.served(COUNTS, SERVES)
    with PodmanClient(base_url=podman_host.url, timeout=30) as client:
        beside = spec.services[0].name
        stranger = client.containers.create(podman_host.gate_image, ["true"], name=beside, network_mode="none")
        with pytest.raises(SandboxFault):
            world.containers.start(spec)
        assert world.containers.status(spec.name).state is RunState.ABSENT
        world.containers.remove(spec.name)
        assert client.containers.exists(beside)
        stranger.remove()
