"""Where nothing can be written down the work stands still, and goes on when it can be."""

from __future__ import annotations

import threading

import pytest

from runner.errors import RecordsDown, RecordsFault
from runner.facts import CancelSeen, Collect, Fact, Prepare, Step, Trouble
from runner.model import RoundInput
from runner.rounds import Interrupted
from runner.standstill import Standstill, mending, standing
from tests.fakes.a_round import INPUT


def test_a_step_that_could_not_be_written_down_is_done_again_when_it_can_be() -> None:
    standstill, stopping, done = Standstill(), threading.Event(), [0]
    seen: list[str | None] = []

    def carry_out(_round: RoundInput, _step: Step) -> Fact:
        done[0] += 1
        if done[0] < 3:
            raise RecordsDown("The disk is full.")
        return CancelSeen()

    def probe_it() -> None:
        seen.append(standstill.why)
        if len(seen) == 1:
            raise RecordsDown("The disk is still full.")

    mended: list[str | None] = []
    with mending(standstill, probe_it, lambda: mended.append(standstill.why), first_s=0.01):
        fact = standing(carry_out, standstill, stopping)(INPUT, Prepare())
    assert fact == CancelSeen()
    assert done == [3]
    assert seen[:2] == ["The disk is full.", "The disk is still full."]
    assert mended
    assert standstill.why is None


def test_a_daemon_that_leaves_does_not_wait_for_its_disk() -> None:
    stopping = threading.Event()
    stopping.set()

    def carry_out(_round: RoundInput, _step: Step) -> Fact:
        raise RecordsDown("The disk is full.")

    with pytest.raises(Interrupted):
        standing(carry_out, Standstill(), stopping)(INPUT, Prepare())


def test_what_fails_while_the_daemon_leaves_has_no_outcome_and_what_succeeds_has() -> None:
    stopping = threading.Event()
    facts: list[Fact] = [Trouble(detail="The forge is gone.", retry_after_s=60.0), CancelSeen()]
    carried = standing(lambda _round, step: facts[isinstance(step, Collect)], Standstill(), stopping)
    assert carried(INPUT, Prepare()) == facts[0]
    stopping.set()
    with pytest.raises(Interrupted):
        carried(INPUT, Prepare())
    assert carried(INPUT, Collect(attempt=1, tier=0)) == facts[1]


@pytest.mark.parametrize(
    "fault", [RecordsFault("The engine's database cannot be used."), ZeroDivisionError()], ids=["away", "ours"]
)
def test_what_cannot_be_mended_yet_keeps_it_standing(fault: Exception) -> None:
    standstill, over = Standstill(), threading.Event()
    tries: list[None] = []

    def mend() -> None:
        tries.append(None)
        if len(tries) < 3:
            raise fault
        over.set()

    standstill.begin("The disk is full.")
    with mending(standstill, lambda: None, mend, first_s=0.01):
        assert over.wait(20)
        assert standstill.wait_for(begun=False, timeout_s=20)
    assert len(tries) == 3


class Hurried(threading.Event):
    """What a thread sleeps on; it does not, and each pause is written down."""

    def __init__(self, pauses: list[float]) -> None:
        super().__init__()
        self._pauses = pauses

    def wait(self, timeout: float | None = None) -> bool:
        self._pauses.append(timeout or 0.0)
        return self.is_set()


def pauses_of(failures: list[int], times: list[float]) -> list[list[float]]:
    """The pauses in each of some standstills. failures: tries that fail in each; times: when each begins and ends."""
    standstill, pauses, left = Standstill(), list[float](), [0]

    def probe_it() -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise RecordsDown("The disk is still full.")

    seen: list[list[float]] = []
    with mending(
        standstill,
        probe_it,
        lambda: None,
        first_s=0.2,
        monotonic=iter(times).__next__,
        leaving=lambda: Hurried(pauses),
    ):
        for number in failures:
            left[0] = number
            standstill.begin("The disk is full.")
            assert standstill.wait_for(begun=False, timeout_s=20)
            seen.append(pauses[sum(map(len, seen)) :])
    return seen


def test_pauses_between_tries_grow_up_to_a_quarter_of_a_minute() -> None:
    (seen,) = pauses_of([13], [0.0, 100.0])
    assert seen == pytest.approx([0.2 * 1.5**tries for tries in range(11)] + [15.0] * 3)


def test_a_standstill_soon_after_another_is_tried_less_often_and_one_after_a_good_minute_as_the_first() -> None:
    seen = pauses_of([1, 0, 0, 0], [0.0, 10.0, 11.0, 12.0, 72.0, 73.0, 133.5, 134.0])
    assert [pause for one in seen for pause in one] == pytest.approx([0.2, 0.3, 0.36, 0.432, 0.2])
