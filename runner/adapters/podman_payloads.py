"""What podman is asked for, word by word: the hardening that every sandbox gets. Pure."""

from __future__ import annotations

from typing import Any

from runner.sandbox import LABEL_ROLE, RELAY_COMMAND
from runner.sandboxes import Role, SandboxSpec

SOCKETS = "/ashigaru/sockets"
LOG_BYTES = 32 * 1024 * 1024
"""What is kept of a sandbox's output. Podman starts the log anew when it is full, so a flood costs its own tail."""


def pod_name(name: str) -> str:
    """The pod of the sandbox of that name."""
    return f"{name}-pod"


def relay_name(name: str) -> str:
    """The relay, its pod's infra container."""
    return f"{name}-relay"


def container_arguments(spec: SandboxSpec, *, pod_of: str | None = None) -> dict[str, Any]:
    """Keyword arguments for podman-py's `containers.create`. pod_of: the sandbox in whose pod it is, if
    that is another's.

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
        "pids_limit": spec.pids,
        "mem_limit": spec.memory,
        "memswap_limit": spec.memory,
        "use_config_proxy": False,  # podman would copy the service's own proxy variables in
        "image_volume_mode": "ignore",
        "log_config": {"Type": "k8s-file", "Config": {"size": LOG_BYTES}},
        "volumes": {
            mount.source: {"bind": mount.target, "mode": "ro" if mount.read_only else "rw"} for mount in spec.mounts
        },
        "mounts": [
            {"type": "tmpfs", "source": "tmpfs", "target": scratch.target, "size": str(scratch.size)}
            for scratch in spec.tmpfs
        ],
    }
    if not spec.command:
        del arguments["entrypoint"]  # the image's own: a service that says nothing else
    if pod_of is None and spec.relay is not None:
        pod_of = spec.name
    if pod_of is not None:
        return arguments | {"pod": pod_name(pod_of)}
    return arguments | {"network_mode": "none", "userns_mode": "keep-id"}


def pod_arguments(spec: SandboxSpec) -> dict[str, Any]:
    """Keyword arguments for podman-py's `pods.create`: loopback only, with the relay as the infra container."""
    relay = spec.relay
    if relay is None:
        raise ValueError(f"{spec.name} has no relay, so it has no pod")
    routes = [f"{port}:{socket}" for port, socket in relay.ports]
    return {
        "name": pod_name(spec.name),
        "labels": {**dict(spec.labels), LABEL_ROLE: Role.RELAY.value},
        "netns": {"nsmode": "none"},
        "userns": {"nsmode": "keep-id"},
        "security_opt": ["no-new-privileges"],
        "infra_image": relay.image,
        "infra_name": relay_name(spec.name),
        "infra_command": [*RELAY_COMMAND, "--hold", str(relay.hold_s), *routes],
        # Members of the pod see this too: it holds nothing that they may not have.
        "mounts": [{"type": "bind", "source": relay.socket_dir, "destination": SOCKETS, "options": ["ro", "rbind"]}],
    }
