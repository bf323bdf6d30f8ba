"""Turns: one at a time for a key, others not held up, and a wait that can be ended."""

from __future__ import annotations

import threading

import pytest

from runner.turns import Turns


class _Enough(Exception):
    pass


def _enough() -> None:
    raise _Enough


def _patient() -> None:
    pass


def test_the_second_for_a_key_waits_until_told_not_to() -> None:
    turns = Turns()
    with turns.alone("a", _patient), pytest.raises(_Enough), turns.alone("a", _enough):
        pytest.fail("two at once")


def test_another_key_has_a_turn_of_its_own() -> None:
    turns = Turns()
    with turns.alone("a", _patient), turns.alone("b", _enough):
        pass


def test_a_turn_ends_with_its_block_however_that_ends() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="x"), turns.alone("a", _patient):
        raise ValueError("x")
    with turns.alone("a", _enough):
        pass
    assert turns._taken == set()


def test_whoever_waits_is_let_in_when_the_turn_is_free() -> None:
    turns = Turns()
    waiting, done = threading.Event(), threading.Event()

    def second() -> None:
        with turns.alone("a", waiting.set):
            done.set()

    thread = threading.Thread(target=second)
    with turns.alone("a", _patient):
        thread.start()
        assert waiting.wait(10)
        assert not done.is_set()
    assert done.wait(10)
    thread.join(10)
