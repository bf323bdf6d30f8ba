"""A process that leaves while podman looks at it is no fault, and no reason to start anything twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import podman.errors
import pytest

from runner.adapters.podman_races import despite_races, start_anyway

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
