"""How an agent ends that may spend nothing more, and one whose API broke down."""

from __future__ import annotations

import pytest

from runner.barred import STOPPED, dated, not_begun
from runner.conclusion import ExitReport, Stopped, UpstreamFailure, conclude
from runner.facts import AgentEnded
from runner.model import Ending
from runner.spending import Barrier, next_day_at
from runner.transcript import Result, Transcript

LEFT = ExitReport(code=1)


def ended_by(reason: str, status: int | None = None) -> Transcript:
    result = Result(
        subtype="success",
        is_error=True,
        num_turns=3,
        terminal_reason=reason,
        api_error_status=status,
        safety_stops=0,
        denials=0,
        text="API Error",
    )
    return Transcript(lines=5, results=1, result=result)


@pytest.mark.parametrize(
    ("barrier", "ending"),
    [
        (Barrier.HALTED, Ending.HALTED),
        (Barrier.RUN, Ending.RUN_BUDGET),
        (Barrier.REPO_DAY, Ending.REPO_BUDGET),
        (Barrier.DAY, Ending.DAY_BUDGET),
    ],
)
def test_a_refused_request_ends_as_what_refused_it(barrier: Barrier, ending: Ending) -> None:
    assert conclude(ended_by("api_error", 400), LEFT, STOPPED[barrier]).ending is ending
    assert not_begun(barrier, 5.0).ending is ending


@pytest.mark.parametrize("barrier", [Barrier.HALTED, Barrier.REPO_DAY, Barrier.DAY])
def test_an_agent_that_had_its_say_is_not_asked_again_tomorrow(barrier: Barrier) -> None:
    assert conclude(ended_by("max_turns"), LEFT, STOPPED[barrier]).ending is Ending.MAX_TURNS


def test_only_money_of_the_day_names_the_time_of_the_next_try() -> None:
    at = {ending: dated(AgentEnded(ending=ending, retry_at=7.0), 100.0).retry_at for ending in Ending}
    tomorrow = {ending for ending, when in at.items() if when == next_day_at(100.0)}
    assert tomorrow == {Ending.DAY_BUDGET, Ending.REPO_BUDGET}
    assert {when for ending, when in at.items() if ending not in tomorrow} == {7.0}


def test_an_answer_that_breaks_down_in_its_middle_is_what_the_gateway_saw_of_it() -> None:
    overloaded = UpstreamFailure(status=529, type="overloaded_error")
    assert conclude(ended_by("api_error"), LEFT, None, overloaded).ending is Ending.OVERLOADED
    assert conclude(ended_by("api_error", 401), LEFT, None, overloaded).ending is Ending.AUTH
    assert conclude(ended_by("api_error"), LEFT, None, UpstreamFailure(status=None)).ending is Ending.NETWORK
    assert conclude(ended_by("api_error"), LEFT, None, None).ending is Ending.NETWORK
    assert conclude(Transcript(), LEFT, Stopped.IDLE, UpstreamFailure(status=None)).ending is Ending.NETWORK
