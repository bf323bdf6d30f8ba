"""Trouble that is nobody's fault: it waits, costs no tier, loses no work, and goes on by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.conclusion import UpstreamFailure
from runner.model import Role
from tests.fakes.behaviours import AgentAtWork, Ended, Inside, works
from tests.fakes.containers import FakeContainers
from tests.story.house import Foreman, House
from tests.story.scenes import RIGHT, WRONG, branches, held, house_of, is_base, passes_when, started, writes

QUOTA: dict[str, Any] = {"is_error": True, "terminal_reason": "api_error", "api_error_status": 429}


def hasten(foreman: Foreman, run_id: str) -> None:
    """What the passing of time does."""
    service = foreman.daemon.service
    service._rounds.hasten(run_id, service._known(run_id).round)


def test_a_quota_ends_the_round_and_the_next_goes_on_by_itself_at_the_same_tier(state: Path, source: Path) -> None:
    seen: list[str] = []

    def second(agent: AgentAtWork) -> None:
        seen.append((agent.tree / "total.py").read_text(encoding="utf-8"))
        house.model.upstream = None
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        agent.result()

    house = house_of(state, {1: writes(WRONG, **QUOTA), 2: works(second)}, passes_when(RIGHT))
    house.model.upstream = UpstreamFailure(status=429, type="rate_limit_error", retry_at=1.0)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
    assert [(tried["tier"], tried["ending"]) for tried in told["tiers_tried"]] == [
        ("small", "quota"),
        ("small", "completed"),
    ]
    assert seen == [WRONG], "the partial work was lost"


def test_while_it_waits_it_says_why_and_until_when_and_a_second_ticket_is_the_same_run(
    state: Path, source: Path
) -> None:
    house = house_of(state, {1: writes(WRONG, **QUOTA), 2: writes(RIGHT)}, passes_when(RIGHT))
    house.model.upstream = UpstreamFailure(status=429, type="rate_limit_error", retry_at=4_000_000_000.0)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "waiting"
        assert "quota" in told["reason"]
        assert foreman.daemon.service._known(run_id).retry_at == 4_000_000_000.0
        assert foreman.work() == run_id
        assert house.containers.listing() == ()
    with house.daemon() as foreman:
        assert foreman.call("status", run_id=run_id)["phase"] == "waiting"
        house.model.upstream = None
        hasten(foreman, run_id)
        foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
    assert len(started(house, Role.AGENT)) == 2


def test_a_container_engine_that_is_down_is_waited_for(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT), 2: writes(RIGHT)}, passes_when(RIGHT))
    house.containers.down = True
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "waiting"
        assert "Podman does not answer" in told["reason"]
        house.containers.down = False
        hasten(foreman, run_id)
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
        assert told["tier"] == "small"


def test_an_engine_that_is_away_for_a_moment_costs_no_agent_its_work(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        foreman.until(run_id, lambda told: [one["what"] for one in told["verdicts"]] == ["base"])
        house.containers.down = True
        agent.release()
        assert foreman.call("status", run_id=run_id)["phase"] == "agent"
        house.containers.down = False
        told = foreman.at_rest(run_id)
    assert told["phase"] == "awaiting_review"
    assert len(started(house, Role.AGENT)) == 1


def test_a_round_closes_though_the_engine_is_down_and_the_rest_is_swept_later(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT), 2: writes(RIGHT)}, passes_when(RIGHT))

    def goes_down(_number: object, step: object, _fact: object) -> None:
        house.containers.down = house.containers.down or type(step).__name__ == "Publish"

    house.witness = goes_down
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        assert foreman.at_rest(foreman.work())["phase"] == "awaiting_review"
    house.containers.down = False
    with house.daemon():
        assert house.containers.listing() == ()


def test_a_missing_image_is_waited_for_with_a_sentence(state: Path, source: Path) -> None:
    house = House(state=state, containers=FakeContainers(lambda _: passes_when(RIGHT), images=()))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "waiting"
    assert "image is not on this host" in told["reason"]


def test_a_forge_whose_repository_is_out_of_reach_is_waited_for(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent, 2: writes(RIGHT)}, passes_when(RIGHT))
    there, away = state / "forge" / "widgets.git", state / "forge" / "away"
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        there.rename(away)
        agent.release()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "waiting", told
        assert told["verdicts"][-1]["outcome"] == "passed"
        away.rename(there)
        hasten(foreman, run_id)
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
        assert [tried["tier"] for tried in told["tiers_tried"]] == ["small", "small"]


def test_a_gate_without_a_word_is_asked_again_on_the_same_tree_and_the_agent_is_not(state: Path, source: Path) -> None:
    deaths = iter((True, True, False))

    def gate(inside: Inside) -> Ended:
        dies = not is_base(inside.tree) and next(deaths)
        return Ended(code=137, oom=True) if dies else Ended(code=0)

    house = house_of(state, {1: writes(RIGHT)}, gate)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "awaiting_review"
    assert [one["outcome"] for one in told["verdicts"]] == ["passed", "inconclusive", "inconclusive", "passed"]
    assert len(started(house, Role.AGENT)) == 1


def test_a_gate_that_never_has_a_word_escalates_with_the_work_on_its_branch(state: Path, source: Path) -> None:
    def gate(inside: Inside) -> Ended:
        return Ended(code=0) if is_base(inside.tree) else Ended(code=137, oom=True)

    house = house_of(state, {1: writes(RIGHT)}, gate)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "escalated"
        assert "could not judge the work" in told["reason"]
        assert list(branches(state).values()) == [told["head_sha"]]
        assert foreman.work() != run_id
    assert [one["what"] for one in told["verdicts"]] == ["base", "head", "head", "head"]


@pytest.mark.parametrize("status", [500, 529, None])
def test_an_overloaded_or_absent_model_api_burns_no_tier(state: Path, source: Path, status: int | None) -> None:
    failing = writes(None, is_error=True, terminal_reason="api_error", api_error_status=status)
    house = house_of(state, {1: failing}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "waiting"
    assert told["tier"] == "small"
