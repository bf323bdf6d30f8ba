"""The assertions that are made from inside a sandbox: each can fail, and none claims what was not measured."""

from __future__ import annotations

import ast
import copy
import json
import shlex
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_ashigaru.commands import self_test as command
from runner.errors import EngineDown
from runner.sandbox import Limits, Owner
from runner.sandboxes import Role, SandboxSpec
from runner.seal.assertions import ASSERTIONS, Checked, Host, Looked, Result, broken, judged
from runner.seal.bounds import TRIALS, Came
from runner.seal.bounds import judged as judged_bound
from runner.seal.looking import Ground
from runner.seal.places import SHOWN, Bounds, Place
from runner.seal.probe import NEIGHBOUR, PROBE
from runner.seal.self_test import LOOKED_AT, self_test
from tests.fakes.behaviours import Behaviour, Ended, Inside
from tests.fakes.containers import IMAGES, FakeContainers

LIMITS = Limits()
BOUNDS = Bounds(memory=LIMITS.memory, pids=LIMITS.pids, cpus=LIMITS.cpus, file=LIMITS.file)
HOST = Host(selinux=True, apparmor=True)
RELAY_MEMORY = 256 * 1024 * 1024
SECRET = "worth-much-on-the-host"

PROCESS = {"caps": [0] * 5, "no_new_privs": 1, "seccomp": 2, "uids": ["1000"] * 4}
CGROUP = {
    "memory.max": [str(LIMITS.memory)],
    "memory.swap.max": ["0"],
    "pids.max": [str(LIMITS.pids)],
    "cpu.max": ["200000", "100000"],
}


def sealed(place: Place) -> dict[str, Any]:
    """What the probe sees at that place of a host that enforces everything."""
    shown = SHOWN[place]
    return {
        "self": copy.deepcopy(PROCESS),
        "first": copy.deepcopy(PROCESS),
        "interfaces": ["lo"],
        "routes": 0,
        "routes6": [],
        "abstract": [],
        "names": ["no", "no"],
        "outside": {"tcp": "ENETUNREACH"},
        "raw": "EPERM",
        "root": {"": "EROFS", "/etc": "EACCES"},
        "root_options": ["ro"],
        "granted": dict(shown.granted),
        "writable": [*shown.writable, "/dev/shm", "/tmp/home"],  # noqa: S108 - inside
        "sockets": [*shown.sockets],
        "blocks": [],
        "characters": ["/dev/null", "/dev/pts/ptmx"],
        "neighbours": [],
        "known": {"/run/podman/podman.sock": "ENOENT"},
        "mounts": ["/", "/etc/hosts", "/etc/hostname", "/run/.containerenv", *(shown.granted.keys() | shown.writable)],
        "options": {"/": ["ro"], "/tmp": ["rw", "nosuid", "nodev"]},  # noqa: S108 - inside
        "calls": {"mount": "EPERM"},
        "limits": {"core": 0, "fsize": 0, "nofile": 1024, "nproc": 100},
        "ids": {name: [[0, 1, 1000], [1000, 0, 1]] for name in ("uid_map", "gid_map")},
        "unmasked": [],
        "label": "system_u:system_r:container_t:s0:c12,c345",
        "apparmor": "containers-default-0.62.2 (enforce)",
        "cgroup2": True,
        "cgroup": copy.deepcopy(CGROUP),
        "environ": {"HOME": "/tmp"},  # noqa: S108 - inside
        "said": {"/proc/1/environ": "HOME=/tmp"},
        "processes": 3,
    }


def looked(place: Place, seen: dict[str, Any], host: Host = HOST) -> Looked:
    return Looked(place=place, seen=seen, bounds=BOUNDS, host=host, secrets=(SECRET,))


def changed(*path: str, to: object) -> Callable[[dict[str, Any]], None]:
    def change(seen: dict[str, Any]) -> None:
        for name in path[:-1]:
            seen = seen[name]
        seen[path[-1]] = to

    return change


TAKEN_OUT: dict[str, list[Callable[[dict[str, Any]], None]]] = {
    "no capability, not even in the bounding set": [
        changed("self", "caps", to=[0, 0, 0, 1, 0]),
        changed("first", "caps", to=[0, 0, 1, 0, 0]),
    ],
    "never root": [changed("self", "uids", to=["0"] * 4), changed("first", "uids", to=["1000", "1000", "0", "1000"])],
    "its root is no root outside": [
        changed("ids", "uid_map", to=[[0, 0, 4294967295]]),
        changed("ids", "gid_map", to=[]),
    ],
    "no new privileges": [changed("self", "no_new_privs", to=0), changed("first", "no_new_privs", to=0)],
    "seccomp filters": [changed("self", "seccomp", to=0), changed("first", "seccomp", to=1)],
    "loopback is the only interface": [changed("interfaces", to=["eth0", "lo"])],
    "no route": [changed("routes", to=1), changed("routes6", to=["eth0"])],
    "no name is resolved": [changed("names", to=["no", "192.0.2.1"])],
    "nothing outside is reached": [
        changed("outside", "tcp", to="done"),
        changed("outside", "lan", to="ECONNREFUSED"),
    ],
    "no raw socket": [changed("raw", to="done")],
    "no abstract socket of the host's": [changed("abstract", to=["@/tmp/.X11-unix/X0"])],
    "no socket of podman's, D-Bus's or systemd's": [changed("known", "/run/podman/podman.sock", to="done")],
    "no socket but the one it is granted": [changed("sockets", to=["/run/podman.sock"])],
    "the root is read-only": [
        changed("root_options", to=["rw"]),
        changed("root", "/etc", to="done"),
        changed("root", to={"": "EACCES"}),
    ],
    "it is shown what its recipe says and no more": [
        changed("granted", "/ashigaru/env", to="done"),
        lambda seen: seen["mounts"].append("/home"),
        lambda seen: seen["mounts"].remove("/workspace"),
    ],
    "it writes nowhere else": [lambda seen: seen["writable"].append("/run")],
    "no block device": [changed("blocks", to=["/dev/sda"])],
    "no device but the harmless ones": [
        changed("characters", to=["/dev/null", "/dev/kmsg"]),
        changed("characters", to=["/dev/fuse"]),
    ],
    "what the kernel tells of the host is masked": [changed("unmasked", to=["/proc/keys"])],
    "no other run's file": [changed("neighbours", to=["/mnt/" + NEIGHBOUR])],
    "no variable but the recipe's": [changed("environ", "GITHUB_TOKEN", to=SECRET)],
    "no credential of the daemon's": [changed("said", "/proc/7/environ", to=f"A=1\0B={SECRET}")],
    "no right of the kernel's": [changed("calls", "mount", to="done")],
    "what is scratch is no place for devices": [changed("options", "/tmp", to=["rw", "nosuid"])],  # noqa: S108
    "no core dumps": [changed("limits", "core", to=-1)],
    "its processes and files are bounded": [
        changed("limits", "nproc", to=-1),
        changed("limits", "nofile", to=1_048_576),
        changed("limits", "fsize", to=LIMITS.file + 1),
    ],
    "few processes of the host's are seen": [changed("processes", to=300)],
    "its memory is bounded by its cgroup": [
        changed("cgroup", "memory.max", to=["max"]),
        changed("cgroup", "memory.max", to=[str(LIMITS.memory + 1)]),
        changed("cgroup", "memory.swap.max", to=["max"]),
    ],
    "its processes are bounded by its cgroup": [changed("cgroup", "pids.max", to=["max"])],
    "its processors are bounded by its cgroup": [
        changed("cgroup", "cpu.max", to=["max", "100000"]),
        changed("cgroup", "cpu.max", to=["400000", "100000"]),
    ],
    "SELinux confines it": [
        changed("label", to="system_u:system_r:spc_t:s0"),
        changed("label", to="unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023"),
        changed("label", to="system_u:system_r:container_t:s0"),
        changed("label", to=""),
    ],
    "AppArmor confines it": [changed("apparmor", to="unconfined"), changed("apparmor", to="containers (complain)")],
}


def test_every_assertion_has_been_seen_to_fail() -> None:
    assert set(TAKEN_OUT) == set(ASSERTIONS)


@pytest.mark.parametrize("place", Place)
def test_a_sealed_sandbox_breaks_no_assertion(place: Place) -> None:
    found = judged(looked(place, sealed(place)))
    assert {one.result for one in found} == {Result.HOLDS}
    assert [one.asserted for one in found] == [one for one in ASSERTIONS if one not in SHOWN[place].without]


@pytest.mark.parametrize("name", ASSERTIONS)
def test_what_is_taken_out_is_missed_and_nothing_else_is(name: str) -> None:
    for change in TAKEN_OUT[name]:
        seen = sealed(Place.GATE)
        change(seen)
        (wrong,) = [one for one in judged(looked(Place.GATE, seen)) if one.result is not Result.HOLDS]
        assert (wrong.asserted, wrong.result) == (name, Result.BROKEN)
        assert wrong.saw
        assert SECRET not in wrong.saw


@pytest.mark.parametrize("name", ASSERTIONS)
def test_what_the_probe_did_not_tell_is_never_taken_to_hold(name: str) -> None:
    (checked,) = [one for one in judged(looked(Place.GATE, {})) if one.asserted == name]
    assert checked.result is Result.BROKEN


def test_what_this_host_has_no_means_for_is_claimed_neither_way() -> None:
    seen = sealed(Place.GATE) | {"cgroup2": False, "cgroup": {}, "label": "", "apparmor": ""}
    found = judged(looked(Place.GATE, seen, Host(selinux=False, apparmor=False)))
    absent = {one.asserted: one.saw for one in found if one.result is Result.ABSENT}
    assert set(absent) == {
        "its memory is bounded by its cgroup",
        "its processes are bounded by its cgroup",
        "its processors are bounded by its cgroup",
        "SELinux confines it",
        "AppArmor confines it",
    }
    assert all(absent.values())
    assert not broken(looked(Place.GATE, seen, Host(selinux=False, apparmor=False)))


def test_a_controller_that_is_not_delegated_is_named() -> None:
    seen = sealed(Place.GATE)
    del seen["cgroup"]["cpu.max"]
    (cpu,) = [one for one in judged(looked(Place.GATE, seen)) if one.result is Result.ABSENT]
    assert cpu.asserted == "its processors are bounded by its cgroup"
    assert cpu.saw.startswith("cpu.max: ")


def test_a_host_that_says_it_has_selinux_is_held_to_it() -> None:
    info = {"host": {"security": {"selinuxEnabled": True}}}
    assert Host.told(info) == Host(selinux=True, apparmor=False)
    assert Host.told({}) == Host(selinux=False, apparmor=False)
    assert "SELinux confines it" in broken(looked(Place.RELAY, sealed(Place.RELAY) | {"label": ""}, Host.told(info)))


def test_the_probe_is_a_program_that_holds_no_neighbours_name() -> None:
    ast.parse(PROBE, feature_version=(3, 9))
    assert NEIGHBOUR not in PROBE


# --- what may be used up -------------------------------------------------------------------------------------

HELD = {
    "a fork bomb ends at the limit": Came(exit_code=0, oom=False, printed="refused 11 97\n"),
    "so does one of threads": Came(exit_code=0, oom=False, printed="refused 98\n"),
    "more memory than it may have kills it": Came(exit_code=137, oom=True, printed=""),
    "half a processor is half a processor": Came(exit_code=0, oom=False, printed="quota ['50000']"),
    "open files end": Came(exit_code=0, oom=False, printed="24\n"),
    "no file of a terabyte": Came(exit_code=0, oom=False, printed="27\n"),
    "scratch memory ends": Came(exit_code=0, oom=False, printed="28\n"),
    "shared memory ends": Came(exit_code=0, oom=False, printed="28\n"),
    "core dumps cannot be had": Came(exit_code=0, oom=False, printed="(0, 0)\n"),
}
NOT_HELD = {
    "a fork bomb ends at the limit": Came(exit_code=0, oom=False, printed="forked 400\n"),
    "so does one of threads": Came(exit_code=0, oom=False, printed="refused 399\n"),
    "more memory than it may have kills it": Came(exit_code=0, oom=False, printed="held 314572800\n"),
    "half a processor is half a processor": Came(exit_code=0, oom=False, printed="quota ['-1']\n"),
    "open files end": Came(exit_code=1, oom=False, printed=""),
    "no file of a terabyte": Came(exit_code=0, oom=False, printed=""),
    "scratch memory ends": Came(exit_code=0, oom=False, printed=""),
    "shared memory ends": Came(exit_code=0, oom=False, printed="30\n"),
    "core dumps cannot be had": Came(exit_code=0, oom=False, printed=""),
}


@pytest.mark.parametrize("name", TRIALS)
def test_a_bound_holds_only_where_asking_for_more_was_refused(name: str) -> None:
    assert judged_bound(name, HELD[name], ()).result is Result.HOLDS
    assert judged_bound(name, HELD[name], ("memory", "cpu", "pids")).result is Result.HOLDS
    assert judged_bound(name, NOT_HELD[name], ()).result is Result.BROKEN
    by = TRIALS[name].by
    lacking = judged_bound(name, NOT_HELD[name], ("memory", "cpu", "pids")).result
    assert lacking is (Result.ABSENT if by else Result.BROKEN)


# --- the whole ----------------------------------------------------------------------------------------------


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ash") as made:
        yield Path(made)


def ground(containers: FakeContainers, home: Path) -> Ground:
    def inside(name: str, _script: str) -> str:
        seen = sealed(Place.RELAY if name.endswith("-relay") else Place.HOLDER)
        seen["cgroup"]["memory.max"] = [str(RELAY_MEMORY)]
        return json.dumps(seen)

    agent, relay, gate = (containers.image_id(name) for name in IMAGES)
    owner = Owner(run_id="self-test", attempt=1, host="self-test")
    return Ground(
        containers=containers,
        inside=inside,
        home=home,
        agent_image=agent,
        relay_image=relay,
        gate_image=gate,
        owner=owner,
    )


def finds(change: Callable[[Place, dict[str, Any]], None] = lambda _place, _seen: None) -> FakeContainers:
    """Sandboxes in which the probe finds everything sealed, but for `change`."""

    def behaviour(spec: SandboxSpec) -> Behaviour:
        def lives(inside: Inside) -> Ended:
            told = f"{spec.command}"
            trial = next((name for name, one in TRIALS.items() if shlex.quote(one.program) in spec.command[-1]), None)
            if trial is not None:
                came = HELD[trial]
                inside.say(came.printed.encode("utf-8"))
                return Ended(code=came.exit_code or 0, oom=came.oom)
            if "sleep 60" in told or "http.server" in told:
                inside.stopping.wait(20)
                return Ended(code=143)
            place = PLACES[spec.role] if not spec.services else Place.GATE_SERVED
            seen = sealed(place)
            seen["cgroup"]["memory.max"] = [str(spec.memory)]
            change(place, seen)
            printed = json.dumps(seen).encode("utf-8")
            if spec.role is Role.AGENT:
                (inside.out / "events.jsonl").write_bytes(printed)
            else:
                inside.say(b"a line before it\n" + printed + b"\n")
            return Ended(code=0)

        return lives

    return FakeContainers(behaviour)


PLACES = {Role.AGENT: Place.AGENT, Role.SETUP: Place.SETUP, Role.GATE: Place.GATE, Role.SERVICE: Place.SERVICE}


def outcome(containers: FakeContainers, home: Path) -> tuple[Checked, ...]:
    return tuple(self_test(ground(containers, home), host=HOST, unenforceable=(), secrets=(SECRET,)))


def wrong(checked: tuple[Checked, ...]) -> set[tuple[str, str]]:
    return {(one.place, one.asserted) for one in checked if one.result is not Result.HOLDS}


def test_a_self_test_looks_at_every_place_and_leaves_nothing(home: Path) -> None:
    containers = finds()
    checked = outcome(containers, home)
    assert wrong(checked) == set()
    assert {one.place for one in checked} == set(Place)
    assert {one.asserted for one in checked} == {*ASSERTIONS, *TRIALS}
    assert containers.listing() == ()
    assert containers.faults == []


def test_a_self_test_finds_what_is_wrong_where_it_is_wrong(home: Path) -> None:
    def routed(place: Place, seen: dict[str, Any]) -> None:
        if place is Place.SETUP:
            seen["routes"] = 1

    assert wrong(outcome(finds(routed), home)) == {(Place.SETUP, "no route")}


def test_a_place_that_cannot_be_looked_at_is_broken(home: Path) -> None:
    containers = FakeContainers(lambda _spec: lambda inside: (inside.say(b"no python here"), Ended(code=127))[1])
    found = {one.place: one for one in outcome(containers, home) if one.asserted == LOOKED_AT}
    assert {Place.GATE, Place.AGENT, Place.SETUP, Place.SERVICE} <= set(found)
    assert "no python here" in found[Place.GATE].saw
    assert all(one.result is Result.BROKEN for one in found.values())
    assert containers.listing() == ()


def test_a_self_test_without_podman_asserts_nothing(home: Path) -> None:
    containers = finds()
    there = ground(containers, home)
    containers.down = True
    with pytest.raises(EngineDown):
        list(self_test(there, host=HOST, unenforceable=(), secrets=()))


# --- what is printed ----------------------------------------------------------------------------------------

CHECKED = (
    *(Checked(place=one, asserted="never root", result=Result.HOLDS) for one in Place),
    *(
        Checked(place=one, asserted="the root is read-only", result=Result.HOLDS)
        for one in Place
        if one is not Place.HOLDER
    ),
    Checked(place=Place.GATE, asserted="SELinux confines it", result=Result.ABSENT, saw="SELinux is off"),
    Checked(place=Place.AGENT, asserted="no route", result=Result.BROKEN, saw='{"routes": 1}'),
)


def test_the_table_says_what_was_asserted_where_and_what_came_of_it() -> None:
    lines = command.table(CHECKED, {"podman": "5.4.2"}).splitlines()
    cells = [tuple(part.strip() for part in line.split("|")) for line in lines[:5]]
    assert cells == [
        ("what", "asserted from inside", "result"),
        ("every sandbox", "never root", "holds"),
        ("all but what holds a pod", "the root is read-only", "holds"),
        ("gate", "SELinux confines it", "not enforced here: SELinux is off"),
        ("agent", "no route", 'BROKEN: {"routes": 1}'),
    ]
    assert lines[-2:] == ["on: podman 5.4.2", "self-test: asserted=15 holds=13 broken=1 absent=1"]


def test_the_json_holds_every_single_assertion() -> None:
    told = json.loads(json.dumps(command.value(CHECKED, {"podman": "5.4.2"})))
    assert len(told["checks"]) == len(CHECKED)
    assert told["checks"][-1] == {
        "place": "agent",
        "asserted": "no route",
        "result": "BROKEN",
        "saw": '{"routes": 1}',
    }
    assert told["counts"]["broken"] == 1
