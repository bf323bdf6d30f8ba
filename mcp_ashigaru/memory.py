"""The garbage collector of a process that stays up for months and has somebody waiting for it."""

from __future__ import annotations

import gc
from typing import Final

# Python's own threshold is of the size of one request here, so that one in ten is held up by a collection.
_YOUNG: Final = 10_000


def settled() -> None:
    """All that was loaded stays: no collection walks through it any more, and there are fewer of them.

    Once, when everything is up. What is garbage by then is freed first; what becomes garbage of it later is not.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
