"""The only recipes of sandboxes there are, as data: agent, gate, set-up, service and relay. Pure.

What all have in common (no network, no capability, read-only root, …) is not said here but done by every adapter of
`runner.ports.Containers`: a recipe cannot ask for less.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from gates.services import Service
from runner.sandboxes import Mount, RelaySpec, Role, SandboxSpec, Tmpfs

WORKSPACE = "/workspace"
IN_DIR = "/ashigaru/in"
OUT_DIR = "/ashigaru/out"
ENV_DIR = "/ashigaru/env"
CA_DIR = "/ashigaru/ca"
SOCKET_DIR = "/ashigaru/sockets"
MODEL_PORT = 8080
MODEL_SOCKET = "model.sock"
EGRESS_PORT = 3128
EGRESS_SOCKET = "egress.sock"

IMAGE_FILES = "/usr/local/lib/ashigaru"
"""Where the images keep entrypoint.py, filetools.py (agent) and relay.py (relay)."""

PYTHON = ("/usr/bin/python3", "-IB")
RELAY_COMMAND = (*PYTHON, f"{IMAGE_FILES}/relay.py")
MAX_NAME = 56
"""A pod and a relay are named after their sandbox, and host names end at 63."""

LABEL_RUN = "ashigaru.run"
LABEL_ATTEMPT = "ashigaru.attempt"
LABEL_ROLE = "ashigaru.role"
LABEL_HOST = "ashigaru.host"

_MIB = 1024 * 1024
_RELAY_MEMORY = 256 * _MIB
_PLAIN = re.compile(r"[a-z0-9]+")
_DASHED = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one sandbox may use: bytes of memory, processes and threads, processors, bytes of scratch memory in /tmp,
    and bytes in one file. What it may write to the host's disk in all is `runner.disk`'s.
    """

    memory: int = 4096 * _MIB
    pids: int = 512
    cpus: float = 2
    scratch: int = 512 * _MIB
    file: int = 4096 * _MIB


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What a gate has beside it: its services, and the image that holds their pod."""

    relay_image: str
    services: tuple[SandboxSpec, ...]


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose sandbox it is: the run, the attempt within it (0 where there is none), and the host that works on it."""

    run_id: str
    attempt: int
    host: str


def agent_name(run_id: str, attempt: int) -> str:
    """The name of the agent's sandbox of one attempt."""
    return _name("agent", run_id, str(attempt))


def gate_name(run_id: str, what: str, take: int) -> str:
    """The name of a gate's sandbox: `what` tells the gate and the tree apart, `take` the repetitions."""
    return _name("gate", run_id, what, str(take))


def setup_name(run_id: str, key: str) -> str:
    """The name of a set-up's sandbox; `key` is what its result is cached by."""
    return _name("setup", run_id, key)


def _name(role: str, *parts: str) -> str:
    """`ash-<role>-<parts>`, at most MAX_NAME of [a-z0-9-]; what does not fit or is not plain is told by a hash."""
    plain = "-".join(("ash", role, *parts))
    # Only the first part may hold a dash, or "a" + "b-c" and "a-b" + "c" would meet.
    if len(plain) <= MAX_NAME and _DASHED.fullmatch(parts[0]) and all(_PLAIN.fullmatch(part) for part in parts[1:]):
        return plain
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:20]
    head = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower())[: MAX_NAME - len(f"ash-{role}--{digest}")].strip("-")
    return f"ash-{role}-{head}-{digest}" if head else f"ash-{role}-{digest}"


def agent_spec(
    *,
    owner: Owner,
    image: str,
    relay_image: str,
    tree: str,
    in_dir: str,
    out_dir: str,
    socket_dir: str,
    hold_s: int = 300,
    limits: Limits = Limits(),
) -> SandboxSpec:
    """The sealed agent: edits `tree`, reads `in_dir`, writes `out_dir`, reaches the model gateway and nothing else."""
    return _sealed(
        name=agent_name(owner.run_id, owner.attempt),
        role=Role.AGENT,
        owner=owner,
        image=image,
        command=(*PYTHON, f"{IMAGE_FILES}/entrypoint.py"),
        mounts=(_shown(tree, WORKSPACE), _shown(in_dir, IN_DIR, read_only=True), _shown(out_dir, OUT_DIR)),
        limits=limits,
        relay=RelaySpec(image=relay_image, socket_dir=socket_dir, ports=((MODEL_PORT, MODEL_SOCKET),), hold_s=hold_s),
    )


def gate_spec(  # noqa: PLR0913 - a recipe is said in full, by keyword
    *,
    owner: Owner,
    what: str,
    take: int,
    image: str,
    tree: str,
    out_dir: str,
    script: str,
    env_dir: str | None = None,
    limits: Limits = Limits(),
    beside: Beside | None = None,
) -> SandboxSpec:
    """A gate: runs `script` with sh on `tree`, writes evidence to `out_dir`, reaches nothing but what is beside it."""
    prepared = (_shown(env_dir, ENV_DIR, read_only=True),) if env_dir is not None else ()
    alone = _sealed(
        name=gate_name(owner.run_id, what, take),
        role=Role.GATE,
        owner=owner,
        image=image,
        command=_shell(script),
        mounts=(_shown(tree, WORKSPACE), _shown(out_dir, OUT_DIR), *prepared),
        limits=limits,
    )
    if beside is None:
        return alone
    # A pod without a relay: its namespace has loopback alone.
    holder = RelaySpec(image=beside.relay_image, socket_dir="", ports=(), hold_s=1)
    return replace(alone, relay=holder, services=beside.services)


def service_name(run_id: str, what: str, take: int, service: str) -> str:
    """The name of the sandbox of a service beside that gate."""
    return _name("service", run_id, what, str(take), service)


def service_spec(*, owner: Owner, what: str, take: int, image: str, service: Service) -> SandboxSpec:
    """A service beside a gate: no file of the host's, scratch memory where it writes, no network but the pod's own."""
    sealed = _sealed(
        name=service_name(owner.run_id, what, take, service.name),
        role=Role.SERVICE,
        owner=owner,
        image=image,
        command=() if service.run is None else _shell(service.run),
        environment=service.environment,
        mounts=(),
        limits=Limits(memory=service.memory),
    )
    # What is written to memory counts as the service's: all directories together may hold as much as it may use.
    paths = tuple(dict.fromkeys(("/tmp", *service.writable)))  # noqa: S108 - inside the sandbox
    return replace(
        sealed,
        workdir="/",
        # The image's own PATH stands: what a database is run by often lies in a directory of its own.
        environment=tuple(pair for pair in sealed.environment if pair[0] != "PATH" or pair in service.environment),
        tmpfs=tuple(Tmpfs(target=path, size=service.memory // len(paths)) for path in paths),
    )


def setup_spec(  # noqa: PLR0913 - a recipe is said in full, by keyword
    *,
    owner: Owner,
    key: str,
    image: str,
    relay_image: str,
    tree: str,
    env_dir: str,
    socket_dir: str,
    script: str,
    ca_dir: str | None = None,
    ca_file: str = "ca-certificates.crt",
    environment: tuple[tuple[str, str], ...] = (),
    hold_s: int = 60,
    limits: Limits = Limits(),
) -> SandboxSpec:
    """A dependency set-up on the files of the base commit: fills `env_dir`, reaches the egress proxy and nothing else.

    ca_dir: a host directory holding `ca_file`, the certificates to trust. environment: more variables, none secret.
    """
    proxy = f"http://127.0.0.1:{EGRESS_PORT}"
    proxied = tuple((name, proxy) for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"))
    trusted = tuple((name, f"{CA_DIR}/{ca_file}") for name in _CA_VARIABLES) if ca_dir is not None else ()
    certificates = (_shown(ca_dir, CA_DIR, read_only=True),) if ca_dir is not None else ()
    return _sealed(
        name=setup_name(owner.run_id, key),
        role=Role.SETUP,
        owner=owner,
        image=image,
        command=_shell(script),
        environment=(*_PIP, *proxied, *trusted, *environment),
        mounts=(_shown(tree, WORKSPACE), _shown(env_dir, ENV_DIR), *certificates),
        limits=limits,
        relay=RelaySpec(image=relay_image, socket_dir=socket_dir, ports=((EGRESS_PORT, EGRESS_SOCKET),), hold_s=hold_s),
    )


def relay_name(name: str) -> str:
    """The name of the relay in the pod of the sandbox of that name."""
    return f"{name}-relay"


def relay_spec(spec: SandboxSpec, relay: RelaySpec) -> SandboxSpec:
    """The relay of that sandbox: sealed as it is, shown the sockets and nothing else, with nowhere to write."""
    routes = (f"{port}:{socket}" for port, socket in relay.ports)
    return replace(
        spec,
        name=relay_name(spec.name),
        role=Role.RELAY,
        image=relay.image,
        command=(*RELAY_COMMAND, "--hold", str(relay.hold_s), *routes),
        workdir="/",
        environment=_ENVIRONMENT,
        mounts=(_shown(relay.socket_dir, SOCKET_DIR, read_only=True),),
        tmpfs=(),
        labels=tuple((dict(spec.labels) | {LABEL_ROLE: Role.RELAY.value}).items()),
        memory=_RELAY_MEMORY,
        file=64 * 1024,  # nothing of its own: crun writes the filter of system calls to a file under this limit
        relay=None,
        services=(),
    )


_ENVIRONMENT = (
    ("HOME", "/tmp"),  # noqa: S108 - inside the sandbox
    ("LANG", "C.UTF-8"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("TMPDIR", "/tmp"),  # noqa: S108 - inside the sandbox
)
_PIP = (("PIP_DISABLE_PIP_VERSION_CHECK", "1"), ("PIP_NO_CACHE_DIR", "1"), ("PIP_NO_INPUT", "1"))
_CA_VARIABLES = ("CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def _sealed(
    *,
    name: str,
    role: Role,
    owner: Owner,
    image: str,
    command: tuple[str, ...],
    mounts: tuple[Mount, ...],
    limits: Limits,
    environment: tuple[tuple[str, str], ...] = (),
    relay: RelaySpec | None = None,
) -> SandboxSpec:
    return SandboxSpec(
        name=name,
        role=role,
        image=image,
        command=command,
        workdir=WORKSPACE,
        environment=(*_ENVIRONMENT, *environment),
        mounts=mounts,
        tmpfs=(Tmpfs(target="/tmp", size=limits.scratch),),  # noqa: S108 - inside the sandbox
        labels=(
            (LABEL_RUN, owner.run_id),
            (LABEL_ATTEMPT, str(owner.attempt)),
            (LABEL_ROLE, role.value),
            (LABEL_HOST, owner.host),
        ),
        memory=limits.memory,
        pids=limits.pids,
        cpus=limits.cpus,
        file=limits.file,
        relay=relay,
    )


def _shown(source: str, target: str, *, read_only: bool = False) -> Mount:
    return Mount(source=source, target=target, read_only=read_only)


def _shell(script: str) -> tuple[str, ...]:
    # One stream: from two, the engine's log would not keep the order in which they were written.
    return ("/bin/sh", "-c", f"exec 2>&1\n{script}")
