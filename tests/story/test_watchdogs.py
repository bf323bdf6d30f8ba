"""An agent that is stuck, or will not leave, is stopped, and nothing that it did is lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.model import Tier
from tests.fakes.behaviours import AgentAtWork, works
from tests.fakes.clocks import SetClock
from tests.story.house import LADDER
from tests.story.scenes import RIGHT, WRONG, house_of, passes_when, says_hello, writes

pytestmark = pytest.mark.slow

READ = ("Read", {"file_path": "/workspace/total.py"})
GREP = ("Grep", {"pattern": "total"})


def ladder(**watchdogs: int) -> tuple[Tier, ...]:
    """The ladder with these watchdogs and no other on its first rung."""
    off = {"in_a_row": 0, "often": 0, "among": 0, "pairs": 0, "unedited_calls": 0, "unedited_s": 0}
    first = replace(LADDER[0], watchdogs=replace(LADDER[0].watchdogs, **(off | watchdogs)))
    return (first, *LADDER[1:])


def calls(agent: AgentAtWork, number: int, tool: str, given: dict[str, Any]) -> None:
    """A call and its answer, which is always the same."""
    used = {"type": "tool_use", "id": f"t{number}", "name": tool, "input": given}
    agent.event({"type": "assistant", "message": {"model": "claude-x", "content": [used]}})
    told = {"type": "tool_result", "tool_use_id": f"t{number}", "content": "total = 0"}
    agent.event({"type": "user", "message": {"content": [told]}})


def circles(text: str, *turns: tuple[str, dict[str, Any]]) -> Callable[[AgentAtWork], int]:
    """An agent that writes `text` and then makes those calls again and again until it is stopped."""

    def work(agent: AgentAtWork) -> int:
        says_hello(agent)
        (agent.tree / "total.py").write_text(text, encoding="utf-8")
        for number in range(400):
            calls(agent, number, *turns[number % len(turns)])
            if agent.inside.stopping.wait(0.01):
                return 143
        return 1

    return work


EITHER = r'"(Grep total|Read total\.py)"'
"""Which of two calls was the last one is a matter of when it was looked at."""


@pytest.mark.parametrize(
    ("turns", "watchdogs", "ending", "words"),
    [
        ((READ,), {"in_a_row": 5}, "repeated_call", r'repeated "Read total\.py" again and again'),
        ((READ, GREP), {"pairs": 3}, "alternating_calls", f"between {EITHER} and {EITHER}"),
        ((READ, GREP), {"unedited_calls": 9}, "no_edits", "tool calls without editing a file"),
    ],
    ids=["repeated", "alternating", "no edits"],
)
def test_an_agent_that_goes_round_in_circles_climbs_with_its_work_and_the_next_is_told_of_it(
    state: Path, source: Path, turns: tuple[Any, ...], watchdogs: dict[str, int], ending: str, words: str
) -> None:
    found: list[str] = []
    prompts: list[str] = []

    def goes_on(agent: AgentAtWork) -> None:
        prompts.append(agent.prompt)
        found.append((agent.tree / "total.py").read_text(encoding="utf-8"))
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        agent.result()

    agents = {1: works(circles(WRONG, *turns)), 2: works(goes_on)}
    house = house_of(state, agents, passes_when(RIGHT), ladder=ladder(**watchdogs))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "awaiting_review"
    assert [(one["tier"], one["ending"], one["verdict"]) for one in told["tiers_tried"]] == [
        ("small", ending, "failed"),
        ("large", "completed", "passed"),
    ]
    assert found == [WRONG], "the partial work was lost"
    assert re.search(words, prompts[0])
    notices = [one["text"] for one in told["notices"] if one["kind"] == "watchdog"]
    assert len(notices) == 1
    assert notices[0].startswith("Tier small ")
    assert "goes to the gates" in notices[0]
    assert len(notices[0]) <= 240


def test_right_work_of_an_agent_that_was_stuck_afterwards_is_published(state: Path, source: Path) -> None:
    house = house_of(state, {1: works(circles(RIGHT, READ))}, passes_when(RIGHT), ladder=ladder(in_a_row=5))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "awaiting_review"
    assert [(one["tier"], one["ending"]) for one in told["tiers_tried"]] == [("small", "repeated_call")]


def test_an_agent_that_is_stuck_on_the_last_rung_goes_to_a_person_who_is_told_at_what(
    state: Path, source: Path
) -> None:
    house = house_of(state, {1: works(circles(WRONG, READ))}, passes_when(RIGHT), ladder=ladder(in_a_row=5)[:1])
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "escalated"
    assert 'it repeated "Read total.py" again and again' in told["reason"]
    assert "on branch" in told["reason"]


def test_an_agent_that_stays_after_its_result_is_stopped_and_its_result_counts(state: Path, source: Path) -> None:
    def stays(agent: AgentAtWork) -> int:
        says_hello(agent)
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        agent.result()
        agent.inside.stopping.wait(20)
        return 143

    house = house_of(state, {1: works(stays), 2: writes(RIGHT)}, passes_when(RIGHT), ladder=ladder(grace_s=10))
    house.clock = SetClock(speed=30.0)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "awaiting_review"
    assert [(one["tier"], one["ending"]) for one in told["tiers_tried"]] == [("small", "stopped_after_result")]
    assert "its result counts" in told["notices"][0]["text"]
