"""Which lines of a file a change wrote. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Final

_MAX_COMPARED: Final = 4000


def changed_lines(old: bytes | None, new: bytes) -> frozenset[int]:
    """Numbers of the new file's lines, from 1, that the old one does not have there. old: None where there was none.

    Between the first and the last difference, more than a few thousand lines all count as changed.
    """
    before, after = (old or b"").splitlines(), new.splitlines()
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    was, now = before[start : len(before) - end], after[start : len(after) - end]
    if len(was) + len(now) > _MAX_COMPARED:
        return frozenset(range(start + 1, start + len(now) + 1))
    # Lines that are everywhere are left out of the comparison of long files, which would take too long otherwise.
    blocks = SequenceMatcher(None, was, now, autojunk=True).get_opcodes()
    return frozenset(
        start + number + 1 for tag, _, _, first, last in blocks if tag != "equal" for number in range(first, last)
    )
