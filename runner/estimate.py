"""When a queued round will get its slot, judged by how long earlier ones took. Pure; unknown is said to be unknown."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from runner.fair_queue import Held, Queued

_HOUR_S: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Seconds for which earlier rounds held their slots: by repository, and of all together; the newest of each."""

    repos: Mapping[str, Sequence[float]]
    all: Sequence[float]

    def of(self, repo: str) -> Sequence[float]:
        """The repository's own where it has any, else everybody's."""
        return self.repos.get(repo) or self.all


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a round is in the line. place: from 1. of: how many wait. starts_in_s: None where nobody knows.

    earlier: how many earlier rounds of its repository (or, where there are none, of all) its own part rests on.
    """

    place: int
    of: int
    starts_in_s: float | None
    earlier: int


def left_of(elapsed: float, lengths: Sequence[float]) -> float:
    """Seconds that a round which has been at work for `elapsed` still takes; infinite where none ever took longer."""
    longer = [one - elapsed for one in lengths if one > elapsed]
    return median(longer) if longer else math.inf


def places(line: Iterable[Queued], held: Sequence[Held], slots: int, lengths: Lengths, now: float) -> dict[str, Place]:
    """The place of each run in the line."""
    waiting = list(line)
    ends = [left_of(max(0.0, now - one.since), lengths.of(one.repo)) for one in held]
    ends += [0.0] * (slots - len(ends))
    heapq.heapify(ends)
    found: dict[str, Place] = {}
    typical: dict[str, float] = {}
    for place, one in enumerate(waiting, 1):
        known = lengths.of(one.repo)
        if one.repo not in typical:
            typical[one.repo] = median(known) if known else math.inf
        at = heapq.heappop(ends)
        heapq.heappush(ends, at + typical[one.repo])
        found[one.run_id] = Place(
            place=place, of=len(waiting), starts_in_s=None if math.isinf(at) else at, earlier=len(known)
        )
    return found


def words(place: Place) -> str:
    """The place in a sentence for a phone."""
    where = f"Place {place.place} of {place.of} in the queue"
    if place.starts_in_s is None:
        return f"{where}; nobody can say yet when it begins."
    return f"{where}; begins in {_about(place.starts_in_s)} if runs take as long as they did."


def _about(seconds: float) -> str:
    if seconds < 60:
        return "under a minute"
    if seconds < 1.5 * _HOUR_S:
        minutes = round(seconds / 60)
        return f"about {minutes} minute{'' if minutes == 1 else 's'}"
    if seconds < 48 * _HOUR_S:
        return f"about {round(seconds / _HOUR_S)} hours"
    return f"about {round(seconds / (24 * _HOUR_S))} days"
