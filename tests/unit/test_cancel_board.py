"""Cancellations are looked up once for everything at work, and are never older than a moment."""

from __future__ import annotations

from collections.abc import Callable

from runner.cancel_board import CancelBoard
from tests.fakes.clocks import HandClock


class Book:
    """A book in a variable, and how often it was looked at."""

    def __init__(self) -> None:
        self.there: frozenset[str] = frozenset()
        self.looks = 0

    def cancelling(self) -> frozenset[str]:
        self.looks += 1
        return self.there


def test_many_questions_of_one_moment_are_one_look() -> None:
    book = Book()
    asked: Callable[[str], bool] = CancelBoard(book, HandClock()).asked
    assert [asked(f"r{number}") for number in range(100)] == [False] * 100
    assert book.looks == 1


def test_a_cancel_is_seen_a_fifth_of_a_second_later_and_by_its_run_alone() -> None:
    book, clock = Book(), HandClock()
    board = CancelBoard(book, clock)
    assert not board.asked("r1")
    book.there = frozenset({"r1"})
    clock.passes(0.2)
    assert board.asked("r1")
    assert not board.asked("r2")
    assert book.looks == 2
