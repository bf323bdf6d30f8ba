"""What changed in a tree, as values. Sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    """What happened to one path."""

    WRITE = "write"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """One file operation relative to a commit's tree.

    path: POSIX, relative, as found. mode: "100644", "100755" or "120000" (symlink; content is its target);
    None for a deletion. content: bytes of the new file; None for a deletion.
    """

    kind: ChangeKind
    path: str
    mode: str | None = None
    content: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One path that two commits differ in. before, after: whether it is there in the old one and in the new one."""

    path: str
    before: bool
    after: bool


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a walk of an agent's tree found: the changes against a commit, and what could not be taken.

    odd: (path, reason) for everything that is not a plain file, a directory or a symlink, or is over a limit.
    """

    changes: tuple[FileChange, ...]
    odd: tuple[tuple[str, str], ...] = ()
