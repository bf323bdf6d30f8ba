"""The main job through a real MCP client: a cheap tier's plausible fix is refused, a dearer one's is merged."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from mcp_ashigaru.client import CallRefused
from tests.fakes.behaviours import AgentAtWork, Held, works
from tests.story.house import git
from tests.story.scenes import house_of, passes_when, writes

BAD: Final[tuple[tuple[dict[str, Any], str], ...]] = (
    ({"repo": "nowhere"}, "nowhere"),
    ({"repo": "../widgets"}, "repo"),
    ({"repo": "--upload-pack=x"}, "repo"),
    ({"issue": 0}, "issue"),
    ({"issue": -4}, "issue"),
    ({"issue": "four"}, "issue"),
    ({"brief": "  \n "}, "brief"),
    ({"brief": "x" * 20_001}, "brief"),
    ({"brief": "ring\x07"}, "brief"),
    ({"brief": "hidden\u202etext"}, "brief"),
    ({"model": "--dangerously-skip-permissions"}, "model"),
    ({"model": "gpt"}, "model"),
)


def test_a_refused_fix_climbs_to_the_next_tier_and_the_judged_head_is_what_is_merged(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes("total = 2\n"), 2: writes("total = 1\n")}, passes_when("total = 1"))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "awaiting_review", told
        assert [tried["verdict"] for tried in told["tiers_tried"]] == ["failed", "passed"]
        assert told["tier"] == "large"
        answer = foreman.call("promote", repo="widgets", pr=told["pull"]["number"], head_sha=told["head_sha"])
        assert answer["promoted"], answer
        bare = state / "forge" / "widgets.git"
        assert git(bare, "rev-parse", "main") == answer["sha"]
        assert git(bare, "show", "main:total.py") == "total = 1"
        assert foreman.call("status", run_id=run_id)["phase"] == "merged"
    assert house.containers.faults == []
    assert house.containers.listing() == ()


def test_the_next_tier_starts_from_the_refused_work_and_is_told_why(state: Path, source: Path) -> None:
    seen: list[tuple[str, str]] = []

    def second(agent: AgentAtWork) -> int:
        seen.append((agent.prompt, (agent.tree / "total.py").read_text(encoding="utf-8")))
        (agent.tree / "total.py").write_text("total = 1\n", encoding="utf-8")
        agent.result()
        return 0

    house = house_of(state, {1: writes("total = 2\n"), 2: works(second)}, passes_when("total = 1"))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        foreman.at_rest(foreman.work())
    prompt, text = seen[0]
    assert text == "total = 2\n"
    assert "wrong total" in prompt
    assert "+total = 2" in prompt
    assert ".github" in prompt, "the agent is told beforehand what it may not change"


def test_a_second_ticket_for_a_live_issue_is_the_run_that_is_running(state: Path, source: Path) -> None:
    agent = Held(first=lambda _agent: None, then=lambda agent: agent.result())
    house = house_of(state, {1: agent, 2: writes("x"), 3: writes("x")}, passes_when("total = 1"))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        first = foreman.work()
        assert agent.reached.wait(20)
        assert foreman.work(brief="Say it otherwise.") == first
        assert foreman.work(issue=2) != first
        agent.release()


def test_bad_input_is_refused_in_one_sentence_before_anything_starts(state: Path, source: Path) -> None:
    house = house_of(state, {}, passes_when("total = 1"))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        for changes, about in BAD:
            with pytest.raises(CallRefused) as refused:
                foreman.work(**changes)
            said = str(refused.value)
            assert about in said, changes
            assert "\n" not in said, changes
            assert len(said) < 200, changes
            assert foreman.call("list_runs")["runs"] == [], changes
