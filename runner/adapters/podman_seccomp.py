"""The system calls that a sandbox may make: podman's own profile, less what only containers within containers need.

Podman lets every container make a user namespace of its own, and mounts within it: with all capabilities there, much
of the kernel is in reach that was not before, and of its faults many have been just there. No sandbox needs that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

PROFILES: Final = (Path("/etc/containers/seccomp.json"), Path("/usr/share/containers/seccomp.json"))
"""Where podman looks for its profile (containers.conf(5)), first found first."""
_MAX_BYTES: Final = 1024 * 1024
_EPERM: Final = 1
_ENOSYS: Final = 38

FORBIDDEN: Final = frozenset(
    {
        *("unshare", "setns", "mount", "umount", "umount2", "pivot_root", "mount_setattr", "move_mount", "open_tree"),
        *("fsopen", "fsconfig", "fsmount", "fspick", "add_key", "keyctl", "request_key", "bpf", "perf_event_open"),
        *("userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    }
)
_NAMESPACES: Final = 0x7E020000
"""Every CLONE_NEW… flag of clone(2) but CLONE_NEWTIME, which clone cannot be given."""


def tightened(profile: dict[str, Any]) -> dict[str, Any]:
    """The profile with FORBIDDEN refused, and clone without new namespaces. Raises ValueError on another form."""
    rules = profile.get("syscalls")
    if not isinstance(rules, list) or profile.get("defaultAction") not in {"SCMP_ACT_ERRNO", "SCMP_ACT_KILL"}:
        raise ValueError("it is no list of what is allowed")
    ours = FORBIDDEN | {"clone", "clone3"}
    kept = [rule | {"names": names} for rule in rules if (names := [one for one in rule["names"] if one not in ours])]
    no_namespace = {"index": 0, "value": _NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    return profile | {
        "syscalls": [
            *kept,
            _refused(sorted(FORBIDDEN), _EPERM),
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [no_namespace], "includes": {}, "excludes": {}},
            # Its flags lie in memory, where no filter can look; told that it is not there, the C library uses clone.
            _refused(["clone3"], _ENOSYS),
        ]
    }


def _refused(names: list[str], errno: int) -> dict[str, Any]:
    empty: dict[str, Any] = {"args": [], "includes": {}, "excludes": {}}
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno} | empty


def write_profile(directory: Path) -> Path | None:
    """The file below `directory` that holds the tightened profile; None where podman's own was not found."""
    for source in PROFILES:
        try:
            with source.open("rb") as file:
                profile = tightened(json.loads(file.read(_MAX_BYTES)))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        path, text = directory / "seccomp.json", json.dumps(profile, indent=1)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            fresh = path.with_name("seccomp.json.new")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(path)
        return path
    return None
