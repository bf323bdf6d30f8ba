"""Cancel, wherever the run is: nothing runs on, the work is kept, the issue can be worked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcp_ashigaru.client import CallRefused
from runner.conclusion import UpstreamFailure
from runner.sandboxes import Role
from tests.story.house import Foreman, House, git
from tests.story.scenes import (
    RIGHT,
    WRONG,
    HeldGate,
    bare,
    branches,
    held,
    house_of,
    is_base,
    is_head,
    passes_when,
    started,
    writes,
)


def cancelled(house: House, foreman: Foreman, run_id: str) -> dict[str, Any]:
    """Cancel, and see that it is done and that nothing is left of it."""
    foreman.call("cancel", run_id=run_id)
    told = foreman.until(run_id, lambda told: told["phase"] == "cancelled")
    assert [one for one in house.containers.listing() if run_id in one.name] == []
    assert foreman.work() != run_id, "the claim was not released"
    return told


def kept(state: Path) -> list[str]:
    """What total.py holds on each branch but main."""
    return [git(bare(state), "show", f"{sha}:total.py") + "\n" for sha in branches(state).values()]


def test_in_the_middle_of_an_agent_the_work_so_far_is_kept_on_the_branch(state: Path, source: Path) -> None:
    agent = held(WRONG)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        told = cancelled(house, foreman, run_id)
        assert "Cancelled" in told["reason"]
        assert kept(state) == [WRONG]
        assert told["tiers_tried"][0]["ending"] == "killed"
        assert (run_id, 1) in house.model.shut_attempts


def test_in_the_middle_of_a_gate_the_judged_work_is_kept_and_the_gate_says_nothing(state: Path, source: Path) -> None:
    gate = HeldGate(holds=is_head, then=passes_when(RIGHT))
    house = house_of(state, {1: writes(RIGHT)}, gate)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert gate.reached.wait(20)
        told = cancelled(house, foreman, run_id)
        assert kept(state) == [RIGHT]
        assert [verdict["what"] for verdict in told["verdicts"]] == ["base"]


def test_a_base_gate_that_a_cancel_stopped_does_not_make_the_base_red_for_others(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    gate = HeldGate(holds=is_base, then=passes_when(RIGHT))
    house = house_of(state, {1: agent}, gate)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        first = foreman.work()
        assert agent.reached.wait(20)
        assert gate.reached.wait(20)
        foreman.call("cancel", run_id=first)
        foreman.until(first, lambda told: told["phase"] == "cancelled")
        gate.go.set()
        agent.release()
        second = foreman.work()
        assert foreman.at_rest(second)["phase"] == "awaiting_review"


def test_while_queued_behind_full_slots_it_is_done_at_once(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT), slots=1)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        busy = foreman.work(issue=2)
        assert agent.reached.wait(20)
        run_id = foreman.work()
        told = cancelled(house, foreman, run_id)
        assert "nothing was running" in told["reason"]
        assert foreman.call("status", run_id=busy)["phase"] == "agent"
        agent.release()
        assert foreman.at_rest(busy)["phase"] == "awaiting_review"
        assert foreman.call("status", run_id=run_id)["phase"] == "cancelled"
        assert started(house, Role.AGENT, run_id) == []


def test_while_waiting_for_quota_the_partial_work_goes_to_the_branch(state: Path, source: Path) -> None:
    house = house_of(
        state,
        {1: writes(WRONG, is_error=True, terminal_reason="api_error", api_error_status=429)},
        passes_when(RIGHT),
    )
    house.model.upstream = UpstreamFailure(status=429, type="rate_limit_error", retry_at=4_000_000_000.0)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert foreman.at_rest(run_id)["phase"] == "waiting"
        assert branches(state) == {}
        told = cancelled(house, foreman, run_id)
        assert "is on branch" in told["reason"]
        assert kept(state) == [WRONG]


def test_while_awaiting_review_the_pull_request_is_left_as_it_is(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        before = foreman.at_rest(run_id)
        cancelled(house, foreman, run_id)
        assert list(branches(state).values()) == [before["head_sha"]]
        pull = foreman.daemon.forge.pull("widgets", 1)
        assert pull is not None
        assert pull.state == "open"
        refused = foreman.call("promote", repo="widgets", pr=1)
        assert not refused["promoted"]
        assert "cancelled" in refused["detail"]


def test_a_run_that_has_ended_cannot_be_cancelled_again(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        foreman.at_rest(run_id)
        foreman.call("cancel", run_id=run_id)
        with pytest.raises(CallRefused) as refused:
            foreman.call("cancel", run_id=run_id)
    assert "already ended" in str(refused.value)
