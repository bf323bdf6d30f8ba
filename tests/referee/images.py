"""The image that Go and Rust repositories are judged in: toolchains from the distribution's packages, built once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from gates.plan import GatePlan, plan
from mcp_ashigaru.gate_draft import draft
from runner.errors import RunnerError, SandboxFault
from runner.images.debian import LEFT_OUT, make_root
from runner.images.recipe import BUILD_OPTIONS, REGISTRY_ROOT, REPOSITORY
from tests.referee.case import Language

TOOLCHAINS: Final = f"{REPOSITORY}/referee-toolchains:latest"
"""What the repositories' gate files name."""
NEEDING: Final = frozenset({Language.GO, Language.RUST})

_PACKAGES: Final = ("ca-certificates", "cargo", "golang-go", "python3")
_CHANGES: Final = ("ENV LANG=C.UTF-8 HOME=/tmp", "WORKDIR /workspace")
_PROOF: Final = "go version && cargo --version && rustc --version"
_SHORT_S: Final = 60.0
_BUILD_S: Final = 1200.0
_SAID: Final = 300


def judged_with_toolchains(files: Mapping[str, str]) -> dict[str, str]:
    """The files with a gate file that says what they would be recognised as, in that image; they need no set-up."""
    told = plan(None, tuple(files), lambda path: files[path].encode() if path in files else None)
    if not isinstance(told, GatePlan):
        raise TypeError(f"not recognised: {told}")
    return {**files, ".ashigaru.toml": draft(replace(told, image=TOOLCHAINS, setup=None))}


def have_toolchains(url: str, progress: Callable[[str], None]) -> str | None:
    """Why the image cannot be had from podman at that URL; None where it is there. It is built once."""
    podman = ("podman", "--remote", f"--url={url}")
    keyed = f"{TOOLCHAINS.rpartition(':')[0]}:{_key()}"
    try:
        if _run((*podman, "image", "exists", keyed), _SHORT_S).returncode != 0:
            progress("the toolchains of Go and Rust are being put into an image, once")
            if not _from_registry(podman, keyed):
                _from_packages(podman, keyed)
            start = (*podman, "run", "--rm", "--network=none", "--userns=keep-id", "--entrypoint=/bin/sh")
            _must((*start, keyed, "-c", _PROOF), _BUILD_S)
        _must((*podman, "tag", keyed, TOOLCHAINS), _SHORT_S)
    except (RunnerError, OSError, subprocess.TimeoutExpired) as fault:
        return f"{type(fault).__name__}: {fault}"
    return None


def _key() -> str:
    told = "\n".join((*_PACKAGES, *_CHANGES, *LEFT_OUT, REGISTRY_ROOT, *BUILD_OPTIONS))
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _from_registry(podman: Sequence[str], reference: str) -> bool:
    """Whether a registry had the distribution; then its packages come as everywhere."""
    if _run((*podman, "manifest", "inspect", f"docker://{REGISTRY_ROOT}"), _SHORT_S).returncode != 0:
        return False
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends"
    lines = [
        f"FROM {REGISTRY_ROOT}",
        f"RUN apt-get update -qq && {install} {' '.join(_PACKAGES)} && rm -rf /var/lib/apt/lists/*",
        *_CHANGES,
    ]
    with tempfile.TemporaryDirectory(prefix="ash-") as context:
        (Path(context) / "Containerfile").write_text("\n".join(lines) + "\n", encoding="utf-8")
        options = (*(one for one in BUILD_OPTIONS if not one.startswith("--pull")), "--network=host")
        return _run((*podman, "build", *options, f"--tag={reference}", context), _BUILD_S).returncode == 0


def _from_packages(podman: Sequence[str], reference: str) -> None:
    with tempfile.TemporaryDirectory(prefix="ash-", dir=os.environ.get("TMPDIR")) as folder:
        archive = Path(folder) / "root.tar"
        make_root(_PACKAGES, archive)
        changes = [f"--change={one}" for one in _CHANGES]
        _must((*podman, "import", "--quiet", *changes, str(archive), reference), _BUILD_S)


def _must(argv: Sequence[str], seconds: float) -> None:
    done = _run(argv, seconds)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["podman said nothing"])[-1][:_SAID]
        raise SandboxFault(f"The toolchains' image could not be made ({said}); cure that and try again.")


def _run(argv: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
        check=False,
    )
