"""Which of a sandbox's limits this host really enforces, and whether it has what all slots may take. Pure."""

from __future__ import annotations

import re
from typing import Any

from mcp_ashigaru.findings import Finding, Level

NPROC_BY_NAMESPACE = (5, 14)
"""The kernel from which on RLIMIT_NPROC is counted for each user namespace."""


def unenforceable(info: dict[str, Any], kernel: str) -> tuple[str, ...]:
    """The limits that this host accepts and does not enforce: of "memory", "cpu" and "pids".

    kernel: its release. Under cgroups version 1, or without delegation, a rootless limit is ignored; processes are held
    to theirs by an rlimit all the same where the kernel counts it for each user namespace.
    """
    host = info.get("host", {})
    controllers = host.get("cgroupControllers") or () if host.get("cgroupVersion") == "v2" else ()
    held = {*controllers, *(("pids",) if _release(kernel) >= NPROC_BY_NAMESPACE else ())}
    return tuple(name for name in ("memory", "cpu", "pids") if name not in held)


def judge_limits(info: dict[str, Any] | str, kernel: str) -> tuple[Finding, ...]:
    """Which limits this host really holds a sandbox to."""
    if isinstance(info, str):
        return ()
    version = info.get("host", {}).get("cgroupVersion")
    if version == "v2":
        cure = "delegate it to this account: Delegate=yes in user@.service, or run the daemon as a systemd user service"
    else:
        cure = "boot with systemd.unified_cgroup_hierarchy=1; until then only rlimits and wall clocks bound a sandbox"
    lacking = unenforceable(info, kernel)
    words = {"memory": "memory", "cpu": "processors", "pids": "processes"}
    return tuple(
        Finding(level=Level.WARN, subject="limits", text=f"{word}: accepted and not enforced ({version})", cure=cure)
        if name in lacking
        else Finding(level=Level.OK, subject="limits", text=f"{word}: enforced")
        for name, word in words.items()
    )


def judge_memory(info: dict[str, Any] | str, slots: int, slot_bytes: int) -> tuple[Finding, ...]:
    """Whether the host has the memory that its slots may take at once; slot_bytes: what one may, at the usual peak."""
    total = 0 if isinstance(info, str) else info.get("host", {}).get("memTotal")
    if not isinstance(total, int) or total <= 0 or slot_bytes <= 0:
        return ()
    text = f"{slots} slots may take {slots * slot_bytes / 1024**3:.1f} GB at once, the host has {total / 1024**3:.1f}"
    if slots * slot_bytes <= total:
        return (Finding(level=Level.OK, subject="memory", text=text),)
    fit = total // slot_bytes
    fewer = f"set ASHIGARU_SLOTS to {fit}" if fit else "give the host more"
    cure = f"{fewer}, or lower ASHIGARU_AGENT_MEMORY and ASHIGARU_GATE_MEMORY; what is short is taken from whoever asks"
    return (Finding(level=Level.WARN, subject="memory", text=text, cure=cure),)


def _release(kernel: str) -> tuple[int, ...]:
    numbers = re.match(r"(\d+)\.(\d+)", kernel)
    return () if numbers is None else (int(numbers[1]), int(numbers[2]))
