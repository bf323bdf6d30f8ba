"""The memory of a process that stays up for months and has somebody waiting for it: its heap and its garbage."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

# Python's own threshold is of the size of one request here, so that one in ten is held up by a collection.
_YOUNG: Final = 10_000
_M_ARENA_MAX: Final = -8
"""mallopt(3), as glibc numbers it."""


def one_heap() -> None:
    """All threads allocate from one heap. Before there are threads; the same twice; where there is no glibc, nothing.

    Of its own accord glibc gives every few threads a heap of their own, and each keeps the most that it ever held.
    Threads that run Python take turns anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def settled() -> None:
    """All that was loaded stays: no collection walks through it any more, and there are fewer of them.

    Once, when everything is up. What is garbage by then is freed first; what becomes garbage of it later is not.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
