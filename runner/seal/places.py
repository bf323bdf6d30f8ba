"""The sandboxes that are looked at from inside, and what each is shown: said here a second time, on purpose. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from runner.sandboxes import SandboxSpec

AGENTS_OWN: Final = frozenset(
    {
        *("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"),
        *("CLAUDE_CODE_MAX_RETRIES", "DISABLE_AUTOUPDATER"),
    }
)
_SAID: Final = frozenset({"HOME", "LANG", "PATH", "TMPDIR"})
_OF_THE_ENGINE: Final = frozenset({"HOSTNAME", "container", "TERM", "PWD", "LC_CTYPE", "SHLVL", "_"})
_PROXY: Final = frozenset({"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"})
_PIP: Final = frozenset({"PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_CACHE_DIR", "PIP_NO_INPUT"})
_SCRATCH: Final = "/tmp"  # noqa: S108 - inside the sandbox


class Place(StrEnum):
    """Where the probe looks."""

    AGENT = "agent"
    RELAY = "relay"
    SETUP = "set-up"
    GATE = "gate"
    GATE_SERVED = "gate with a service"
    SERVICE = "service"
    HOLDER = "what holds a pod"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What one place is to find of the host's.

    granted: the directories it is shown, and what touching a file there comes to. writable: the directories it can
    write to, scratch memory among them. sockets: the Unix sockets in sight. variables: the names its environment may
    have. without: the assertions that are not made there, each with the reason.
    """

    granted: Mapping[str, str] = field(default_factory=dict)
    writable: frozenset[str] = frozenset()
    sockets: frozenset[str] = frozenset()
    variables: frozenset[str] = _OF_THE_ENGINE | _SAID
    without: frozenset[str] = frozenset()


SHOWN: Final[Mapping[Place, Shown]] = {
    Place.AGENT: Shown(
        granted={"/workspace": "done", "/ashigaru/in": "EROFS", "/ashigaru/out": "done"},
        writable=frozenset({"/workspace", "/ashigaru/out", _SCRATCH}),
        variables=AGENTS_OWN | _SAID | {"PWD", "LC_CTYPE"},
    ),
    Place.RELAY: Shown(
        granted={"/ashigaru/sockets": "EROFS"},
        sockets=frozenset({"/ashigaru/sockets/egress.sock"}),
    ),
    Place.SETUP: Shown(
        granted={"/workspace": "done", "/ashigaru/env": "done"},
        writable=frozenset({"/workspace", "/ashigaru/env", _SCRATCH}),
        variables=_OF_THE_ENGINE | _SAID | _PROXY | _PIP,
    ),
    Place.GATE: Shown(
        granted={"/workspace": "done", "/ashigaru/out": "done", "/ashigaru/env": "EROFS"},
        writable=frozenset({"/workspace", "/ashigaru/out", _SCRATCH}),
    ),
    Place.GATE_SERVED: Shown(
        granted={"/workspace": "done", "/ashigaru/out": "done"},
        writable=frozenset({"/workspace", "/ashigaru/out", _SCRATCH}),
    ),
    Place.SERVICE: Shown(writable=frozenset({_SCRATCH, "/var/lib/www"})),
    # Podman makes it with a writable root of its own, limits of its own, and capabilities that a process without
    # privileges cannot take up; it is shown nothing, and all it does is sleep.
    Place.HOLDER: Shown(
        without=frozenset(
            {
                "no capability, not even in the bounding set",
                "the root is read-only",
                "it writes nowhere else",
                "no core dumps",
                "its processes and files are bounded",
                "its memory is bounded by its cgroup",
                "its processes are bounded by its cgroup",
                "its processors are bounded by its cgroup",
            }
        )
    ),
}


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a sandbox is to be held to, as its recipe says it: None where no recipe does."""

    memory: int
    pids: int
    cpus: float
    file: int

    @classmethod
    def of(cls, spec: SandboxSpec) -> Bounds:
        """The bounds of that sandbox."""
        return cls(memory=spec.memory, pids=spec.pids, cpus=spec.cpus, file=spec.file)
