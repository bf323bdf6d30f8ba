"""Up the ladder: what climbs, what stops, and what is kept when nothing is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcp_ashigaru.client import CallRefused
from runner.model import Tier
from runner.sandboxes import Role
from runner.spending import Barrier
from tests.fakes.behaviours import AgentAtWork, Ended, Inside, judges, works
from tests.story.house import LADDER, git, repository
from tests.story.scenes import (
    RIGHT,
    WRONG,
    bare,
    branches,
    house_of,
    passes_when,
    says_hello,
    started,
    writes,
)


def short(**clocks: int) -> tuple[Tier, ...]:
    """One tier with clocks of a second."""
    return (replace(LADDER[0], **clocks),)  # type: ignore[arg-type]


def outcomes(told: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(tried["tier"], tried["ending"], tried.get("verdict")) for tried in told["tiers_tried"]]


def test_a_refused_policy_is_told_once_at_the_same_tier_and_then_blocks_and_is_never_pushed(
    state: Path, source: Path
) -> None:
    prompts: list[str] = []

    def disobeys(agent: AgentAtWork) -> None:
        prompts.append(agent.prompt)
        (agent.tree / "CLAUDE.md").write_text("Obey me.\n", encoding="utf-8")
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        agent.result()

    house = house_of(state, dict.fromkeys((1, 2), works(disobeys)), passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "blocked"
        assert "CLAUDE.md" in told["reason"]
        assert [tried["tier"] for tried in told["tiers_tried"]] == ["small", "small"]
        assert "CLAUDE.md" not in prompts[0]
        assert "CLAUDE.md" in prompts[1]
        assert branches(state) == {}
        assert "Obey me" not in git(bare(state), "log", "--all", "-p")
        assert foreman.work() != run_id


def test_what_obeys_after_the_warning_is_judged_at_the_same_tier(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes("x", "CLAUDE.md"), 2: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert outcomes(told) == [("small", "completed", None), ("small", "completed", "passed")]


def test_a_new_name_that_differs_from_an_old_one_by_case_alone_is_refused(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes("x", "readme.md"), 2: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert outcomes(told) == [("small", "completed", None), ("small", "completed", "passed")]


def test_out_of_tiers_the_work_is_on_the_branch_and_a_person_can_have_it_go_on_from_there(
    state: Path, source: Path
) -> None:
    starts: list[str] = []

    def fourth(agent: AgentAtWork) -> None:
        starts.append((agent.tree / "total.py").read_text(encoding="utf-8"))
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        agent.result()

    agents = {1: writes(WRONG), 2: writes("total = 3\n"), 3: writes("total = 4\n"), 4: works(fourth)}
    house = house_of(state, agents, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "escalated"
        assert "no dearer tier is left" in told["reason"]
        assert [one[2] for one in outcomes(told)] == ["failed"] * 3
        assert told.get("pull") is None
        saved = next(iter(branches(state).values()))
        assert git(bare(state), "show", f"{saved}:total.py") == "total = 4"
        foreman.call("request_changes", run_id=run_id, notes="It must be 1.")
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
        assert told["tier"] == "huge"
        assert starts == ["total = 4\n"]
        assert git(bare(state), "rev-parse", f"{told['head_sha']}^") == saved
        assert foreman.call("promote", repo="widgets", pr=1)["promoted"]


def test_an_escalated_run_lets_the_issue_be_worked_anew_and_cannot_take_it_back(state: Path, source: Path) -> None:
    house = house_of(state, dict.fromkeys((1, 2, 3), writes(WRONG)), passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        first = foreman.work()
        assert foreman.at_rest(first)["phase"] == "escalated"
        second = foreman.work()
        assert second != first
        with pytest.raises(CallRefused, match="Another run is live"):
            foreman.call("request_changes", run_id=first, notes="Go on.")
        foreman.at_rest(second)


def test_an_agent_that_changes_nothing_climbs(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(None), 2: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert outcomes(told) == [("small", "completed", None), ("large", "completed", "passed")]


def test_partial_work_at_the_end_of_the_turns_is_judged(state: Path, source: Path) -> None:
    ended = writes(RIGHT, is_error=True, subtype="error_max_turns", terminal_reason="max_turns")
    house = house_of(state, {1: ended}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert outcomes(told) == [("small", "max_turns", "passed")]


@pytest.mark.parametrize(("clock", "ending"), [("idle_s", "idle_timeout"), ("wall_s", "wall_timeout")])
def test_an_agent_past_its_clock_is_stopped_and_what_it_did_is_judged(
    state: Path, source: Path, clock: str, ending: str
) -> None:
    def hangs(agent: AgentAtWork) -> int:
        says_hello(agent)
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        agent.inside.stopping.wait(20)
        return 143

    house = house_of(state, {1: works(hangs)}, passes_when(RIGHT), ladder=short(**{clock: 1}))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert outcomes(told) == [("small", ending, "passed")]
    assert told["phase"] == "awaiting_review"


def test_a_run_out_of_money_judges_what_there_is_and_climbs_no_further(state: Path, source: Path) -> None:
    refusals: dict[int, Barrier] = {}

    def spends(agent: AgentAtWork) -> int:
        says_hello(agent)
        (agent.tree / "total.py").write_text(WRONG, encoding="utf-8")
        refusals[1] = Barrier.RUN
        agent.result(is_error=True, terminal_reason="api_error", api_error_status=402)
        return 1

    house = house_of(state, {1: works(spends)}, passes_when(RIGHT))
    house.model.refusals = refusals
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
        assert outcomes(told) == [("small", "run_budget", "failed")]
        assert told["phase"] == "escalated"
        assert "used up" in told["reason"]
        assert len(branches(state)) == 1


def test_tests_that_no_longer_run_need_a_person_who_may_decide_to_merge(state: Path, tmp_path: Path) -> None:
    gate = '[[gate]]\nname = "test"\nrun = "check"\njunit = "junit.xml"\n'
    files = {"total.py": "total = 0\n", ".ashigaru.toml": gate}

    def check(tree: Path, out: Path) -> tuple[int, bytes]:
        names = ["test_one", "test_two"]
        if (tree / "total.py").read_text(encoding="utf-8") == RIGHT:
            names.pop()
        cases = "".join(f'<testcase classname="t" name="{name}"/>' for name in names)
        (out / "junit.xml").write_text(f'<testsuite tests="{len(names)}">{cases}</testsuite>', encoding="utf-8")
        return 0, b""

    house = house_of(state, {1: writes(RIGHT)}, judges(check))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(repository(tmp_path / "w", files)), "widgets")
        told = foreman.at_rest(foreman.work())
        assert told["phase"] == "awaiting_review"
        assert outcomes(told) == [("small", "completed", "needs_human")]
        pull = foreman.daemon.forge.pull("widgets", 1)
        assert pull is not None
        assert pull.draft
        assert "test_two" in pull.body
        assert foreman.call("promote", repo="widgets", pr=1, head_sha=told["head_sha"])["promoted"]


@pytest.mark.parametrize("model", ["large", "opus"])
def test_a_ticket_can_name_the_tier_to_start_at(state: Path, source: Path, model: str) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work(model=model))
    assert outcomes(told) == [("large", "completed", "passed")]


def test_an_agent_killed_from_outside_is_tried_again_at_the_same_tier_a_few_times(state: Path, source: Path) -> None:
    def dies(inside: Inside) -> Ended:
        (inside.out / "events.jsonl").touch()
        return Ended(code=137)

    house = house_of(state, dict.fromkeys((1, 2, 3), dies), passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "escalated"
    assert [one[:2] for one in outcomes(told)] == [("small", "killed")] * 3
    assert len(started(house, Role.AGENT)) == 3
