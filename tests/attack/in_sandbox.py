"""Group C: what code inside a sandbox can reach. Asked from the inside, of the real recipes on real podman."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from runner.adapters import podman_containers, podman_pods
from runner.sandboxes import SandboxSpec
from tests.attack.case import Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.sealed_world import HOSTS, PLACEHOLDER, Seen, seen_by
from tests.attack.taking_out import replaced

_DONE = "done"
_SOCKETS = "/ashigaru/sockets"
_ROLES = ("gate", "agent", "setup", "relay", "service")


def _looked(role: str, judge: Callable[[Seen], Outcome], ground: Ground) -> Outcome:
    return judge(seen_by(ground, role))


def _case(defence: str, vector: str, role: str, tried: str, judge: Callable[[Seen], Outcome]) -> Case:
    return Case(
        group="C",
        defence=defence,
        vector=f"{role}-{vector}",
        tried=f"{tried} from inside the {role}",
        attempt=partial(_looked, role, judge),
        deadline_s=120.0,
        podman=True,
    )


def _word(word: str, reached: str) -> Outcome:
    """The kernel's answer to a try."""
    return Through(what=reached) if word == _DONE else Stopped(by=word)


def _true(held: bool, by: str, reached: str) -> Outcome:  # noqa: FBT001 - what was seen
    return Stopped(by=by) if held else Through(what=reached)


def _filtered(word: str) -> Outcome:
    """Each call is made so that the kernel would say something else: EPERM and ENOSYS are the filter's words."""
    return _true(word in {"PermissionError 1", "OSError 38"}, word, f"the kernel looked at the call: {word}")


def without_arguments(
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> Callable[[], AbstractContextManager[None]]:
    """The recipe as podman gets it, changed; for the pod where the sandbox is in one."""

    @contextmanager
    def taken_out() -> Iterator[None]:
        container, pod = podman_containers.container_arguments, podman_pods.pod_arguments

        def changed(*arguments: Any, **named: Any) -> dict[str, Any]:
            return change(container(*arguments, **named))

        def changed_pod(*arguments: Any, **named: Any) -> dict[str, Any]:
            return change(pod(*arguments, **named))

        with replaced((podman_containers, "container_arguments", changed), (podman_pods, "pod_arguments", changed_pod)):
            yield

    return taken_out


def _with_network(arguments: dict[str, Any]) -> dict[str, Any]:
    if "network_mode" in arguments:
        return arguments | {"network_mode": "host"}
    return arguments | {"netns": {"nsmode": "host"}} if "netns" in arguments else arguments


def dropped(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda arguments: {name: value for name, value in arguments.items() if name not in names}


def _all_writable(arguments: dict[str, Any]) -> dict[str, Any]:
    if "volumes" not in arguments:
        return arguments
    volumes = {source: {**told, "mode": "rw"} for source, told in arguments["volumes"].items()}
    return arguments | {"volumes": volumes}


def _more_mounts() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What recipes with a broad mount would do: every sandbox is shown the directory that all runs' lie in."""
    homes: set[str] = set()

    def change(arguments: dict[str, Any]) -> dict[str, Any]:
        if "volumes" not in arguments:
            return arguments
        homes.update(str(Path(source).parent) for source in arguments["volumes"])
        return arguments | {"volumes": arguments["volumes"] | {home: {"bind": home, "mode": "ro"} for home in homes}}

    return change


def _sockets_for_all() -> AbstractContextManager[None]:
    """As where the members of a pod inherit what its infra container is shown."""
    real = podman_containers.container_arguments

    def changed(spec: SandboxSpec, **named: Any) -> dict[str, Any]:
        told = real(spec, **named)
        if spec.relay is None or not spec.relay.ports:
            return told
        return told | {"volumes": told["volumes"] | {spec.relay.socket_dir: {"bind": _SOCKETS, "mode": "ro"}}}

    return replaced((podman_containers, "container_arguments", changed))


def _secret_in_environment(arguments: dict[str, Any]) -> dict[str, Any]:
    if "environment" not in arguments:
        return arguments
    return arguments | {"environment": {**arguments["environment"], "ANTHROPIC_API_KEY": PLACEHOLDER}}


def _roomy_scratch(arguments: dict[str, Any]) -> dict[str, Any]:
    if "volumes" not in arguments:
        return arguments
    return arguments | {"mounts": [{**one, "size": "256m"} for one in arguments["mounts"]]}


_DEFENCES = (
    Defence(
        name="no-network",
        sentence="A sandbox's namespace has loopback alone.",
        without=without_arguments(_with_network),
    ),
    Defence(
        name="no-capabilities",
        sentence="A sandbox can never come by a capability.",
        without=without_arguments(dropped("cap_drop")),
    ),
    Defence(
        name="no-new-privileges",
        sentence="No setuid file gives a process in a sandbox more than it has.",
        without=without_arguments(dropped("no_new_privileges", "security_opt")),
    ),
    Defence(
        name="seccomp",
        sentence="The kernel's dangerous calls are filtered.",
        without=without_arguments(
            lambda told: told | {"seccomp_profile_path": "unconfined"} if "cap_drop" in told else told
        ),
    ),
    Defence(
        name="read-only-root",
        sentence="The image is not written to.",
        without=without_arguments(lambda told: told | {"read_only": False} if "read_only" in told else told),
    ),
    Defence(
        name="read-only-mounts",
        sentence="What a sandbox is only to read is mounted so.",
        without=without_arguments(_all_writable),
    ),
    Defence(
        name="granted-mounts-only",
        sentence="A sandbox sees the few directories that its recipe names, and nothing beside them.",
        without=without_arguments(_more_mounts()),
    ),
    Defence(
        name="sockets-of-the-relay",
        sentence="The relay alone is shown the daemon's sockets.",
        without=_sockets_for_all,
    ),
    Defence(
        name="no-secret-in-configuration",
        sentence="Not even the placeholder is in a container's configuration or first process.",
        without=without_arguments(_secret_in_environment),
    ),
    Defence(
        name="bounded-scratch",
        sentence="The scratch directory is memory of bounded size.",
        without=without_arguments(_roomy_scratch),
    ),
)


def _cases_of(role: str) -> tuple[Case, ...]:
    read_only = {
        "gate": ("/ashigaru/env/x",),
        "agent": ("/ashigaru/in/launch.json",),
        "setup": ("/ashigaru/ca/x",),
        "relay": ("/ashigaru/sockets/x",),
        "service": (),
    }
    return (
        *(
            _case(
                "no-network",
                f"route-to-{name}",
                role,
                f"find a route to {host}",
                lambda seen, host=host: _word(seen.said["routes"][host], f"there is a route to {host}"),  # type: ignore[misc]
            )
            for name, host in HOSTS.items()
        ),
        _case(
            "no-network",
            "port-of-the-host",
            role,
            "connect to a service on the host's loopback",
            lambda seen: _word(seen.said["ports"][str(seen.port)], "it answered"),
        ),
        _case(
            "no-network",
            "abstract-socket",
            role,
            "connect to an abstract socket of the host",
            lambda seen: _word(seen.said["unix"][seen.abstract], "it answered"),
        ),
        _case(
            "no-network",
            "interfaces",
            role,
            "find an interface beside loopback",
            lambda seen: _true(seen.said["interfaces"] == ["lo"], "there is lo alone", str(seen.said["interfaces"])),
        ),
        _case(
            "no-capabilities",
            "bounding-set",
            role,
            "have a capability left to come by",
            lambda seen: _true(
                int(seen.said["status"]["CapBnd"], 16) == 0, "CapBnd is 0", f"CapBnd is {seen.said['status']['CapBnd']}"
            ),
        ),
        _case(
            "no-new-privileges",
            "flag",
            role,
            "gain privileges by a setuid file",
            lambda seen: _true(seen.said["status"]["NoNewPrivs"] == "1", "NoNewPrivs is 1", "NoNewPrivs is 0"),
        ),
        _case(
            "seccomp",
            "mode",
            role,
            "call the kernel unfiltered",
            lambda seen: _true(seen.said["status"]["Seccomp"] == "2", "Seccomp is 2", "there is no filter"),
        ),
        *(
            _case(
                "seccomp",
                name,
                role,
                f"call {name}",
                lambda seen, name=name: _filtered(seen.said["calls"][name]),  # type: ignore[misc]
            )
            for name in ("bpf", "perf", "by-handle", "keyctl", "unshare-user", "unshare-mount")
        ),
        _case(
            "read-only-root",
            "var-tmp",
            role,
            "write to the image's /var/tmp",
            lambda seen: _word(seen.said["writes"]["/var/tmp/x"], "it was written"),  # noqa: S108 - inside
        ),
        *(
            _case(
                "read-only-mounts",
                path.split("/")[2],
                role,
                f"write {path}",
                lambda seen, path=path: _word(seen.said["writes"][path], "it was written"),  # type: ignore[misc]
            )
            for path in read_only[role]
        ),
        _case(
            "granted-mounts-only",
            "another-run",
            role,
            "read another run's file",
            lambda seen: _word(seen.said["files"][seen.others_file], "it was read"),
        ),
        _case(
            "granted-mounts-only",
            "daemon-file",
            role,
            "read a file of the daemon's",
            lambda seen: _word(seen.said["files"][seen.daemon_file], "it was read"),
        ),
    )


def _nowhere(text: str, where: str) -> Outcome:
    return _true(PLACEHOLDER not in text, f"it is not in {where}", f"it is in {where}")


_CASES = (
    *(case for role in _ROLES for case in _cases_of(role)),
    *(
        _case(
            "granted-mounts-only",
            "planted-symlink",
            role,
            "follow a symlink of the tree to another run",
            lambda seen: _word(seen.said["files"]["/workspace/link"], "it was read"),
        )
        for role in ("gate", "agent", "setup")
    ),
    *(
        _case(
            "bounded-scratch",
            "fill-tmp",
            role,
            "write twice as much to /tmp as it may hold",
            lambda seen: _word(seen.said["filled"], "all of it was taken"),
        )
        for role in ("gate", "agent", "setup", "service")
    ),
    *(
        _case(
            "sockets-of-the-relay",
            "not-shown",
            role,
            "see the daemon's sockets",
            lambda seen: _true(_SOCKETS not in seen.said["mounts"], "they are not there", f"{_SOCKETS} is there"),
        )
        for role in ("agent", "setup")
    ),
    _case(
        "no-secret-in-configuration",
        "inspect",
        "agent",
        "read the placeholder with podman inspect, not",
        lambda seen: _nowhere(seen.inspected, "the container's configuration"),
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
