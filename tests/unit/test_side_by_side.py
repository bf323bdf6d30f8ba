"""Gates side by side: in order, held by what they need, let go of together."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from gates.plan import Gate
from runner.rounds import Interrupted
from runner.sandbox_run import Cancelled
from runner.side_by_side import Cancel, Places, in_order, together

WAIT_S = 20.0


def gate(name: str, *needs: str, required: bool = True) -> Gate:
    return Gate(name=name, run="check", junit=None, timeout_s=60, needs=needs, required=required)


def never() -> bool:
    return False


def held(cancelled: Cancel) -> None:
    """Wait until let go of, as whoever waits for a sandbox does."""
    for _ in range(int(WAIT_S / 0.01)):
        if cancelled():
            raise Cancelled
        threading.Event().wait(0.01)
    raise AssertionError("nobody let go of it")


def asked(gates: list[Gate], says: Callable[[Gate, Cancel], str], *, keep_going: bool = False) -> list[str]:
    return in_order(gates, says, lambda word: word.startswith("red"), never, keep_going=keep_going)


def test_answers_come_in_the_plans_order_whoever_ends_first() -> None:
    second = threading.Event()

    def says(one: Gate, _cancelled: Cancel) -> str:
        if one.name == "a":
            assert second.wait(WAIT_S)
        else:
            second.set()
        return one.name

    assert asked([gate("a"), gate("b")], says) == ["a", "b"]


def test_a_gate_begins_only_once_what_it_needs_is_green() -> None:
    ended: list[str] = []

    def says(one: Gate, _cancelled: Cancel) -> str:
        assert set(one.needs) <= set(ended)
        ended.append(one.name)
        return one.name

    gates = [gate("build"), gate("lint"), gate("test", "build"), gate("ship", "test", "lint")]
    assert asked(gates, says) == ["build", "lint", "test", "ship"]


def test_the_first_red_required_gate_has_the_others_let_go_of_and_the_rest_left_out() -> None:
    def says(one: Gate, cancelled: Cancel) -> str:
        if one.name == "slow":
            held(cancelled)
        return f"red {one.name}"

    assert asked([gate("lint"), gate("slow"), gate("test", "lint")], says) == ["red lint"]


def test_going_on_all_are_asked_but_those_that_need_a_red_one() -> None:
    def says(one: Gate, _cancelled: Cancel) -> str:
        return f"red {one.name}" if one.name == "lint" else one.name

    gates = [gate("lint"), gate("test"), gate("ship", "lint")]
    assert asked(gates, says, keep_going=True) == ["red lint", "test"]


def test_a_gate_that_is_not_required_stops_nobody() -> None:
    def says(one: Gate, _cancelled: Cancel) -> str:
        return f"red {one.name}"

    assert asked([gate("style", required=False), gate("test", "style"), gate("unit")], says) == [
        "red style",
        "red unit",
    ]


@pytest.mark.parametrize("fault", [Cancelled, OSError])
def test_a_fault_of_one_has_the_others_let_go_of_and_is_raised(fault: type[Exception]) -> None:
    def falls(_cancelled: Cancel) -> None:
        raise fault

    with pytest.raises(fault):
        together([falls, held], never)
    with pytest.raises(fault):
        asked(
            [gate("a"), gate("b")], lambda one, cancelled: str(falls(cancelled) if one.name == "a" else held(cancelled))
        )


def test_when_the_daemon_leaves_each_leaves_by_itself_and_nobody_is_told_to_stop() -> None:
    first = threading.Event()
    told: list[bool] = []

    def leaves(_cancelled: Cancel) -> None:
        first.set()
        raise Interrupted

    def leaves_later(cancelled: Cancel) -> None:
        assert first.wait(WAIT_S)
        told.append(cancelled())
        raise Interrupted

    with pytest.raises(Interrupted):
        together([leaves, leaves_later], never)
    assert told == [False]


def test_no_more_are_at_it_than_there_are_places() -> None:
    places, at_once, most = Places(2), [0], [0]
    guard = threading.Lock()

    def job(cancelled: Cancel) -> None:
        with places.one(cancelled):
            with guard:
                at_once[0] += 1
                most[0] = max(most[0], at_once[0])
            threading.Event().wait(0.01)
            with guard:
                at_once[0] -= 1

    together([job] * 8, never)
    assert most[0] == 2


def test_who_waits_for_a_place_can_be_told_to_stop() -> None:
    places = Places(1)
    with places.one(never), pytest.raises(Cancelled), places.one(lambda: True):
        pass
