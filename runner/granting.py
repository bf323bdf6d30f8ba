"""Patterns of paths that an operator lets through, or that a gate is for. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence


def fits(path: str, pattern: str) -> bool:
    """Whether the pattern is for that path; both from the repository's top and in lower case.

    `*` and `?` stay within a name. `**` at the end is the folder and everything below it, before that any folders.
    """
    return _fits(path.split("/"), pattern.lower().split("/"))


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return len(wanted) == 1 or any(_fits(parts[start:], wanted[1:]) for start in range(len(parts)))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])
