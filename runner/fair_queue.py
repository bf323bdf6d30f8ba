"""Who gets the next free slot: urgent before less urgent, repositories in turn, first come first served. Pure.

Waiting makes urgent: after each `AGING_S` a ticket counts as one step more urgent, so that nothing waits for ever
behind what is more urgent. Among the equally urgent a slot goes to the repository that holds fewest, then to the one
whose last turn began longest ago. Within a repository what was begun goes before what is new.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

AGING_S: Final = 600.0
"""Seconds of waiting that count as much as one step of priority."""

SLOT_NAME: Final = "ashigaru"


class Priority(StrEnum):
    """How urgent a ticket is, in the words of whoever dispatched it."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


_STEP: Final = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}


@dataclass(frozen=True, kw_only=True)
class Queued:
    """A round that is ready and has no slot. since: UTC seconds. begun: the run has been at work before."""

    run_id: str
    number: int
    repo: str
    priority: Priority
    since: float
    begun: bool = False


@dataclass(frozen=True, kw_only=True)
class Held:
    """A slot that a round has. slot: 1 to N. since: UTC seconds at which it was given."""

    slot: int
    run_id: str
    number: int
    repo: str
    since: float

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{SLOT_NAME}-{self.slot}"


def free_slots(held: Sequence[Held], slots: int) -> list[int]:
    """The slots that may be given, lowest first; none while as many are held as there are, whatever their numbers."""
    taken = {one.slot for one in held}
    left = max(0, slots - len(taken))
    return [number for number in range(1, slots + 1) if number not in taken][:left]


def urgency(one: Queued, now: float) -> int:
    """0 is most urgent. A clock that was set back makes nothing less urgent than it was dispatched."""
    aged = int(max(0.0, now - one.since) // AGING_S)
    return max(0, _STEP[one.priority] - aged)


def line(
    queued: Sequence[Queued], held: Sequence[Held], slots: int, served: Mapping[str, float], now: float
) -> Iterator[Queued]:
    """The queued in the order in which they get a slot, if nothing comes in and slots come free as they were given.

    served: when each repository's last turn began, UTC seconds; one that had none yet goes before those that had.
    Only the first is ever acted upon; the rest is what a person is told of their place.
    """
    turns = _Turns(held, served, now)
    for heads in _bands(queued, now):
        heap = [(turns.key(heads[repo][0]), repo) for repo in heads]
        heapq.heapify(heap)
        while heap:
            for back in turns.come_free(slots):
                if heads.get(back):
                    heapq.heappush(heap, (turns.key(heads[back][0]), back))
            key, repo = heapq.heappop(heap)
            if not heads[repo] or key != turns.key(heads[repo][0]):
                continue  # what changed since was put in again with its new key
            chosen = heads[repo].popleft()
            turns.give(repo)
            yield chosen
            if heads[repo]:
                heapq.heappush(heap, (turns.key(heads[repo][0]), repo))


class _Turns:
    """How many slots each repository holds, and when it last got one, while a line is worked off."""

    def __init__(self, held: Sequence[Held], served: Mapping[str, float], now: float) -> None:
        self._given = deque(one.repo for one in sorted(held, key=lambda one: (one.since, one.slot)))
        self._holds = Counter(self._given)
        self._served = dict(served)
        self._clock = max([now, *served.values()])

    def key(self, head: Queued) -> tuple[int, float, float, str]:
        """Whose turn it is: the least."""
        return (self._holds[head.repo], self._served.get(head.repo, -math.inf), head.since, head.run_id)

    def come_free(self, slots: int) -> list[str]:
        """Whose slots come free, so that there is one to give: those that were given first."""
        freed = [self._given.popleft() for _ in range(len(self._given) - slots + 1)]
        self._holds.subtract(freed)
        return freed

    def give(self, repo: str) -> None:
        """A slot is the repository's."""
        self._clock += 1
        self._given.append(repo)
        self._holds[repo] += 1
        self._served[repo] = self._clock


def _bands(queued: Sequence[Queued], now: float) -> Iterator[dict[str, deque[Queued]]]:
    """Per urgency, most urgent first: each repository's queued in their order."""
    bands: dict[int, dict[str, list[Queued]]] = {}
    for one in queued:
        bands.setdefault(urgency(one, now), {}).setdefault(one.repo, []).append(one)
    for step in sorted(bands):
        yield {
            repo: deque(sorted(waiting, key=lambda one: (not one.begun, one.since, one.run_id)))
            for repo, waiting in bands[step].items()
        }
