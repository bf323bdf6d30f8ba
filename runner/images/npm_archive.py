"""Archives of the npm registry: fetched once with npm, verified by their digest, kept in the account's cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from runner.errors import SandboxFault

FETCH_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One package at one version. sha256: of its archive. place: the directory of its own that it has in a build.

    only: the one file of it that is wanted; empty: all.
    """

    package: str
    version: str
    sha256: str
    place: str
    only: str = ""

    @property
    def file_name(self) -> str:
        """What the archive is called in the cache and in a build's context."""
        return f"{self.place}-{self.version}.tgz"


def have_archive(cache_dir: Path, archive: Archive) -> Path:
    """The verified archive's path, fetched if it is not in the cache. Raises SandboxFault with the cure."""
    kept = cache_dir / archive.file_name
    if kept.is_file():
        if _digest(kept) == archive.sha256:
            return kept
        kept.unlink()
    name = f"{archive.package}@{archive.version}"
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix="fetch-") as folder:
        fetched = packed(name, Path(folder), kept)
        digest = _digest(fetched)
        if digest != archive.sha256:
            raise SandboxFault(f"The fetched {name} is not the pinned one (digest {digest[:12]}…); do not use it.")
        fetched.replace(kept)
    return kept


def packed(what: str, folder: Path, kept: Path) -> Path:
    """The archive of the package `what`, fetched into an empty `folder`. kept: where a person may put it instead."""
    if shutil.which("npm") is None:
        raise SandboxFault(f"npm is needed once to fetch {what}; install npm, or put it at {kept}.")
    try:
        done = subprocess.run(
            ["npm", "pack", "--silent", what],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=FETCH_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise SandboxFault(f"npm did not fetch {what} in {FETCH_S:.0f} s; check the connection, try again.") from exc
    archives = sorted(folder.glob("*.tgz"))
    if done.returncode != 0 or not archives:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
        raise SandboxFault(f"npm could not fetch {what} ({said}); check that npm reaches its registry.")
    return archives[0]


def unpack(archive: Path, target: Path, only: str = "") -> None:
    """Have the archive's files below `target`; `only`: the one that is wanted. Raises SandboxFault.

    npm's archives hold regular files and nothing else.
    """
    try:
        with tarfile.open(archive) as bundle:
            for member in bundle:
                source = bundle.extractfile(member) if member.isfile() and (not only or member.name == only) else None
                path = target / member.name
                if source is None or ".." in path.parts or member.name.startswith("/"):
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                path.chmod(0o755 if member.mode & 0o100 else 0o644)
    except (tarfile.TarError, EOFError, OSError) as exc:
        raise SandboxFault(f"{archive} cannot be unpacked; remove it and run `make images` again.") from exc


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
