"""Runs inside a sandbox: tries everything, prints one line of JSON that says how each try ended. Standard library only.

It is told by a JSON object in its first argument what lies outside that it should try to reach.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

DONE = "done"


def tried(deed: Callable[[], object]) -> str:
    """How a deed ended: DONE, or the kernel's word for why not."""
    try:
        deed()
    except OSError as fault:
        return f"{type(fault).__name__} {fault.errno}"
    return DONE


def route_to(host: str, port: int = 53) -> None:
    """Nothing is sent: connecting a datagram socket only asks for a route."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        made.connect((host, port))


def reach(port: int) -> None:
    """A connection to this machine's loopback."""
    with socket.create_connection(("127.0.0.1", port), 2):
        pass


def reach_unix(path: str) -> None:
    """A connection to a Unix socket; a leading @ means an abstract one."""
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(2)
        made.connect("\0" + path[1:] if path.startswith("@") else path)


def write(path: str) -> None:
    """Make the file; a byte in it may be one more than a sandbox is allowed anywhere."""
    Path(path).write_bytes(b"")


def fill(path: str, size: int) -> None:
    """Write `size` bytes to one file, and take them away again."""
    try:
        with Path(path).open("wb") as handle:
            handle.writelines(b"\0" * (1024 * 1024) for _ in range(size // (1024 * 1024)))
    finally:
        Path(path).unlink(missing_ok=True)


def call(number: int, *arguments: int) -> Callable[[], None]:
    """A system call by its number on x86_64; EPERM and ENOSYS are how a filter says no."""

    def made() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(ctypes.c_long(number), *(ctypes.c_long(one) for one in arguments)) == -1:
            raise OSError(ctypes.get_errno(), "refused")

    return made


def in_child(deed: Callable[[], object]) -> str:
    """How a deed ended that would change this process: done in a child of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, tried(deed).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as answer:
        return answer.read()


def sockets() -> list[str]:
    """Every Unix socket in the file system."""
    found = []
    for top, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(top, name) not in {"/proc", "/sys", "/usr"}]  # noqa: PTH118
        for name in files:
            path = Path(top, name)
            try:
                if stat.S_ISSOCK(path.lstat().st_mode):
                    found.append(str(path))
            except OSError:
                continue
    return sorted(found)


def environments() -> str:
    """The environment and command line of every process that can be seen, but this one's own command line."""
    held = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            if not (name == "cmdline" and process.name == str(os.getpid())):
                try:
                    held.append((process / name).read_bytes().decode("utf-8", "replace"))
                except OSError:
                    continue
    return "\0".join(held)


def main() -> None:
    """Print what was found."""
    told: dict[str, Any] = json.loads(sys.argv[1])
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    seen = {
        "status": {name: status[name].strip() for name in ("CapEff", "CapBnd", "CapPrm", "NoNewPrivs", "Seccomp")},
        "uid": os.getuid(),
        "routes": {host: tried(lambda host=host: route_to(host)) for host in told["hosts"]},
        "interfaces": sorted(
            line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text(encoding="utf-8").splitlines()[2:]
        ),
        "dns": tried(lambda: socket.getaddrinfo("localhost.localdomain.example", 443)),
        "ports": {str(port): tried(lambda port=port: reach(port)) for port in told["ports"]},
        "unix": {path: tried(lambda path=path: reach_unix(path)) for path in told["unix"]},
        "files": {path: tried(lambda path=path: Path(path).read_bytes()) for path in told["files"]},
        "writes": {path: tried(lambda path=path: write(path)) for path in told["writes"]},
        "filled": tried(lambda: fill("/tmp/filled", told["fill"])),  # noqa: S108 - inside the sandbox
        "calls": {
            "keyctl": in_child(call(250, 0, -3, 1)),
            "unshare-user": in_child(call(272, 0x10000000)),
            "unshare-mount": in_child(call(272, 0x10000000 | 0x00020000)),
            "bpf": in_child(call(321, 0, 0, 0)),
            "perf": in_child(call(298, 0, 0, -1, -1, 0)),
            "by-handle": in_child(call(304, -1, 0, 0)),
        },
        "sockets": sockets(),
        "environments": environments(),
        "mounts": sorted(
            line.split()[1]
            for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
            if not line.split()[1].startswith(("/proc", "/sys", "/dev"))
        ),
    }
    print(json.dumps(seen))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
