"""The pool as a foreman sees it: slots with names, a fair line before them, places in it, and limits."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mcp_ashigaru.client import CallRefused
from runner.adapters.sql_engine import open_engine
from runner.adapters.sql_slots import SqlSlots
from runner.sandbox import LABEL_RUN
from runner.sandboxes import Role, SandboxSpec
from tests.fakes.behaviours import PATIENCE_S, AgentAtWork, Behaviour, Ended, Inside, works
from tests.fakes.containers import FakeContainers
from tests.story.house import DEADLINE_S, Foreman, House
from tests.story.scenes import RIGHT, WRONG, house_of, passes_when, says_hello, writes
from tests.story.test_tokens import call, refusal, token

pytestmark = pytest.mark.slow

LIMITS = {"repo_live": 0, "repo_queued": 0, "caller_live": 0, "caller_queued": 0}


@dataclass(kw_only=True)
class Workers:
    """Agents that say who begins, and work until they are let go, one by one or all."""

    began: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)
    let: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __call__(self, inside: Inside) -> Ended:
        with self.news:
            self.began.append(dict(inside.spec.labels)[LABEL_RUN])
            self.news.notify_all()
        return works(self._work)(inside)

    def _work(self, agent: AgentAtWork) -> int:
        says_hello(agent)
        for _ in range(int(PATIENCE_S / 0.01)):
            if self.let.acquire(timeout=0.01):
                (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
                agent.result()
                return 0
            if agent.inside.stopping.is_set() or agent.inside.killed.is_set():
                return 143
        return 1

    def until(self, number: int) -> list[str]:
        """The first so many that began, once there are."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.began) >= number, DEADLINE_S), self.began
            return self.began[:number]


def house_with(state: Path, workers: Behaviour, **changes: Any) -> House:
    def behaviour(spec: SandboxSpec) -> Behaviour:
        return workers if spec.role is Role.AGENT else passes_when(RIGHT)

    return House(state=state, containers=FakeContainers(behaviour), changes={"slots": 1} | changes)


def with_repositories(foreman: Foreman, source: Path, *names: str) -> None:
    for name in names:
        foreman.daemon.forge.add(str(source), name)


def line_of(foreman: Foreman) -> list[str]:
    """The queue in its order, as list_runs tells it."""
    runs = foreman.call("list_runs", limit=100)["runs"]
    return [one["run_id"] for one in sorted(runs, key=lambda one: one["place"] or 0) if one["place"]]


def history(state: Path, run_id: str, *seconds: float) -> None:
    """Earlier turns of that run, which has no slot, put on record."""
    engine = open_engine(f"sqlite:///{state}/ashigaru.db")
    try:
        book = SqlSlots(engine, host="earlier")
        for number, one in enumerate(seconds, 100):
            assert book.hold(run_id, number, 1, 1000.0 + number)
            assert book.leave(run_id, number, 1000.0 + number + one)
    finally:
        engine.dispose()


def test_one_repositorys_burst_holds_up_anothers_ticket_for_one_turn(state: Path, source: Path) -> None:
    workers = Workers()
    with house_with(state, workers).daemon() as foreman:
        with_repositories(foreman, source, "widgets", "gadgets")
        burst = [foreman.work(issue=number) for number in (1, 2, 3)]
        assert workers.until(1) == burst[:1]
        single = foreman.work(repo="gadgets")
        assert line_of(foreman) == [single, *burst[1:]]
        for _ in range(4):
            workers.let.release()
        assert workers.until(4) == [burst[0], single, *burst[1:]]
        for run_id in (*burst, single):
            assert foreman.at_rest(run_id)["phase"] == "awaiting_review"


def test_whoever_is_at_work_is_shown_with_its_slot_and_the_queued_with_their_place(state: Path, source: Path) -> None:
    workers = Workers()
    with house_with(state, workers, slots=2).daemon() as foreman:
        with_repositories(foreman, source, "widgets")
        runs = [foreman.work(issue=number) for number in (1, 2, 3)]
        workers.until(2)
        told = [foreman.call("status", run_id=run_id) for run_id in runs]
        assert [one["slot"] for one in told] == ["ashigaru-1", "ashigaru-2", None]
        assert "in ashigaru-1." in told[0]["headline"]
        assert told[2]["place"] == {"place": 1, "of": 1, "starts_in_s": None, "earlier": 0}
        assert "Place 1 of 1 in the queue; nobody can say yet when it begins." in told[2]["headline"]
        listed = {one["run_id"]: one for one in foreman.call("list_runs")["runs"]}
        assert [(listed[run_id]["slot"], listed[run_id]["place"]) for run_id in runs] == [
            ("ashigaru-1", None),
            ("ashigaru-2", None),
            (None, 1),
        ]
        for _ in runs:
            workers.let.release()
        assert [foreman.at_rest(run_id)["slot"] for run_id in runs] == [None, None, None]


def test_the_estimate_is_made_of_what_earlier_turns_took(state: Path, source: Path) -> None:
    workers = Workers()
    with house_with(state, workers).daemon() as foreman:
        with_repositories(foreman, source, "widgets")
        foreman.work(issue=1)
        workers.until(1)
        second = foreman.work(issue=2)
        history(state, second, 7000.0, 7200.0, 7400.0)
        third = foreman.work(issue=3)
        told = foreman.call("status", run_id=second)
        assert told["place"]["place"] == 1
        assert 7000 < told["place"]["starts_in_s"] <= 7200
        assert "Place 1 of 2 in the queue; begins in about 2 hours if runs" in told["headline"]
        assert 14_000 < foreman.call("status", run_id=third)["place"]["starts_in_s"] <= 14_400


def test_a_high_ticket_goes_before_the_others_and_a_repository_has_its_own_usual(state: Path, source: Path) -> None:
    state.joinpath("fleet.toml").write_text('[repo.gadgets]\npriority = "low"\n', encoding="utf-8")
    workers = Workers()
    with house_with(state, workers).daemon() as foreman:
        with_repositories(foreman, source, "widgets", "gadgets")
        first = foreman.work(issue=1)
        workers.until(1)
        low = foreman.work(repo="gadgets", issue=1)
        normal = foreman.work(issue=2)
        high = foreman.work(repo="gadgets", issue=2, priority="high")
        assert line_of(foreman) == [high, normal, low]
        assert [foreman.call("status", run_id=one)["priority"] for one in (high, normal, low)] == [
            "high",
            "normal",
            "low",
        ]
        for _ in range(4):
            workers.let.release()
        assert workers.until(4) == [first, high, normal, low]
        foreman.at_rest(low)
        with pytest.raises(CallRefused, match="priority must be one of low, normal, high"):
            foreman.work(issue=9, priority="urgent")


def test_the_line_outlives_the_daemon_and_whoever_had_a_slot_keeps_it(state: Path, source: Path) -> None:
    workers = Workers()
    house = house_with(state, workers)
    with house.daemon() as foreman:
        with_repositories(foreman, source, "widgets", "gadgets")
        runs = [foreman.work(issue=number) for number in (1, 2, 3)]
        workers.until(1)
        runs.append(foreman.work(repo="gadgets"))
        before = line_of(foreman)
    with house.daemon() as foreman:
        assert foreman.call("status", run_id=runs[0])["slot"] == "ashigaru-1"
        assert line_of(foreman) == before == [runs[3], runs[1], runs[2]]
        for _ in runs:
            workers.let.release()
        assert workers.until(4) == [runs[0], *before]
        for run_id in runs:
            assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert len(workers.began) == 4


def test_a_queue_may_be_no_longer_than_its_repository_may_have(state: Path, source: Path) -> None:
    state.joinpath("fleet.toml").write_text("[repo.Widgets]\nqueued_runs = 1\n", encoding="utf-8")
    workers = Workers()
    with house_with(state, workers, run_limits=LIMITS | {"repo_queued": 5}).daemon() as foreman:
        with_repositories(foreman, source, "widgets", "gadgets")
        foreman.work(issue=1)
        workers.until(1)
        second = foreman.work(issue=2)
        with pytest.raises(CallRefused) as refused:
            foreman.work(issue=3)
        assert str(refused.value) == (
            "widgets has 1 runs in the queue of at most 1; wait until some are done, or cancel one, "
            "or have the operator raise repo_queued."
        )
        assert foreman.work(issue=2) == second, "a ticket that is worked already is no further run"
        foreman.work(repo="gadgets")
        foreman.call("cancel", run_id=second)
        foreman.work(issue=3)


def test_a_caller_may_have_so_many_live_runs_and_the_operator_any(state: Path, source: Path) -> None:
    workers = Workers()
    bot, other = token(state, "bot"), token(state, "other")
    with house_with(state, workers, run_limits=LIMITS | {"caller_live": 1}).daemon() as foreman:
        with_repositories(foreman, source, "widgets")
        ticket = {"repo": "widgets", "brief": "Totals are off by one."}
        mine = call(foreman, bot, "work_ticket", issue=1, **ticket)["run_id"]
        said = refusal(foreman, bot, "work_ticket", issue=2, **ticket)
        assert said.startswith("Your token has 1 live runs of at most 1; wait until some are done, or cancel one")
        call(foreman, other, "work_ticket", issue=2, **ticket)
        for issue in (3, 4):
            foreman.work(issue=issue)
        call(foreman, bot, "cancel", run_id=mine)
        foreman.until(mine, lambda told: told["phase"] == "cancelled")
        call(foreman, bot, "work_ticket", issue=5, **ticket)
        assert refusal(foreman, bot, "retry", run_id=mine).startswith("Your token has 1 live runs")


def test_a_retry_may_name_the_tier_it_goes_on_at(state: Path, source: Path) -> None:
    agents = {1: writes(WRONG), 2: writes("total = 3\n"), 3: writes("total = 4\n"), 4: writes(RIGHT)}
    with house_of(state, agents, passes_when(RIGHT)).daemon() as foreman:
        with_repositories(foreman, source, "widgets")
        run_id = foreman.work()
        assert foreman.at_rest(run_id)["phase"] == "escalated"
        with pytest.raises(CallRefused, match="choose one of small, large, huge"):
            foreman.call("retry", run_id=run_id, tier="gigantic")
        foreman.call("retry", run_id=run_id, tier="large")
        told = foreman.at_rest(run_id)
        assert told["phase"] == "awaiting_review"
        assert [one["tier"] for one in told["tiers_tried"]] == ["small", "large", "huge", "large"]


def test_a_round_that_waited_takes_its_turn_when_its_time_has_come(state: Path, source: Path) -> None:
    """Its slot is another's meanwhile, and it does not take a second one past the last."""
    limited = writes(WRONG, is_error=True, terminal_reason="api_error", api_error_status=529)
    workers = Workers()
    tries: list[Behaviour] = [limited]

    def agents(inside: Inside) -> Ended:
        behaviour: Behaviour = tries.pop() if tries else workers
        return behaviour(inside)

    house = house_with(state, agents)
    with house.daemon() as foreman:
        with_repositories(foreman, source, "widgets", "gadgets")
        waited = foreman.work()
        told = foreman.at_rest(waited)
        assert (told["phase"], told["slot"]) == ("waiting", None)
        other = foreman.work(repo="gadgets")
        assert workers.until(1) == [other]
        foreman.daemon.service._rounds.hasten(waited, 2)
        told = foreman.until(waited, lambda told: told["phase"] == "queued")
        assert told["place"]["place"] == 1
        workers.let.release()
        workers.let.release()
        assert foreman.at_rest(other)["phase"] == "awaiting_review"
        assert foreman.until(waited, lambda told: told["phase"] == "awaiting_review")
    assert workers.began == [other, waited]
