"""Answers kept for as long as GitHub says that they have not changed: such an answer costs no rate limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

_MAX_ANSWERS: Final = 1000
_MAX_CHARS: Final = 32 * 1024 * 1024
_MAX_ONE: Final = 2 * 1024 * 1024

Key = tuple[str, str]
"""Whose credential asked, and the address that was asked."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An answer, its tag, and its Link header."""

    etag: str
    link: str
    text: str


class AnswerCache:
    """The answers used last, within a bound. Thread-safe."""

    def __init__(self, *, most: int = _MAX_ANSWERS, most_chars: int = _MAX_CHARS) -> None:
        """Empty."""
        self._most = most
        self._most_chars = most_chars
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._chars = 0
        self._lock = threading.Lock()

    def find(self, key: Key) -> Kept | None:
        """What was kept, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: Key, kept: Kept) -> None:
        """Keep it in the place of an earlier one; what was not used for the longest time goes."""
        with self._lock:
            before = self._kept.pop(key, None)
            self._chars -= 0 if before is None else len(before.text)
            if len(kept.text) > _MAX_ONE:
                return
            self._kept[key] = kept
            self._chars += len(kept.text)
            while len(self._kept) > self._most or self._chars > self._most_chars:
                _, gone = self._kept.popitem(last=False)
                self._chars -= len(gone.text)
