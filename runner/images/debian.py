"""A Debian root file system from the host's own package sources, for hosts that no container registry answers."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

from runner.errors import SandboxFault

MAKE_S = 900.0
DEFAULT_SUITE = "bookworm"
SOURCES = (
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/debian.sources",
    "etc/apt/sources.list.d/ubuntu.sources",
)
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")


def suite_and_sources(os_release: dict[str, str], host_root: Path) -> tuple[str, tuple[str, ...]]:
    """The host's own suite and source files where it is a Debian or a derivative, else mmdebstrap's default."""
    family = {os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()}
    suite = os_release.get("VERSION_CODENAME", "")
    files = [host_root / name for name in SOURCES]
    found = tuple(str(path) for path in files if path.is_file() and suite and suite in path.read_text(encoding="utf-8"))
    if family & {"debian", "ubuntu"} and found:
        return suite, found
    return DEFAULT_SUITE, ()


def make_root(packages: tuple[str, ...], archive: Path) -> None:
    """Write a tar of a Debian with `packages` to `archive`; needs no root. Raises SandboxFault with the cure."""
    if shutil.which("mmdebstrap") is None:
        raise SandboxFault("No container registry answers and mmdebstrap is missing; install mmdebstrap, or connect.")
    suite, sources = suite_and_sources(platform.freedesktop_os_release(), Path("/"))
    left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    options = ["--quiet", "--variant=essential", f"--include={','.join(packages)}", *left_out]
    try:
        done = subprocess.run(
            ["mmdebstrap", *options, suite, str(archive), *sources],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=MAKE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise SandboxFault(f"mmdebstrap took over {MAKE_S:.0f} s; check the package sources and try again.") from exc
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or ["it said nothing"]
        raise SandboxFault(f"mmdebstrap failed ({lines[0][:300]}); check this host's package sources.")
