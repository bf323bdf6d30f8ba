"""The doorbell: it ends a sleep, never a thread."""

from __future__ import annotations

import threading

from runner.adapters.dbos_doorbell import Doorbells

PATIENCE_S = 20.0
FOREVER_S = 3600.0


def bells_with_one() -> tuple[Doorbells, threading.Event]:
    bells = Doorbells()
    event = threading.Event()
    bells.append(event)
    return bells, event


def test_a_ring_ends_a_wait_without_setting_the_event() -> None:
    bells, event = bells_with_one()
    told: list[bool] = []
    sleeper = threading.Thread(target=lambda: told.append(event.wait(FOREVER_S)), daemon=True)
    sleeper.start()
    bells.ring()
    sleeper.join(PATIENCE_S)
    assert told == [False]


def test_a_ring_that_came_before_the_wait_is_heard_once_by_each_thread() -> None:
    bells, event = bells_with_one()
    bells.ring()
    assert event.wait(FOREVER_S) is False
    told: list[bool] = []
    other = threading.Thread(target=lambda: told.append(event.wait(FOREVER_S)), daemon=True)
    other.start()
    other.join(PATIENCE_S)
    assert told == [False]
    assert event.wait(0.0) is False


def test_an_event_that_is_set_ends_every_wait_as_ever() -> None:
    _, event = bells_with_one()
    event.set()
    assert event.wait(FOREVER_S) is True
    assert event.is_set()


def test_a_thread_whose_sleep_ends_by_itself_gives_way_and_one_that_was_rung_for_does_not() -> None:
    ways: list[str] = []
    bells = Doorbells(lambda: ways.append("gave way"))
    event = threading.Event()
    bells.append(event)
    assert event.wait(0.0) is False
    assert ways == ["gave way"]
    bells.ring()
    assert event.wait(FOREVER_S) is False
    event.set()
    assert event.wait(FOREVER_S) is True
    assert ways == ["gave way"]
