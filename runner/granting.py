"""Patterns of paths that an operator lets through. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence


def fits(path: str, pattern: str) -> bool:
    """Whether the pattern is for that path; both from the repository's top and in lower case.

    `*` and `?` stay within a name. `**` at the end is the folder and everything below it, at the beginning any folder.
    """
    return _fits(path.split("/"), pattern.lower().split("/"))


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    if wanted[0] == "**" and len(wanted) > 1:
        return any(_fits(parts[start:], wanted[1:]) for start in range(len(parts)))
    if wanted[-1] == "**":
        parts, wanted = parts[: len(wanted) - 1], wanted[:-1]
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
