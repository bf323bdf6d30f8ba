"""Trouble that is nobody's fault: it waits, costs no tier, loses no work, and goes on by itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.conclusion import UpstreamFailure
from runner.errors import EngineDown
from runner.sandboxes import Role, RunState, SandboxStatus
from tests.fakes.behaviours import AgentAtWork, Ended, Inside, works
from tests.fakes.containers import FakeContainers
from tests.story.house import Foreman, House
from tests.story.scenes import RIGHT, WRONG, HeldGate, branches, held, house_of, is_base, passes_when, started, writes

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


@dataclass(kw_only=True)
class Blinks:
    """An engine that does not know about one kind of sandbox a few times, when it is asked to."""

    containers: FakeContainers
    times: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def status(self, name: str) -> SandboxStatus:
        if self.times and name.startswith("ash-agent-"):
            self.times -= 1
            if not self.times:
                self.done.set()
            raise EngineDown("Podman does not answer.")
        return FakeContainers.status(self.containers, name)


def test_an_engine_that_is_away_for_a_moment_costs_no_agent_its_work(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    blinks = Blinks(containers=house.containers)
    house.containers.status = blinks.status  # type: ignore[method-assign]
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        blinks.times = 3
        assert blinks.done.wait(20)
        agent.release()
        told = foreman.at_rest(run_id)
    assert told["phase"] == "awaiting_review"
    assert len(started(house, Role.AGENT)) == 1


def test_a_result_that_is_known_does_not_wait_for_its_sandbox_to_be_removed(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    remove = house.containers.remove

    def stuck(name: str) -> None:
        if house.containers.status(name).state is RunState.EXITED:
            raise EngineDown("Podman does not answer.")
        remove(name)

    house.containers.remove = stuck  # type: ignore[method-assign]
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert len(house.containers.listing(run_id)) == 3
    assert len(started(house, Role.AGENT)) == 1
    house.containers.remove = remove  # type: ignore[method-assign]
    with house.daemon():
        assert house.containers.listing() == (), "what was left is swept at the next start"


def test_a_wait_leaves_no_base_gate_behind_and_takes_its_end_for_no_verdict(state: Path, source: Path) -> None:
    gate = HeldGate(holds=is_base, then=passes_when(RIGHT))
    house = house_of(state, {1: writes(WRONG, **QUOTA), 2: writes(RIGHT)}, gate)
    house.model.upstream = UpstreamFailure(status=429, type="rate_limit_error", retry_at=4_000_000_000.0)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert foreman.at_rest(run_id)["phase"] == "waiting"
        assert house.containers.listing() == ()
        gate.go.set()
        house.model.upstream = None
        hasten(foreman, run_id)
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
    assert [one["outcome"] for one in told["verdicts"]] == ["passed", "passed"]


def test_a_round_closes_though_the_engine_is_down(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT), 2: writes(RIGHT)}, passes_when(RIGHT))

    def goes_down(_number: object, step: object, _fact: object) -> None:
        house.containers.down = house.containers.down or type(step).__name__ == "Publish"

    house.witness = goes_down
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        assert foreman.at_rest(foreman.work())["phase"] == "awaiting_review"


def test_a_missing_image_is_waited_for_with_a_sentence(state: Path, source: Path) -> None:
    house = House(state=state, containers=FakeContainers(lambda _: passes_when(RIGHT), images=()))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
        run = foreman.daemon.service._known(told["run_id"])
    assert told["phase"] == "waiting"
    assert "image is not on this host" in told["reason"]
    assert run.retry_at == run.updated_at + 300


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
        # The work was judged and only had to be published: no agent is paid for it again.
        assert [tried["tier"] for tried in told["tiers_tried"]] == ["small"]
        assert len(started(house, Role.AGENT)) == 1
        assert len(started(house, Role.GATE, "head")) == 1


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
