"""The words of the sandboxes, as types. Values only; sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RunState(StrEnum):
    """What a sandbox is doing, as the container engine sees it."""

    RUNNING = "running"
    EXITED = "exited"
    ABSENT = "absent"


@dataclass(frozen=True, kw_only=True)
class SandboxStatus:
    """State of one sandbox; exit_code only when EXITED (137 after a kill), oom when the kernel killed it."""

    state: RunState
    exit_code: int | None = None
    oom: bool = False


class Role(StrEnum):
    """Why a sandbox exists; the value of its `ashigaru.role` label."""

    AGENT = "agent"
    GATE = "gate"
    SETUP = "setup"
    RELAY = "relay"
    SERVICE = "service"


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A host directory shown inside. source is an absolute host path, target an absolute inside path."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, kw_only=True)
class Tmpfs:
    """Scratch memory inside: where, and how many bytes."""

    target: str
    size: int


@dataclass(frozen=True, kw_only=True)
class RelaySpec:
    """What a sandbox's pod has beside its members: a namespace of loopback alone, and a relay where there are ports.

    The relay is a sealed member like any other, and alone in being shown socket_dir: a host directory with nothing in
    it but the sockets granted, mounted read-only at /ashigaru/sockets. ports: (loopback TCP port inside, socket file
    name) pairs. hold_s: how long a connection is held while a socket is away. image: the relay's, which also holds the
    pod's namespace.
    """

    image: str
    socket_dir: str
    ports: tuple[tuple[int, str], ...]
    hold_s: int


@dataclass(frozen=True, kw_only=True)
class SandboxSpec:
    """One sandbox, fully said. Built only by the recipes in `runner.sandbox`.

    name: deterministic, so that a second start adopts. image: an image id. No network ever: with a relay the
    sandbox is a member of a pod whose namespace has loopback only, without one it is started with none at all.
    environment holds no secret: it is visible to `podman inspect`. command empty: what the image runs by itself.
    memory: bytes. pids: processes and threads. cpus: processors' worth of time. file: bytes that one file may hold.
    services: sandboxes that live in its pod as long as it is there; they are started before it and go with it.
    """

    name: str
    role: Role
    image: str
    command: tuple[str, ...]
    workdir: str
    environment: tuple[tuple[str, str], ...]
    mounts: tuple[Mount, ...]
    tmpfs: tuple[Tmpfs, ...]
    labels: tuple[tuple[str, str], ...]
    memory: int
    pids: int
    cpus: float
    file: int
    relay: RelaySpec | None = None
    services: tuple[SandboxSpec, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SandboxListing:
    """One sandbox found on the host by label."""

    name: str
    labels: tuple[tuple[str, str], ...]
    state: RunState
