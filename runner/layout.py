"""Where a run's files live below the state directory. Names only; nothing is made here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


def short(text: str) -> str:
    """Twelve hex digits that stand for `text`: socket paths may hold 108 bytes in all (unix(7))."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class AttemptDirs:
    """One agent attempt. Only `tree` and `out` are writable from inside; `sockets` holds the granted sockets alone."""

    root: Path
    tree: Path
    inputs: Path
    out: Path
    sockets: Path


@dataclass(frozen=True, kw_only=True)
class GateDirs:
    """One gate on one tree. Both directories are writable from inside."""

    root: Path
    tree: Path
    out: Path


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The state directory's map."""

    state_dir: Path

    @property
    def mirrors_and_clones(self) -> Path:
        """Git repositories of the daemon's own."""
        return self.state_dir / "git"

    @property
    def forge(self) -> Path:
        """The local forge's bare repositories."""
        return self.state_dir / "forge"

    @property
    def environments(self) -> Path:
        """Finished set-up layers, by key."""
        return self.state_dir / "environments"

    @property
    def runs(self) -> Path:
        """Of each run a directory, by its id."""
        return self.state_dir / "runs"

    @property
    def all_sockets(self) -> Path:
        """Of each owner of sockets a directory."""
        return self.state_dir / "s"

    def run(self, run_id: str) -> Path:
        """Everything of one run that containers may be shown parts of."""
        return self.runs / run_id

    def attempt(self, run_id: str, attempt: int) -> AttemptDirs:
        """Directories of one agent attempt."""
        root = self.run(run_id) / f"attempt-{attempt}"
        return AttemptDirs(
            root=root,
            tree=root / "tree",
            inputs=root / "in",
            out=root / "out",
            sockets=self.sockets(f"{run_id}/{attempt}"),
        )

    def gate(self, run_id: str, name: str) -> GateDirs:
        """Directories of one gate's sandbox."""
        root = self.run(run_id) / name
        return GateDirs(root=root, tree=root / "tree", out=root / "out")

    def sockets(self, owner: str) -> Path:
        """Directory for the sockets granted to one sandbox."""
        return self.all_sockets / short(owner)
