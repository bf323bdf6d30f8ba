"""The part of the attack suite that needs no container: every case is stopped, and every defence is missed."""

from __future__ import annotations

import gc

import pytest

from tests.attack.case import Defence, Stopped, Through
from tests.attack.ground import ground
from tests.attack.registry import CASES, DEFENCES, cases_of
from tests.attack.running import carried_out, line

pytestmark = pytest.mark.slow

FAST = tuple(case for case in CASES if not case.podman)
FAST_DEFENCES = tuple(one for one in DEFENCES.values() if any(not case.podman for case in cases_of(one.name)))


def test_the_attacks_that_need_no_container_are_all_stopped() -> None:
    with ground() as here:
        ended = list(carried_out(FAST, here))
    assert [line(one) for one in ended if not isinstance(one.outcome, Stopped)] == []


# A part whose way of closing was taken out leaves its sockets behind; they are told of here, not in another's test.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("defence", FAST_DEFENCES, ids=lambda defence: defence.name)
def test_every_case_of_a_defence_goes_through_without_it(defence: Defence) -> None:
    with ground() as here, defence.without():
        ended = list(carried_out([case for case in cases_of(defence.name) if not case.podman], here))
    gc.collect()
    assert [line(one) for one in ended if not isinstance(one.outcome, Through)] == []


def test_every_case_has_a_name_of_its_own_a_defence_that_there_is_and_a_deadline() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.defence for case in CASES} == set(DEFENCES)
    assert all(0 < case.deadline_s <= 120 for case in CASES)
