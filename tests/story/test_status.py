"""Looking at a run: from the records alone, at once when there is news, and not before when there is none."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from mcp_ashigaru.client import CallRefused, connect
from mcp_ashigaru.settings import ConfigError
from runner.sandboxes import Role
from runner.service import Service
from tests.fakes.behaviours import AgentAtWork, Held
from tests.story.scenes import RIGHT, held, house_of, passes_when, says_hello, started, writes


def test_news_since_the_cursor_is_told_at_once_and_the_next_is_waited_for(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    with house.daemon() as foreman, ThreadPoolExecutor(1) as pool:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        told = foreman.until(
            run_id, lambda told: told["recent_actions"] and [one["what"] for one in told["verdicts"]] == ["base"]
        )
        assert foreman.call("status", run_id=run_id, since=told["cursor"] - 1, wait_s=300)["cursor"] >= told["cursor"]
        waiting = pool.submit(foreman.call, "status", run_id=run_id, since=told["cursor"], wait_s=300)
        assert not waiting.done()
        agent.release()
        assert waiting.result(20)["cursor"] > told["cursor"]


def test_a_wait_sends_progress_and_ends_in_time(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    heard: list[str] = []

    async def hear(_progress: float, _total: float | None, message: str | None) -> None:
        heard.append(message or "")

    async def watch(url: str, run_id: str, since: int) -> None:
        async with connect(url, None) as caller:
            await caller.client.call_tool(
                "status", {"run_id": run_id, "since": since, "wait_s": 3}, progress_callback=hear
            )

    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        told = foreman.until(
            run_id, lambda told: told["recent_actions"] and [one["what"] for one in told["verdicts"]] == ["base"]
        )
        asyncio.run(asyncio.wait_for(watch(foreman.url, run_id, told["cursor"]), 20))
        agent.release()
    assert heard
    assert all("widgets #1" in message for message in heard)


def test_the_clocks_move_with_the_agent_and_a_look_at_a_run_touches_no_forge(state: Path, source: Path) -> None:
    go = threading.Event()

    def first(agent: AgentAtWork) -> None:
        says_hello(agent)
        go.wait(20)
        says_hello(agent, "other.py")

    def then(agent: AgentAtWork) -> None:
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        agent.result()

    agent = Held(first=first, then=then)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        before = foreman.until(run_id, lambda told: told["last_agent_event_at"])
        (state / "forge").rename(state / "away")
        house.containers.down = True
        assert foreman.call("status", run_id=run_id)["phase"] == "agent"
        assert foreman.call("list_runs")["runs"][0]["run_id"] == run_id
        house.containers.down = False
        go.set()
        # A look reads the run first and its events after: one may already tell what the other does not yet.
        after = foreman.until(run_id, lambda told: told["last_agent_event_at"] > before["last_agent_event_at"])
        assert "Write other.py" in after["recent_actions"]
        assert after["last_harness_event_at"] >= after["last_agent_event_at"]
        (state / "away").rename(state / "forge")
        agent.release()
        foreman.at_rest(run_id)


def test_a_look_is_one_transaction_of_the_records(state: Path, source: Path) -> None:
    agent, here, begun = held(RIGHT), threading.get_ident(), list[str]()

    def begins(connection: sa.Connection) -> None:
        if threading.get_ident() == here and str(connection.engine.url).endswith("/ashigaru.db"):
            begun.append("a transaction")

    house = house_of(state, {1: agent}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        foreman.until(run_id, lambda told: told["recent_actions"])
        sa.event.listen(Engine, "begin", begins)
        try:
            foreman.daemon.service.status(run_id)
        finally:
            sa.event.remove(Engine, "begin", begins)
        agent.release()
    assert begun == ["a transaction"]


@pytest.mark.parametrize(
    ("arguments", "about"),
    [({"run_id": "nobody"}, "nobody"), ({"run_id": "../x"}, "run_id"), ({"run_id": "a", "wait_s": 301}, "wait_s")],
)
def test_a_look_that_makes_no_sense_is_a_sentence(state: Path, arguments: dict[str, object], about: str) -> None:
    house = house_of(state, {}, passes_when(RIGHT))
    with house.daemon() as foreman, pytest.raises(CallRefused, match=about):
        foreman.call("status", **arguments)


def test_a_run_that_was_claimed_and_never_enqueued_is_enqueued_at_the_next_start(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        service: Service = foreman.daemon.service
        service._submit = lambda _input: None  # type: ignore[method-assign]
        run_id = foreman.work()
        assert foreman.call("status", run_id=run_id)["phase"] == "queued"
        assert foreman.work() == run_id
    assert house.containers.started == []
    with house.daemon() as foreman:
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert len(started(house, Role.AGENT)) == 1


def test_a_round_that_dies_of_a_fault_of_ours_says_so_and_leaves_nothing_running(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT))

    def faulty(_input: object, step: object, _fact: object) -> None:
        if type(step).__name__ == "Prepare":
            raise ZeroDivisionError

    house.witness = faulty
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "escalated"
        assert "fault of the daemon" in told["reason"]
        assert house.containers.listing() == ()
        house.witness = None
        assert foreman.work() != run_id


def test_two_daemons_do_not_share_a_state_directory(state: Path) -> None:
    house = house_of(state, {}, passes_when(RIGHT))
    with house.daemon(), pytest.raises(ConfigError, match="Another daemon"), house.daemon():
        pass
