"""Where changes are judged: by the judge that the daemon has, in real sandboxes or in namespaces of this host."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from gates.verdict import Inconclusive, Verdict
from mcp_ashigaru.judging_here import judge_here
from mcp_ashigaru.settings import load_settings
from runner.errors import NotPossible
from runner.ports import Containers
from runner.sandboxes import SandboxSpec
from tests.fakes.behaviours import Behaviour, Ended, Inside
from tests.fakes.containers import FakeContainers
from tests.referee.case import Kind

_UNUSED: Final = Path("/tmp/unused")  # noqa: S108 - see below
"""Short, and never made: the judge makes a directory of its own."""
_LIMIT_S: Final = 120
_OUTPUT: Final = 256 * 1024
# A root of its own with the host's programs in it, read-only but for what a sandbox may write to.
_ROOT: Final = """set -e
mount -t tmpfs -o size=512m tmpfs "$root"
for one in usr bin sbin lib lib64 etc opt $shown; do
  if [ -L "/$one" ]; then cp -P "/$one" "$root/$one"; continue; fi
  [ -d "/$one" ] || continue
  mkdir -p "$root/$one"
  mount --rbind "/$one" "$root/$one"
  mount -o remount,bind,ro "$root/$one" 2>/dev/null || true
done
mkdir -p "$root/proc" "$root/dev" "$root/tmp"
mount -t proc proc "$root/proc"
for one in null zero full random urandom; do : >"$root/dev/$one"; mount --bind "/dev/$one" "$root/dev/$one"; done
ln -s /proc/self/fd "$root/dev/fd"
"""


class Judge(Protocol):
    """Says what the gates of `base` make of `head`. Safe to call from several threads."""

    def __call__(self, repo: Path, base: str, head: str) -> Verdict:
        """The verdict; Inconclusive where there is no gate to ask."""


@contextmanager
def by_podman(environment: Mapping[str, str]) -> Iterator[Judge]:
    """The judge on real podman. environment: what `make test` says of it."""
    told = {
        "podman_url": environment["ASHIGARU_TEST_PODMAN_URL"],
        "gate_image": environment["ASHIGARU_TEST_GATE_IMAGE"],
        "relay_image": environment["ASHIGARU_TEST_RELAY_IMAGE"],
    }
    with _judging(told, None) as judge:
        yield judge


@contextmanager
def by_namespaces() -> Iterator[Judge]:
    """The judge, with sandboxes that are namespaces of this host: its programs, no network, one process tree."""
    with _judging({}, FakeContainers(_runs)) as judge:
        yield judge


def lacking(kind: Kind) -> str | None:
    """Which program this host would need to judge such a repository in namespaces; None where it has all."""
    needed = {Kind.PYTHON: "python3", Kind.NODE: "npm", Kind.MAKE: "make", Kind.GO: "go", Kind.RUST: "cargo"}
    missing = [name for name in ("unshare", needed[kind]) if shutil.which(name) is None]
    return missing[0] if missing else None


@contextmanager
def _judging(images: Mapping[str, str], containers: Containers | None) -> Iterator[Judge]:
    with judge_here(load_settings(state_dir=_UNUSED, **images), containers=containers) as judging:

        def judge(repo: Path, base: str, head: str) -> Verdict:
            try:
                return judging(repo, base, head).verdict
            except NotPossible as none:
                return Inconclusive(reason=str(none))

        yield judge


def _runs(spec: SandboxSpec) -> Behaviour:
    def behaviour(inside: Inside) -> Ended:
        root = Path(inside.host("/ashigaru/out")).parent / "root"
        root.mkdir(exist_ok=True)
        script = _ROOT + "".join(
            f'mkdir -p "$root{one.target}"; mount --bind {shlex.quote(one.source)} "$root{one.target}"\n'
            for one in spec.mounts
        )
        script += f'exec chroot "$root" {shlex.join(spec.command)}\n'
        argv = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child"]
        with subprocess.Popen(
            [*argv, "sh", "-c", script],
            env=_environment(spec, root),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=_LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
        inside.say(output[-_OUTPUT:])
        code = process.returncode
        return Ended(code=code if code >= 0 else 128 - code)

    return behaviour


def _environment(spec: SandboxSpec, root: Path) -> dict[str, str]:
    """The sandbox's own, with this host's programs on its path."""
    python = Path(sys.executable).parent
    programs = [found for name in ("npm", "node", "go", "cargo", "rustc") if (found := shutil.which(name)) is not None]
    shown = {str(python.parent), sys.base_prefix, os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup"))}
    shown |= {str(Path(one).parent) for one in programs} | {str(Path(one).resolve().parents[1]) for one in programs}
    shown = {one for one in shown if Path(one).is_dir() and not one.startswith(("/usr", "/bin", "/lib", "/opt"))}
    path = [
        str(python),
        *(str(Path(one).parent) for one in programs),
        os.defpath,
        "/usr/local/bin",
        "/usr/sbin",
        "/sbin",
    ]
    rust = {"RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup"))}
    return {
        **dict(spec.environment),
        **rust,
        "PATH": ":".join(path),
        "HOME": "/tmp",  # noqa: S108 - the sandbox's own
        "root": str(root),
        "shown": " ".join(one.lstrip("/") for one in sorted(shown)),
    }
