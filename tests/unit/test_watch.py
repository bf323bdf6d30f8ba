"""Who is looked at when, and that nothing a look does ends the watch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from runner.adapters.system_clock import SystemClock
from runner.errors import ForgeDown, NotPossible, RecordsFault
from runner.model import Phase
from runner.precedence import Precedence
from runner.watch import Watch
from runner.watched import Watched

RUN = Watched(run_id="w-1-a", repo="w", phase=Phase.AWAITING_REVIEW)
WAIT_S = 10.0
SELDOM_S = 3600.0


@dataclass
class Book:
    """Says which runs are watched; counts how often it was read."""

    runs: list[Watched]
    broken: int = 0
    reads: int = 0

    def watched(self, limit: int) -> list[Watched]:
        self.reads += 1
        if self.broken:
            self.broken -= 1
            raise RecordsFault("The records database did not take part; check its disk.")
        return self.runs[:limit]


@dataclass
class Looks:
    """Counts looks, answers as told, and lets a test wait for the n-th."""

    does: Callable[[str, int], bool] = lambda run_id, count: False  # noqa: ARG005
    seen: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, run_id: str) -> bool:
        with self.changed:
            self.seen.append(run_id)
            count = len(self.seen)
            self.changed.notify_all()
        return self.does(run_id, count)

    def until(self, count: int) -> list[str]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, WAIT_S), self.seen
            return list(self.seen)


@contextmanager
def watching(book: Book, looks: Looks, every_s: float, read_s: float = 1.0) -> Iterator[Watch]:
    watch = Watch(book, looks, SystemClock(), every_s=every_s, read_s=read_s, precedence=Precedence(SystemClock()))
    watch.start()
    try:
        yield watch
    finally:
        watch.close(WAIT_S)


def test_every_watched_run_is_looked_at_at_once_and_again_and_again() -> None:
    other = replace(RUN, run_id="w-2-b")
    looks = Looks()
    with watching(Book([RUN, other]), looks, 0.01):
        seen = looks.until(6)
    assert set(seen) == {RUN.run_id, other.run_id}


def test_a_nudge_looks_at_the_repositorys_runs_now_and_at_no_others() -> None:
    other = replace(RUN, run_id="v-2-b", repo="v")
    looks = Looks()
    with watching(Book([RUN, other]), looks, SELDOM_S) as watch:
        looks.until(2)
        watch.nudge("w")
        assert looks.until(3)[2] == RUN.run_id


def test_a_nudge_names_a_repository_in_whatever_letters() -> None:
    looks = Looks()
    with watching(Book([replace(RUN, repo="Acme/Widgets")]), looks, SELDOM_S) as watch:
        looks.until(1)
        watch.nudge("acme/WIDGETS")
        looks.until(2)


def test_a_run_is_looked_at_by_one_at_a_time() -> None:
    other, slow = replace(RUN, run_id="v-2-b", repo="v"), threading.Event()

    def does(run_id: str, _count: int) -> bool:
        return run_id == RUN.run_id and slow.wait(WAIT_S)

    looks = Looks(does=does)
    with watching(Book([RUN, other]), looks, 0.001) as watch:
        watch.nudge("w")
        seen = looks.until(6)
        slow.set()
    assert seen.count(RUN.run_id) == 1


def test_a_nudge_during_a_look_is_not_lost() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(run_id: str, count: int) -> bool:  # noqa: ARG001 - the look's signature
        if count == 1:
            begun.set()
            assert go_on.wait(WAIT_S)
        return False

    looks = Looks(does=slowly)
    with watching(Book([RUN]), looks, 0.05) as watch:
        assert begun.wait(WAIT_S)
        watch.nudge("w")
        go_on.set()
        looks.until(2)


def test_looks_that_end_have_nothing_read_again_however_many_they_are() -> None:
    first = replace(RUN, run_id="v-1-a", repo="v")
    book, looks = Book([first, *(replace(RUN, run_id=f"w-{number}-a") for number in range(200))]), Looks()
    with watching(book, looks, SELDOM_S, SELDOM_S) as watch:
        looks.until(201)
        watch.nudge("v")
        looks.until(202)
    # A third where the nudge came before the end of the look that it is to repeat.
    assert book.reads in {2, 3}


def test_nothing_that_a_look_raises_ends_the_watch() -> None:
    faults: list[Exception] = [ForgeDown("away", retry_after_s=0.0), NotPossible("no"), ZeroDivisionError("ours")]

    def raises(run_id: str, count: int) -> bool:  # noqa: ARG001 - the look's signature
        if count <= len(faults):
            raise faults[count - 1]
        return False

    looks = Looks(does=raises)
    with watching(Book([RUN]), looks, SELDOM_S) as watch:
        for count in range(1, 4):
            looks.until(count)
            watch.nudge("w")
        looks.until(4)


def test_records_that_cannot_be_read_are_asked_again() -> None:
    looks = Looks()
    with watching(Book([RUN], broken=3), looks, 0.01):
        looks.until(1)


def test_a_run_that_waits_for_a_person_is_looked_at_less_and_less_often() -> None:
    looks = Looks()
    watch = Watch(Book([RUN]), looks, SystemClock(), every_s=10.0, precedence=Precedence(SystemClock()))
    paces = []
    for _ in range(12):
        watch._one(RUN)
        paces.append(watch._due[RUN.run_id].every)
    assert paces == sorted(paces)
    assert (paces[0], paces[-1]) == (15.0, 300.0)
    watch._one(replace(RUN, phase=Phase.CI))
    assert watch._due[RUN.run_id].every == 10.0


def test_a_watch_that_never_started_closes() -> None:
    Watch(Book([]), Looks(), SystemClock(), every_s=1.0, precedence=Precedence(SystemClock())).close(0.1)
