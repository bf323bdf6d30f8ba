"""Who gets the next free slot: urgent before less urgent, repositories in turn, first come first served. Pure.

A repository asks with the most urgent of its tickets. Among the equally urgent a slot goes to the one that holds
fewest, then to the one that has been without for longest. Waiting makes urgent, a step for each `AGING_S`: a whole
repository by the time that it has had no slot, a ticket among those of its repository by its own. So nothing waits for
ever behind what is more urgent, and a long queue of one repository's does not come before another's single ticket for
being old. Within a repository what was begun goes before what is as urgent and new.
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


def urgency(one: Queued, now: float, had: float = -math.inf) -> int:
    """How urgent it is by now, 0 most. had: no waiting before then counts, UTC seconds.

    A clock that was set back makes nothing less urgent than it was dispatched.
    """
    aged = int(max(0.0, now - max(one.since, had)) // AGING_S)
    return max(0, _STEP[one.priority] - aged)


def line(
    queued: Sequence[Queued], held: Sequence[Held], slots: int, had: Mapping[str, float], now: float
) -> Iterator[Queued]:
    """The queued in the order in which they get a slot, if nothing comes in and slots come free as they were given.

    had: when each repository last had a slot, UTC seconds; those that hold one are known by that. Only the first is
    ever acted upon; the rest is what a person is told of their place.
    """
    turns = _Turns(queued, held, had, now)
    heap = [(turns.key(repo), repo) for repo in turns.waiting]
    heapq.heapify(heap)
    while heap:
        for back in turns.come_free(slots):
            if turns.waiting.get(back):
                heapq.heappush(heap, (turns.key(back), back))
        key, repo = heapq.heappop(heap)
        if not turns.waiting[repo] or key != turns.key(repo):
            continue  # what changed since was put in again with its new key
        yield turns.give(repo)
        if turns.waiting[repo]:
            heapq.heappush(heap, (turns.key(repo), repo))


class _Turns:
    """Who waits, who holds how many, and who had a slot when, while a line is worked off."""

    def __init__(self, queued: Sequence[Queued], held: Sequence[Held], had: Mapping[str, float], now: float) -> None:
        self._given = deque(one.repo for one in sorted(held, key=lambda one: (one.since, one.slot)))
        self._holds = Counter(self._given)
        self._had = {**had, **dict.fromkeys(self._holds, now)}
        self._clock = max([now, *had.values()])
        self.waiting: dict[str, deque[Queued]] = {}
        for one in sorted(queued, key=lambda one: (urgency(one, now), not one.begun, one.since, one.run_id)):
            self.waiting.setdefault(one.repo, deque()).append(one)
        self._asks: dict[str, Counter[int]] = {}
        for one in queued:
            # One that had no turn yet is as urgent as it has become; after a turn all begin anew.
            self._asks.setdefault(one.repo, Counter())[_STEP[one.priority]] += 1
        self._at_first = {
            repo: min(urgency(one, now, self._had.get(repo, -math.inf)) for one in waiting)
            for repo, waiting in self.waiting.items()
        }

    def key(self, repo: str) -> tuple[int, int, float, float, str]:
        """Whose turn it is: the least."""
        head = self.waiting[repo][0]
        asks = min(step for step, number in self._asks[repo].items() if number)
        asks = min(asks, self._at_first.get(repo, asks))
        return (asks, self._holds[repo], self._had.get(repo, -math.inf), head.since, head.run_id)

    def come_free(self, slots: int) -> list[str]:
        """Whose slots come free, so that there is one to give: those that were given first."""
        freed = [self._given.popleft() for _ in range(len(self._given) - slots + 1)]
        for repo in freed:
            self._holds[repo] -= 1
            self._has_had(repo)
        return freed

    def give(self, repo: str) -> Queued:
        """A slot for the repository's next."""
        self._given.append(repo)
        self._holds[repo] += 1
        self._has_had(repo)
        self._at_first.pop(repo, None)
        chosen = self.waiting[repo].popleft()
        self._asks[repo][_STEP[chosen.priority]] -= 1
        return chosen

    def _has_had(self, repo: str) -> None:
        self._clock += 1
        self._had[repo] = self._clock
