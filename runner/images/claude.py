"""The Claude Code binary: fetched once with npm, verified by its digest, kept in the account's cache."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import IO

from runner.errors import SandboxFault
from runner.images.npm_archive import packed
from runner.images.recipe import CLAUDE_SHA256, CLAUDE_VERSION

PACKAGE = f"@anthropic-ai/claude-code-linux-x64@{CLAUDE_VERSION}"
MAX_BYTES = 1_000_000_000


def cached_claude(cache_dir: Path) -> Path:
    """Where the binary is kept."""
    return cache_dir / f"claude-{CLAUDE_VERSION}"


def have_claude(cache_dir: Path, sha256: str = CLAUDE_SHA256, machine: str | None = None) -> Path:
    """The verified binary's path, fetched if it is not in the cache. Raises SandboxFault with the cure."""
    kept = cached_claude(cache_dir)
    if kept.is_file():
        with kept.open("rb") as source:
            if _copied_digest(source, None) == sha256:
                return kept
        kept.unlink()
    machine = machine or platform.machine()
    if machine not in {"x86_64", "AMD64"}:
        raise SandboxFault(f"Only the x86-64 Claude Code is pinned, and this is {machine}; use an x86-64 host.")
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix="fetch-") as folder:
        fresh = Path(folder) / "claude"
        _unpack(packed(PACKAGE, Path(folder), kept), fresh, sha256)
        fresh.chmod(0o755)
        fresh.replace(kept)
    return kept


def _unpack(archive: Path, target: Path, sha256: str) -> None:
    try:
        with tarfile.open(archive) as bundle:
            source = bundle.extractfile("package/claude")
            with target.open("wb") as sink:
                digest = _copied_digest(source, sink) if source else "of nothing"
    except (tarfile.TarError, KeyError, EOFError, OSError) as exc:
        raise SandboxFault(f"The archive of {PACKAGE} cannot be read; run `make images` again.") from exc
    if digest != sha256:
        raise SandboxFault(f"The fetched {PACKAGE} is not the pinned one (digest {digest[:12]}…); do not use it.")


def _copied_digest(source: IO[bytes], sink: IO[bytes] | None) -> str:
    digest = hashlib.sha256()
    total = 0
    while chunk := source.read(1 << 20):
        total += len(chunk)
        if total > MAX_BYTES:
            raise SandboxFault(f"{PACKAGE} is larger than {MAX_BYTES} bytes; that is not the pinned one.")
        digest.update(chunk)
        if sink is not None:
            sink.write(chunk)
    return digest.hexdigest()


def place(binary: Path, target: Path) -> None:
    """Have the binary at `target`, as a hard link where the file system allows."""
    try:
        os.link(binary, target)
    except OSError:
        shutil.copy2(binary, target)
