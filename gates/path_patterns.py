"""Patterns of paths below a repository's top. Pure.

`*`, `?` and `[…]` stay within a name; `**` in a name's place stands for any number of directories, none among them, and
at the end for everything below. A pattern without a slash means the top.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import Final

_ANY: Final = "**"


def fits(path: str, pattern: str) -> bool:
    """Whether the whole path is one of those that the pattern means."""
    parts, wanted = path.split("/"), pattern.split("/")
    if _ANY not in wanted:
        return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
    if wanted[-1] == _ANY:
        # Everything below a directory is not the directory.
        wanted.append("*")
    # Every place in the pattern that the path's parts so far may have come to: no backtracking, whatever stands there.
    places = _further({0}, wanted)
    for part in parts:
        places = _further({new for at in places if (new := _after(part, wanted, at)) is not None}, wanted)
    return len(wanted) in places


def touched(patterns: Sequence[str], paths: Iterable[str]) -> bool:
    """Whether any of the paths fits any of the patterns; no patterns mean every path."""
    return not patterns or any(fits(path, one) for path in paths for one in patterns)


def _after(part: str, wanted: Sequence[str], at: int) -> int | None:
    if at == len(wanted):
        return None
    if wanted[at] == _ANY:
        return at
    return at + 1 if fnmatch.fnmatchcase(part, wanted[at]) else None


def _further(places: set[int], wanted: Sequence[str]) -> set[int]:
    """With the places that are come to by letting a `**` stand for nothing."""
    found = set(places)
    for at in sorted(places):
        here = at
        while here < len(wanted) and wanted[here] == _ANY:
            here += 1
            found.add(here)
    return found
