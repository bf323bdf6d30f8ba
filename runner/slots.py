"""The book of slots: who waits for one, who has one, and how long those before them had theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from runner.estimate import Lengths
from runner.fair_queue import Held, Queued


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Runs there are. live: from queued to under review. queued: those that wait for a slot, or have just got one."""

    live: int = 0
    queued: int = 0


class SlotBook(Protocol):
    """Kept with the records, in one transaction a method. Raises RecordsFault. Repositories in lower case."""

    def ready(self, run_id: str, number: int, at: float) -> bool:
        """The round waits for a slot from now on; False, and nothing changes, where the run is not at it (any more).

        A run that waits already keeps its place.
        """

    def queued(self, limit: int) -> list[Queued]:
        """The rounds that wait for a slot, the longest waiting first."""

    def take(self, wanted: Queued, slot: int, at: float) -> bool:
        """The round has that slot of this host; False where it has one, or is not waiting, or the slot is held."""

    def hold(self, run_id: str, number: int, slot: int, at: float) -> bool:
        """The same for a round that is at work already."""

    def unsaved(self, limit: int) -> list[str]:
        """Runs at work whose round is not remembered; of one that is queued the claim was the last thing done."""

    def held(self, run_ids: Sequence[str] | None = None) -> list[Held]:
        """The slots of this host that are held, in order; `run_ids`: by these runs alone, at most 1000 of them."""

    def leave(self, run_id: str, number: int, at: float) -> bool:
        """The round has no slot any more, and how long it had it is remembered; False where it had none."""

    def last_had(self, now: float) -> Mapping[str, float]:
        """When each repository's last turn ended, UTC seconds; of those at work now nothing is said.

        One that ended later than `now` was told by a clock that was wrong, and counts for nothing.
        """

    def lengths(self) -> Lengths:
        """How long the last turns took: 20 of each repository, 50 of all."""

    def counted(self, *, repo: str | None = None, owner: str | None = None) -> Counted:
        """How many runs there are of a repository, however it is spelled, or of an owner."""
