"""What the watch must know of a run to have it looked at in its time, and the port that tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from runner.model import Phase


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """A run whose pull request or pipeline is still to be followed. There may be thousands, read once a second."""

    run_id: str
    repo: str
    phase: Phase


class WatchBook(Protocol):
    """The half of the records that says which runs are to be followed."""

    def watched(self, limit: int) -> list[Watched]:
        """Runs whose pull request or pipeline is still to be followed, the longest untouched first."""
