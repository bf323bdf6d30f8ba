"""A process that leaves while podman looks at it is no fault, and no reason to start anything twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import podman.errors
import pytest

from runner.adapters.podman_races import create_container, create_pod, despite_races, start_anyway

RACE = podman.errors.APIError("500", explanation="read /proc/4666/cgroup: no such process")
OTHER = podman.errors.APIError("500", explanation="no space left on device")


@dataclass
class OneContainer:
    """What is asked of podman's container; begins: whether it has begun to run after each start."""

    faults: list[podman.errors.APIError | None]
    begins: list[bool]
    status: str = "created"
    starts: int = 0
    _runs: bool = field(default=False)

    def start(self) -> None:
        self.starts += 1
        self._runs = self._runs or self.begins.pop(0)
        if (fault := self.faults.pop(0)) is not None:
            raise fault

    def reload(self) -> None:
        self.status = "exited" if self._runs else "created"


def started(container: OneContainer) -> None:
    start_anyway(container)  # type: ignore[arg-type]


def test_a_container_that_ran_despite_the_stumble_is_not_started_again() -> None:
    container = OneContainer(faults=[RACE], begins=[True])
    started(container)
    assert container.starts == 1


def test_one_that_did_not_is_started_again_within_a_bound() -> None:
    container = OneContainer(faults=[RACE, None], begins=[False, True])
    started(container)
    assert container.starts == 2
    for_ever = OneContainer(faults=[RACE] * 9, begins=[False] * 9)
    with pytest.raises(podman.errors.APIError, match="500"):
        started(for_ever)
    assert for_ever.starts == 4


def test_any_other_refusal_is_told_at_once() -> None:
    container = OneContainer(faults=[OTHER], begins=[False])
    with pytest.raises(podman.errors.APIError):
        started(container)
    assert container.starts == 1


def asked(answers: list[podman.errors.APIError | int]) -> Callable[[], int]:
    def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


def test_a_question_is_asked_again_for_a_stumble_and_for_nothing_else() -> None:
    assert despite_races(asked([RACE, RACE, 7])) == 7
    with pytest.raises(podman.errors.APIError):
        despite_races(asked([OTHER, 7]))
    with pytest.raises(podman.errors.APIError):
        despite_races(asked([RACE] * 5))


def test_podman_is_never_asked_to_make_two_things_at_once() -> None:
    making, together = threading.Semaphore(1), []
    told = threading.Barrier(8)

    def create(**arguments: Any) -> None:
        alone = making.acquire(blocking=False)
        together.append(alone)
        # Whoever else is let in comes while the first is still at it.
        entered.wait(0.02)
        if alone:
            making.release()
        assert arguments == {"name": "x"}

    entered = threading.Event()
    client: Any = SimpleNamespace(containers=SimpleNamespace(create=create), pods=SimpleNamespace(create=create))

    def ask(number: int) -> None:
        told.wait(20)
        (create_pod if number % 2 else create_container)(client, {"name": "x"})

    with ThreadPoolExecutor(8) as asking:
        list(asking.map(ask, range(8)))
    assert together == [True] * 8
