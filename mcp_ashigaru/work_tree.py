"""The files of a repository as they lie in a directory, without asking git: bounded, and no link is followed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.files import read_untrusted

MAX_FILES: Final = 50_000
_MAX_BYTES: Final = 1024 * 1024
_NOT_OURS: Final = frozenset(
    {".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache", ".pytest_cache"}
)
"""Directories that hold what tools made, and that a commit does not have as a rule."""


@dataclass(frozen=True, kw_only=True)
class WorkTree:
    """One directory."""

    root: Path

    def paths(self) -> tuple[str, ...]:
        """Its plain files' paths from the top, sorted, at most MAX_FILES."""
        found: list[str] = []
        for here, directories, names in os.walk(self.root):
            directories[:] = sorted(name for name in directories if name not in _NOT_OURS)
            below = Path(here).relative_to(self.root)
            found += ((below / name).as_posix() for name in names)
            if len(found) >= MAX_FILES:
                break
        return tuple(sorted(found[:MAX_FILES]))

    def read(self, path: str) -> bytes | None:
        """A file's content, at most a megabyte of it; None where there is no such plain file."""
        return read_untrusted(self.root / path, limit=_MAX_BYTES)
