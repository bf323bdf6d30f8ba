"""A crash before any fact of the rounds that are not a climb: a wait, a cancel, a re-judgement, requested changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_ashigaru.client import CallRefused
from runner.conclusion import UpstreamFailure
from runner.errors import RecordsFault
from runner.facts import Close
from runner.sandboxes import Role
from tests.fakes.behaviours import AgentAtWork, works
from tests.story.house import git
from tests.story.scenes import RIGHT, WRONG, Facts, bare, branches, held, house_of, passes_when, started, writes
from tests.story.test_review import push
from tests.story.test_trouble import QUOTA


@pytest.mark.parametrize("crash_at", [2, 3, 4])
def test_a_wait_is_gone_on_from_once_and_with_the_partial_work(state: Path, source: Path, crash_at: int) -> None:
    starts: list[str] = []
    facts = Facts(crash_at=crash_at)

    def second(agent: AgentAtWork) -> None:
        house.model.upstream = None
        starts.append((agent.tree / "total.py").read_text(encoding="utf-8"))
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        agent.result()

    house = house_of(state, {1: writes(WRONG, **QUOTA), 2: works(second)}, passes_when(RIGHT))
    house.model.upstream = UpstreamFailure(status=429, type="rate_limit_error", retry_at=1.0)
    house.witness = facts
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert facts.crashed.wait(20)
    with house.daemon() as foreman:
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
    assert starts == [WRONG]
    assert len(started(house, Role.AGENT)) == 2
    assert [tried["tier"] for tried in told["tiers_tried"]] == ["small", "small"]
    assert max(number for number, _, _ in facts.seen) == 2


def test_a_close_that_is_done_again_leaves_the_round_after_it_alone(state: Path, source: Path) -> None:
    facts, agent = Facts(), held(RIGHT)
    house = house_of(state, {1: writes(WRONG, **QUOTA), 2: agent}, passes_when(RIGHT))
    house.model.upstream = UpstreamFailure(status=429, type="rate_limit_error", retry_at=1.0)
    house.witness = facts
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        house.model.upstream = None
        service = foreman.daemon.service
        first = service._records.round_input(run_id, 1)
        closing = next(step for _, step, _ in facts.seen if isinstance(step, Close))
        service._rounds._engine.rounds._carry_out(first, closing)  # type: ignore[attr-defined]
        assert foreman.call("status", run_id=run_id)["phase"] == "agent"
        agent.release()
        told = foreman.at_rest(run_id)
    assert told["phase"] == "awaiting_review"
    assert [tried["ending"] for tried in told["tiers_tried"]] == ["quota", "completed"]


@pytest.mark.parametrize("crash_at", [2, 3, 4])
def test_a_cancel_keeps_the_work_once(state: Path, source: Path, crash_at: int) -> None:
    facts = Facts(crash_at=crash_at)
    agent = held(WRONG)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    house.witness = facts
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        foreman.call("cancel", run_id=run_id)
        assert facts.crashed.wait(20)
    with house.daemon() as foreman:
        told = foreman.until(run_id, lambda told: told["phase"] == "cancelled")
        assert foreman.work() != run_id
    (saved,) = [sha for name, sha in branches(state).items() if name.endswith(run_id[-6:])]
    assert saved == told["head_sha"]
    assert git(bare(state), "show", f"{saved}:total.py") + "\n" == WRONG
    assert git(bare(state), "rev-list", "--count", saved) == "2"


@pytest.mark.parametrize("crash_at", [1, 2, 3])
def test_a_rejudgement_judges_once_and_leaves_the_head_where_it_is(
    state: Path, source: Path, tmp_path: Path, crash_at: int
) -> None:
    facts = Facts()
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    house.witness = facts
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        head = foreman.at_rest(run_id)["head_sha"]
        push(state, tmp_path, "main", "other.py", "x = 1\n")
        facts.crash_at = len(facts.seen) + crash_at
        assert not foreman.call("promote", repo="widgets", pr=1)["promoted"]
        assert facts.crashed.wait(20)
    with house.daemon() as foreman:
        told = foreman.until(
            run_id,
            lambda told: told["phase"] == "awaiting_review" and told["verdicts"][-1]["what"] == "merged",
        )
        assert told["head_sha"] == head
        assert foreman.call("promote", repo="widgets", pr=1, head_sha=head)["promoted"]
    assert len(started(house, Role.GATE)) == 3
    assert git(bare(state), "rev-list", "--count", "main") == "3"


def test_a_run_of_which_only_the_claim_was_on_record_can_be_asked_for_changes(state: Path, source: Path) -> None:
    def dies(*_: object) -> None:
        raise RecordsFault("The daemon dies here.")

    house = house_of(state, {1: writes(RIGHT), 2: writes("total = 1  # plain\n")}, passes_when("total = 1"))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        foreman.daemon.service._submit = dies  # type: ignore[method-assign]
        with pytest.raises(CallRefused):
            foreman.work()
    with house.daemon() as foreman:
        run_id = foreman.work()
        first = foreman.at_rest(run_id)
        foreman.call("request_changes", run_id=run_id, notes="Plainly.")
        told = foreman.until(run_id, lambda told: told["head_sha"] != first["head_sha"])
        assert [tried["ending"] for tried in told["tiers_tried"]] == ["completed", "completed"]


@pytest.mark.parametrize("crash_at", [2, 3, 5, 6, 7])
def test_requested_changes_make_one_new_head_and_no_second_pull_request(
    state: Path, source: Path, crash_at: int
) -> None:
    facts = Facts()
    house = house_of(state, {1: writes(RIGHT), 2: writes("total = 1  # plain\n")}, passes_when("total = 1"))
    house.witness = facts
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        first = foreman.at_rest(run_id)
        facts.crash_at = len(facts.seen) + crash_at
        foreman.call("request_changes", run_id=run_id, notes="Plainly.")
        if not facts.crashed.wait(20):
            pytest.fail(f"only {[step.kind for _, step, _ in facts.seen]}")
    with house.daemon() as foreman:
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
        assert told["pull"]["number"] == 1
        assert foreman.daemon.forge.pull("widgets", 2) is None
    assert git(bare(state), "rev-parse", f"{told['head_sha']}^") == first["head_sha"]
    assert len(started(house, Role.AGENT)) == 2
