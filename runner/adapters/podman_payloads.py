"""What podman is asked for, word by word: the hardening that every sandbox gets. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.sandbox import LABEL_ROLE
from runner.sandboxes import Role, SandboxSpec, Tmpfs

HOLD = ("/bin/sleep", "infinity")
"""What a pod's infra container runs: podman makes it with a writable root, so it does nothing and is shown nothing."""
LOG_BYTES = 32 * 1024 * 1024
"""What is kept of a sandbox's output. Podman starts the log anew when it is full, so a flood costs its own tail."""
OPEN_FILES = 16_384
SHARED_MEMORY = 64 * 1024 * 1024
BOUNDS = frozenset({"cpu", "memory", "pids"})
"""What a cgroup can hold a sandbox to."""
ALWAYS_TAKEN = frozenset({"memory", "pids"})
"""What of it podman takes under cgroups version 1 whether or not it can enforce it."""
CPU_PERIOD = 100_000
"""Microseconds (the kernel's own default)."""


def askable(info: Mapping[str, Any]) -> frozenset[str]:
    """Which of BOUNDS podman can be asked for on the host of `podman info`. Asked in vain, it starts nothing.

    Under cgroups version 2 that is what is delegated to this account. Under version 1 podman takes memory and processes
    and, without root, does not enforce them; only the processors must be there to be named.
    """
    host = info.get("host") or {}
    there = BOUNDS & frozenset(host.get("cgroupControllers") or ())
    return there if host.get("cgroupVersion") == "v2" else there | ALWAYS_TAKEN


def pod_name(name: str) -> str:
    """The pod of the sandbox of that name."""
    return f"{name}-pod"


def infra_name(name: str) -> str:
    """The container that holds its pod's namespaces."""
    return f"{name}-infra"


def container_arguments(
    spec: SandboxSpec,
    *,
    pod_of: str | None = None,
    bounds: frozenset[str] = ALWAYS_TAKEN,
    most: Mapping[str, int] | None = None,
    seccomp: str | None = None,
) -> dict[str, Any]:
    """Keyword arguments for podman-py's `containers.create`.

    pod_of: the sandbox in whose pod it is, if that is another's. bounds: what of BOUNDS this host can be asked for (see
    `askable`). most: the hard limits of this account, by rlimit, which no sandbox's may exceed. seccomp: the file with
    the profile of system calls; None: the service's own.

    Three traps of it: `security_opt` is not what it is called, `tmpfs=` is refused, and podman 4.3 takes no binds
    beside a sized tmpfs in `mounts=`, so binds go through `volumes=`.
    """
    arguments: dict[str, Any] = {
        "image": spec.image,
        "entrypoint": list(spec.command),  # and no command: the image's own entrypoint and command are left out
        "name": spec.name,
        "labels": dict(spec.labels),
        "environment": dict(spec.environment),
        "working_dir": spec.workdir,
        "cap_drop": ["all"],
        "no_new_privileges": True,
        "read_only": True,
        "read_write_tmpfs": False,
        "shm_size": SHARED_MEMORY,
        "ulimits": _ulimits(spec, most or {}),
        "use_config_proxy": False,  # podman would copy the service's own proxy variables in
        "image_volume_mode": "ignore",
        "log_config": {"Type": "k8s-file", "Config": {"size": LOG_BYTES}},
        "volumes": {
            mount.source: {"bind": mount.target, "mode": "ro" if mount.read_only else "rw"} for mount in spec.mounts
        },
        "mounts": [
            {"type": "tmpfs", "source": "tmpfs", "target": scratch.target, "size": str(scratch.size)}
            for scratch in _scratch(spec)
        ],
    }
    if "memory" in bounds:
        arguments |= {"mem_limit": spec.memory, "memswap_limit": spec.memory}
    if "pids" in bounds:
        arguments["pids_limit"] = spec.pids
    if "cpu" in bounds:
        arguments |= {"cpu_period": CPU_PERIOD, "cpu_quota": int(spec.cpus * CPU_PERIOD)}
    if seccomp is not None:
        arguments["seccomp_profile_path"] = seccomp
    if not spec.command:
        del arguments["entrypoint"]  # the image's own: a service that says nothing else
    if pod_of is None and spec.relay is not None:
        pod_of = spec.name
    if pod_of is not None:
        return arguments | {"pod": pod_name(pod_of)}
    return arguments | {"network_mode": "none", "userns_mode": "keep-id"}


def _scratch(spec: SandboxSpec) -> tuple[Tmpfs, ...]:
    """Its scratch memory, and /dev/shm: podman 5 gives a container whose root is read-only none that it can write to,
    and without it no program has a lock or memory to share between processes.
    """
    return (*spec.tmpfs, Tmpfs(target="/dev/shm", size=SHARED_MEMORY)) if spec.tmpfs else ()  # noqa: S108 - inside


def _ulimits(spec: SandboxSpec, most: Mapping[str, int]) -> list[dict[str, Any]]:
    """What the kernel holds a sandbox to whether or not it lets cgroups do so.

    Processes are counted for each user namespace (Linux 5.14 and newer), so for each pod by itself.
    """
    wanted = {"core": 0, "fsize": spec.file, "nofile": OPEN_FILES, "nproc": spec.pids}
    held = {name: min(limit, most.get(name, limit)) for name, limit in wanted.items()}
    return [{"Name": name, "Soft": limit, "Hard": limit} for name, limit in held.items()]


def pod_arguments(spec: SandboxSpec) -> dict[str, Any]:
    """Keyword arguments for podman-py's `pods.create`: a namespace with loopback only, and nothing at work in it."""
    relay = spec.relay
    if relay is None:
        raise ValueError(f"{spec.name} has no relay, so it has no pod")
    return {
        "name": pod_name(spec.name),
        "labels": {**dict(spec.labels), LABEL_ROLE: Role.RELAY.value},
        "netns": {"nsmode": "none"},
        "userns": {"nsmode": "keep-id"},
        "security_opt": ["no-new-privileges"],
        "infra_image": relay.image,
        "infra_name": infra_name(spec.name),
        "infra_command": list(HOLD),
    }
