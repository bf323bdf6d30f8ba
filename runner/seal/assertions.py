"""What is asserted of a sandbox by what the probe saw inside it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from runner.seal.places import SHOWN, Bounds, Place, Shown

OF_THE_ENGINE: Final = frozenset({"/", "/etc/hosts", "/etc/hostname", "/run/.containerenv"})
OF_THE_ENGINE_MAYBE: Final = frozenset({"/etc/passwd", "/etc/group", "/etc/resolv.conf"})
_NOT_THERE: Final = {"ENOENT", "ECONNREFUSED", "EACCES"}
_UNREACHABLE: Final = {"ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"}
_REFUSED: Final = {"EPERM", "EACCES", "EROFS", "ENOSYS", "ENOENT", "EINVAL"}
"""How a call that needs a right ends without it; what a recipe does not have cannot be refused otherwise."""
_SCRATCH: Final = ("/tmp", "/dev/shm")  # noqa: S108 - inside the sandbox
_OWN_DEVICES: Final = frozenset({"/dev/shm", "/dev/mqueue"})  # noqa: S108 - inside the sandbox
_DEVICES: Final = re.compile(r"/dev/(null|zero|full|random|urandom|tty|console|ptmx|pts/(ptmx|\d+))")
_CONFINED: Final = re.compile(r"\w+:\w+:container(_init)?_t:s0:c\d+,c\d+")
_MOST_FILES: Final = 16_384
_MOST_SHOWN: Final = 300


class Result(StrEnum):
    """What came of an assertion. ABSENT: nothing here could hold a sandbox to it, so nothing is claimed."""

    HOLDS = "holds"
    BROKEN = "BROKEN"
    ABSENT = "not enforced here"


@dataclass(frozen=True, kw_only=True)
class Host:
    """What the container engine says of its host: which of its means a sandbox can be held by at all."""

    selinux: bool
    apparmor: bool

    @classmethod
    def told(cls, info: Mapping[str, Any]) -> Host:
        """As `podman info` tells it; what it does not tell is not there."""
        security = (info.get("host") or {}).get("security") or {}
        return cls(selinux=security.get("selinuxEnabled") is True, apparmor=security.get("apparmorEnabled") is True)


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the probe saw at one place, and what it is held against. secrets: what may be read nowhere inside."""

    place: Place
    seen: Mapping[str, Any]
    bounds: Bounds
    host: Host
    secrets: tuple[str, ...] = ()

    @property
    def shown(self) -> Shown:
        """What the place is to find of the host's."""
        return SHOWN[self.place]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One assertion at one place; `saw` is what the probe saw where it does not hold, or why nothing is claimed."""

    place: str
    asserted: str
    result: Result
    saw: str = ""


@dataclass(frozen=True, kw_only=True)
class _Assertion:
    """of: the fields of what was seen that it goes by. here: why nothing can be claimed; "" where it can."""

    of: tuple[str, ...]
    holds: Callable[[Looked], bool]
    absent: Callable[[Looked], str] = lambda _looked: ""


def _both(key: str, value: object) -> Callable[[Looked], bool]:
    return lambda looked: (looked.seen["self"][key], looked.seen["first"][key]) == (value, value)


def _among(key: str, allowed: Iterable[str]) -> Callable[[Looked], bool]:
    whole = set(allowed)
    return lambda looked: set(looked.seen[key].values()) <= whole


def _is(key: str, value: object) -> Callable[[Looked], bool]:
    return lambda looked: bool(looked.seen[key] == value)


def _never_root(looked: Looked) -> bool:
    return all("0" not in one["uids"] for one in (looked.seen["self"], looked.seen["first"]))


def _ids_mapped(looked: Looked) -> bool:
    # A line is (first inside, first outside, how many). Outside is the engine's own namespace, or the host itself.
    maps = looked.seen["ids"].values()
    return all(lines and not any(inside == outside == 0 for inside, outside, _ in lines) for lines in maps)


def _root_read_only(looked: Looked) -> bool:
    touched = set(looked.seen["root"].values())
    return looked.seen["root_options"] == ["ro"] and touched <= {"EROFS", "EACCES"} and "EROFS" in touched


def _shown_no_more(looked: Looked) -> bool:
    shown = looked.shown
    places = OF_THE_ENGINE | shown.granted.keys() | (shown.writable - shown.granted.keys())
    mounts = set(looked.seen["mounts"]) - OF_THE_ENGINE_MAYBE
    return bool(looked.seen["granted"] == dict(shown.granted)) and mounts == places


def _writes_nowhere_else(looked: Looked) -> bool:
    found = {path for path in looked.seen["writable"] if not path.startswith("/tmp/")}  # noqa: S108 - inside
    return found - _OWN_DEVICES == looked.shown.writable


def _no_secret(looked: Looked) -> bool:
    return not secrets_in(looked.seen, *looked.secrets)


def _counted(looked: Looked) -> bool:
    limits, bounds = looked.seen["limits"], looked.bounds
    most = {"nproc": bounds.pids, "fsize": bounds.file, "nofile": _MOST_FILES}
    return all(0 <= limits[name] <= limit for name, limit in most.items())


def _cgroup(*names: str, wanted: Callable[[Bounds, list[list[str]]], bool]) -> _Assertion:
    def absent(looked: Looked) -> str:
        if not looked.seen["cgroup2"]:
            return "cgroups version 1, which hold no sandbox of an unprivileged account's"
        lacking = [name for name in names if name not in looked.seen["cgroup"]]
        return f"{', '.join(lacking)}: its controller is not delegated to this account" if lacking else ""

    return _Assertion(
        of=("cgroup",),
        holds=lambda looked: wanted(looked.bounds, [looked.seen["cgroup"][name] for name in names]),
        absent=absent,
    )


def _at_most(limit: int, told: list[str]) -> bool:
    return told[0].isdigit() and int(told[0]) <= limit  # the kernel rounds down to whole pages


def _share(bounds: Bounds, told: list[list[str]]) -> bool:
    quota, period = told[0]
    return quota.isdigit() and int(quota) <= bounds.cpus * int(period)


_ASSERTIONS: Final[Mapping[str, _Assertion]] = {
    "no capability, not even in the bounding set": _Assertion(of=("self", "first"), holds=_both("caps", [0] * 5)),
    "never root": _Assertion(of=("self", "first"), holds=_never_root),
    "its root is no root outside": _Assertion(of=("ids",), holds=_ids_mapped),
    "no new privileges": _Assertion(of=("self", "first"), holds=_both("no_new_privs", 1)),
    "seccomp filters": _Assertion(of=("self", "first"), holds=_both("seccomp", 2)),
    "loopback is the only interface": _Assertion(of=("interfaces",), holds=_is("interfaces", ["lo"])),
    "no route": _Assertion(
        of=("routes", "routes6"), holds=lambda looked: (looked.seen["routes"], looked.seen["routes6"]) == (0, [])
    ),
    "no name is resolved": _Assertion(of=("names",), holds=lambda looked: set(looked.seen["names"]) == {"no"}),
    "nothing outside is reached": _Assertion(of=("outside",), holds=_among("outside", _UNREACHABLE)),
    "no raw socket": _Assertion(of=("raw",), holds=lambda looked: looked.seen["raw"] in {"EPERM", "EACCES"}),
    "no abstract socket of the host's": _Assertion(of=("abstract",), holds=_is("abstract", [])),
    "no socket of podman's, D-Bus's or systemd's": _Assertion(of=("known",), holds=_among("known", _NOT_THERE)),
    "no socket but the one it is granted": _Assertion(
        of=("sockets",), holds=lambda looked: set(looked.seen["sockets"]) == looked.shown.sockets
    ),
    "the root is read-only": _Assertion(of=("root", "root_options"), holds=_root_read_only),
    "it is shown what its recipe says and no more": _Assertion(of=("granted", "mounts"), holds=_shown_no_more),
    "it writes nowhere else": _Assertion(of=("writable",), holds=_writes_nowhere_else),
    "no block device": _Assertion(of=("blocks",), holds=_is("blocks", [])),
    "no device but the harmless ones": _Assertion(
        of=("characters",), holds=lambda looked: all(_DEVICES.fullmatch(one) for one in looked.seen["characters"])
    ),
    "what the kernel tells of the host is masked": _Assertion(of=("unmasked",), holds=_is("unmasked", [])),
    "no other run's file": _Assertion(of=("neighbours",), holds=_is("neighbours", [])),
    "no variable but the recipe's": _Assertion(
        of=("environ",), holds=lambda looked: set(looked.seen["environ"]) <= looked.shown.variables
    ),
    "no credential of the daemon's": _Assertion(
        of=(), holds=_no_secret, absent=lambda looked: "" if looked.secrets else "none is configured to look for"
    ),
    "no right of the kernel's": _Assertion(of=("calls",), holds=_among("calls", _REFUSED)),
    "what is scratch is no place for devices": _Assertion(
        of=("options",),
        holds=lambda looked: all(
            {"nosuid", "nodev"} <= set(looked.seen["options"][place])
            for place in _SCRATCH
            if place in looked.seen["options"]
        ),
    ),
    "no core dumps": _Assertion(of=("limits",), holds=lambda looked: bool(looked.seen["limits"]["core"] == 0)),
    "its processes and files are bounded": _Assertion(of=("limits",), holds=_counted),
    "few processes of the host's are seen": _Assertion(
        of=("processes",), holds=lambda looked: bool(looked.seen["processes"] <= 8)
    ),
    "its memory is bounded by its cgroup": _cgroup(
        "memory.max",
        "memory.swap.max",
        wanted=lambda bounds, told: _at_most(bounds.memory, told[0]) and told[1] == ["0"],
    ),
    "its processes are bounded by its cgroup": _cgroup(
        "pids.max", wanted=lambda bounds, told: _at_most(bounds.pids, told[0])
    ),
    "its processors are bounded by its cgroup": _cgroup("cpu.max", wanted=_share),
    "SELinux confines it": _Assertion(
        of=("label",),
        holds=lambda looked: _CONFINED.fullmatch(looked.seen["label"]) is not None,
        absent=lambda looked: "" if looked.host.selinux else "SELinux is off, or podman does not use it",
    ),
    "AppArmor confines it": _Assertion(
        of=("apparmor", "label"),
        holds=lambda looked: (looked.seen["apparmor"] or looked.seen["label"]).endswith("(enforce)"),
        absent=lambda looked: "" if looked.host.apparmor else "AppArmor is off, or not for an unprivileged account",
    ),
}
ASSERTIONS: Final = tuple(_ASSERTIONS)
"""What is asserted of every sandbox, whatever its recipe, but for `Shown.without`."""


def judged(looked: Looked) -> tuple[Checked, ...]:
    """Every assertion for that place. What the probe did not tell makes what goes by it BROKEN."""
    return tuple(_checked(name, one, looked) for name, one in _ASSERTIONS.items() if name not in looked.shown.without)


def _checked(name: str, one: _Assertion, looked: Looked) -> Checked:
    try:
        absent = one.absent(looked)
        held = not absent and one.holds(looked)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as fault:
        saw = f"what the probe told cannot be read ({type(fault).__name__}); is the image's Python 3.9 or newer?"
        return Checked(place=looked.place, asserted=name, result=Result.BROKEN, saw=saw)
    if absent:
        return Checked(place=looked.place, asserted=name, result=Result.ABSENT, saw=absent)
    if held:
        return Checked(place=looked.place, asserted=name, result=Result.HOLDS)
    return Checked(
        place=looked.place, asserted=name, result=Result.BROKEN, saw=json.dumps(_saw(one, looked))[:_MOST_SHOWN]
    )


def _saw(one: _Assertion, looked: Looked) -> object:
    if one.of == ("environ",):
        return sorted(set(looked.seen["environ"]) - looked.shown.variables)  # names alone: a value may be a secret
    return {field: looked.seen[field] for field in one.of} or secrets_in(looked.seen, *looked.secrets)


def broken(looked: Looked) -> list[str]:
    """The assertions that do not hold; none where all is well."""
    return [one.asserted for one in judged(looked) if one.result is Result.BROKEN]


def secrets_in(seen: Mapping[str, Any], *secrets: str) -> list[str]:
    """The places below /proc at which one of `secrets` can be read."""
    return [path for path, text in seen["said"].items() if any(secret in text for secret in secrets)]
