"""Since when the forge has not shown runs: what is short passes without a word."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from runner.errors import Rejected, Unavailable

_LONG_S: Final = 600.0
_MOST: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """Safe from any thread. It begins anew with the process."""

    _since: dict[str, float] = field(default_factory=dict)

    def failed(self, run_id: str, why: Rejected | Unavailable, now: float) -> bool:
        """A look failed; whether a person is to be told. now: monotonic seconds.

        They are where it goes on for ten minutes, or until somebody does something. It counts from the first look
        that failed: a run that waits for a person is looked at no oftener than that.
        """
        if len(self._since) >= _MOST:
            self._since.clear()
        since = self._since.setdefault(run_id, now)
        return isinstance(why, Rejected) or why.retry_after_s >= _LONG_S or now - since >= _LONG_S

    def seen(self, run_id: str) -> None:
        """A look came to its end."""
        self._since.pop(run_id, None)
