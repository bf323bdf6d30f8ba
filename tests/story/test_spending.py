"""Money, through the whole daemon and its real gateway: budgets of the day, warnings, and the halt of all spending."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from mcp_ashigaru.stores import open_spending
from runner.sandboxes import Role
from runner.spending import DAY_S, Halt, next_day_at
from tests.fakes.behaviours import AgentAtWork, Behaviour, Held, works
from tests.story.house import Foreman, House
from tests.story.scenes import RIGHT, WRONG, house_of, passes_when, says_hello, started

pytestmark = pytest.mark.slow

NOON = 20_000 * DAY_S + 43_200.0
# 100,000 output tokens of a sonnet: a dollar and a half for each answer.
ANSWER = 1_500_000
CASSETTE = """
version = 1
[[script]]
[[script.turn]]
text = "Yes."
usage = { output_tokens = 100000 }
"""


@dataclass(kw_only=True)
class Noon:
    """The system's clock, but for the date: noon of some day, until a test turns it."""

    at: float = NOON

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:

        return time.monotonic()

    def sleep(self, seconds: float) -> None:

        time.sleep(seconds)


def asks(agent: AgentAtWork, model: str = "claude-sonnet-5-5", **changes: Any) -> httpx.Response:
    """One question as Claude Code asks it, past the relay."""
    relay = agent.inside.spec.relay
    assert relay is not None
    with httpx.Client(transport=httpx.HTTPTransport(uds=f"{relay.socket_dir}/model.sock"), timeout=20) as client:
        body = {"model": model, "max_tokens": 100, "tools": [{"name": "Read"}], "messages": []} | changes
        shown = {"x-api-key": str(agent.launch["environment"]["ANTHROPIC_API_KEY"])}
        return client.post("http://gateway/v1/messages?beta=true", json=body, headers=shown)


def fails(agent: AgentAtWork, answer: httpx.Response) -> int:
    """End as Claude Code does on an error that it does not try again."""
    agent.result(
        is_error=True,
        terminal_reason="api_error",
        api_error_status=answer.status_code,
        result=f"API Error: {answer.status_code} {answer.text}",
    )
    return 1


def spends(times: int, text: str = RIGHT, told: list[str] | None = None) -> Behaviour:
    """An agent that writes `text`, asks that often, and is done if every question was answered."""

    def work(agent: AgentAtWork) -> int:
        says_hello(agent)
        if told is not None:
            told.append((agent.tree / "total.py").read_text(encoding="utf-8"))
        (agent.tree / "total.py").write_text(text, encoding="utf-8")
        for _ in range(times):
            answer = asks(agent)
            if answer.status_code != 200:
                return fails(agent, answer)
        agent.result()
        return 0

    return works(work)


def spending_house(state: Path, agents: dict[int, Behaviour], **changes: Any) -> House:
    (state / "play.toml").write_text(CASSETTE, encoding="utf-8")
    house = house_of(state, agents, passes_when(RIGHT), model_upstream=f"replay:{state / 'play.toml'}", **changes)
    house.real_gateway = True
    return house


def switch(house: House, turn: Callable[[Any], object]) -> object:
    """What `mcp-ashigaru halt` and `resume` do, with no daemon asked."""
    with open_spending(house.settings(1)) as books:
        return turn(books)


def hasten(foreman: Foreman, run_id: str) -> None:
    service = foreman.daemon.service
    service._rounds.hasten(run_id, service._known(run_id).round)


def test_a_day_without_money_makes_runs_wait_until_it_turns_and_keeps_their_work(state: Path, source: Path) -> None:
    seen: list[str] = []
    agents = {1: spends(9, WRONG), 2: spends(1, RIGHT, seen)}
    house = spending_house(state, agents, day_micro_usd=2 * ANSWER)
    house.clock = clock = Noon()
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "waiting"
        assert "budget of the day" in told["reason"]
        assert foreman.daemon.service._known(run_id).retry_at == next_day_at(NOON)
        assert told["day_micro_usd"] == 2 * ANSWER
        assert "Today $3.00 of $3.00" in told["headline"]
        assert [one["kind"] for one in told["notices"]] == ["budget"]
        # Another ticket of that day waits too, and no agent is started for it.
        other = foreman.work(issue=2)
        assert foreman.at_rest(other)["phase"] == "waiting"
        assert len(started(house, Role.AGENT)) == 1
        clock.at = next_day_at(NOON)
        hasten(foreman, run_id)
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
    assert [(one["tier"], one["ending"]) for one in told["tiers_tried"]] == [
        ("small", "day_budget"),
        ("small", "completed"),
    ]
    assert seen == [WRONG], "the work of the day before was lost"
    assert told["spent_micro_usd"] == 3 * ANSWER


def test_a_repositorys_day_holds_up_no_other_repository(state: Path, source: Path) -> None:
    house = spending_house(state, {1: spends(2)}, repo_day_micro_usd=ANSWER)
    with house.daemon() as foreman:
        for name in ("widgets", "gears"):
            foreman.daemon.forge.add(str(source), name)
        for name in ("widgets", "gears"):
            told = foreman.at_rest(foreman.work(repo=name))
            assert told["tiers_tried"][0]["ending"] == "repo_budget"
            assert "repository's budget" in told["reason"]


def test_a_halt_refuses_the_next_request_starts_nothing_survives_a_restart_and_ends(state: Path, source: Path) -> None:
    answers: list[int] = []
    seen: list[str] = []

    def first(agent: AgentAtWork) -> None:
        says_hello(agent)
        answers.append(asks(agent).status_code)
        (agent.tree / "total.py").write_text(WRONG, encoding="utf-8")

    def then(agent: AgentAtWork) -> int:
        answer = asks(agent)
        answers.append(answer.status_code)
        return fails(agent, answer)

    agent = Held(first=first, then=then)
    house = spending_house(state, {1: agent, 2: spends(1, RIGHT, seen)})
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        halted = switch(house, lambda books: books.halt("The bill looks odd."))
        assert isinstance(halted, Halt)
        agent.release()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "waiting"
        assert answers == [200, 400]
        assert "The bill looks odd" in told["headline"]
        assert (told["halted"], "mcp-ashigaru resume" in told["next"]) == ("The bill looks odd.", True)
        other = foreman.work(issue=2)
        assert foreman.at_rest(other)["phase"] == "waiting"
        assert house.containers.listing() == (), "what was made ahead for an agent that may not begin is left"
        assert "halted" in foreman.call("list_runs")["day"]
    with house.daemon() as foreman:
        assert foreman.call("status", run_id=run_id)["phase"] == "waiting"
        assert len(started(house, Role.AGENT)) == 1
        assert switch(house, lambda books: books.resume()) is True
        for one in (run_id, other):
            foreman.until(one, lambda told: told["phase"] == "awaiting_review")
        told = foreman.call("status", run_id=run_id)
    assert sorted(seen) == ["total = 0\n", WRONG], "the work from before the halt was lost"
    assert [one["ending"] for one in told["tiers_tried"]] == ["halted", "completed"]


def test_an_agent_that_asks_for_a_dearer_model_gets_none_and_costs_nothing(state: Path, source: Path) -> None:
    answers: list[tuple[int, str]] = []

    def work(agent: AgentAtWork) -> int:
        says_hello(agent)
        for changes in ({"model": "claude-opus-5-5"}, {"output_config": {"effort": "max"}}, {"speed": "fast"}):
            answer = asks(agent, **changes)
            answers.append((answer.status_code, json.loads(answer.text)["error"]["type"]))
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        agent.result()
        return 0

    house = spending_house(state, {1: works(work)})
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert answers == [(400, "invalid_request_error")] * 3
    assert told["spent_micro_usd"] == 0
