"""How long ago something befell a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from runner.ages import Ages
from runner.model import Phase
from tests.fakes.clocks import DAY_S, HandClock
from tests.fakes.moments import FakeMoments


@dataclass
class Run:
    phase: Phase = Phase.CI
    pipeline: str | None = None


@dataclass
class Runs:
    """The runs there are."""

    runs: dict[str, Run] = field(default_factory=lambda: {"w": Run()})

    def run(self, run_id: str) -> Run | None:
        return self.runs.get(run_id)


def ages(clock: HandClock, book: FakeMoments, runs: Runs | None = None) -> Ages:
    records: Any = runs or Runs()
    return Ages(book=book, records=records, timeline=clock.timeline())


@pytest.mark.parametrize("setting", [DAY_S, -DAY_S])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_is_set_makes_nothing_older_or_younger(setting: float, *, restarted: bool) -> None:
    clock, book = HandClock(), FakeMoments()
    since = clock.now()
    told = ages(clock, book)
    clock.passes(30.0)
    assert told.now("w", since) - since == pytest.approx(30.0)
    clock.is_set(setting)
    if restarted:
        told = ages(clock, book)
    clock.passes(60.0)
    assert told.now("w", since) - since == pytest.approx(90.0)


def test_what_befell_it_later_is_counted_anew() -> None:
    clock, book = HandClock(), FakeMoments()
    told = ages(clock, book)
    first = clock.now()
    told.now("w", first)
    clock.passes(100.0)
    second = clock.now()
    assert told.now("w", second) == pytest.approx(second)
    clock.passes(10.0)
    assert told.now("w", second) - second == pytest.approx(10.0)
    assert len(book.kept) == 1


def test_after_a_boot_it_is_as_old_as_the_wall_clock_says_and_from_then_on_nobody_sets_it() -> None:
    clock, book = HandClock(), FakeMoments()
    since = clock.now()
    ages(clock, book).now("w", since)
    clock.boots(away_s=50.0)
    told = ages(clock, book)
    assert told.now("w", since) - since == pytest.approx(50.0)
    clock.is_set(-DAY_S)
    assert told.now("w", since) - since == pytest.approx(50.0)


def test_what_is_followed_no_more_is_forgotten_at_the_next_start() -> None:
    clock, book, runs = HandClock(), FakeMoments(), Runs()
    runs.runs |= {"open": Run(), "merged": Run(Phase.MERGED, "running"), "shipped": Run(Phase.SHIPPED, "green")}
    told = ages(clock, book, runs)
    for name in ("w", "open", "merged", "shipped", "unknown"):
        told.now(name, clock.now())
    runs.runs["w"] = Run(Phase.BLOCKED)
    ages(clock, book, runs).now("open", clock.now())
    assert set(book.kept) == {"since/open", "since/merged"}


def test_what_is_seen_is_counted_from_when_it_was_first_seen() -> None:
    clock = HandClock()
    told = ages(clock, FakeMoments())
    assert told.seen_s("a remark") == 0.0
    clock.passes(20.0)
    clock.is_set(-DAY_S)
    assert told.seen_s("a remark") == 20.0
    assert told.seen_s("another") == 0.0


def test_the_tables_have_a_bound() -> None:
    told = ages(HandClock(), FakeMoments())
    for number in range(5000):
        told.seen_s(str(number))
    assert len(told._seen) == 4000
