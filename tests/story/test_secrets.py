"""Secrets do not leave: neither the daemon's own, which end a run for good, nor what looks like anybody's."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mcp_ashigaru.client import CallRefused
from mcp_ashigaru.state_dir import canary_of
from tests.fakes.behaviours import AgentAtWork, Behaviour, judges, works
from tests.story.house import Foreman, House
from tests.story.scenes import RIGHT, WRONG, branches, house_of, passes_when, says_hello, writes

pytestmark = pytest.mark.slow

TOKEN = "ops-0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX"
AWS = "AKIA" + "Q3EGPZWYNOTK4R7M"


def leaves(text: Callable[[AgentAtWork], str], *, name: str = "total.py", says: str = "Done.") -> Behaviour:
    """An agent that leaves that text behind."""

    def work(agent: AgentAtWork) -> None:
        says_hello(agent)
        (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
        (agent.tree / name).parent.mkdir(parents=True, exist_ok=True)
        with (agent.tree / name).open("a", encoding="utf-8") as file:
            file.write(text(agent))
        agent.result(result=says)

    return works(work)


def says(agent: AgentAtWork, text: str) -> None:
    block = {"type": "text", "text": text}
    agent.event({"type": "assistant", "message": {"model": "claude-x", "content": [block]}})


def watched(state: Path, agents: dict[int, Behaviour]) -> House:
    house = house_of(state, agents, passes_when("total"))
    house.changes = {"github_webhook_secret": SecretStr(TOKEN)}
    return house


def everything_told(foreman: Foreman, run_id: str) -> str:
    """Whatever a foreman can read of the run."""
    told: list[Any] = [foreman.call("status", run_id=run_id), foreman.call("logs", run_id=run_id)]
    return repr([*told, foreman.call("list_runs")])


DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "backwards": lambda text: text[::-1],
    "hexadecimal": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(b"k=" + text.encode()).decode(),
    "in pieces": lambda text: "' + '".join(text[at : at + 6] for at in range(0, len(text), 6)),
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES.keys())
def test_a_run_whose_work_holds_a_secret_of_the_daemons_is_quarantined_for_good(
    state: Path, source: Path, disguise: Callable[[str], str]
) -> None:
    with watched(state, {1: leaves(lambda _: f"x = '{disguise(TOKEN)}'\n")}).daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "blocked"
        assert "quarantined" in told["reason"]
        assert "the webhook's secret" in told["reason"]
        assert "quarantined" in [one["kind"] for one in told["notices"]]
        assert branches(state) == {}
        assert len(told["tiers_tried"]) == 1
        for tool, more in (("retry", {}), ("request_changes", {"notes": "Again."})):
            with pytest.raises(CallRefused, match="quarantined"):
                foreman.call(tool, run_id=run_id, **more)
        assert TOKEN not in everything_told(foreman, run_id)
        assert disguise(TOKEN) not in everything_told(foreman, run_id)


def test_a_run_that_tells_its_canary_has_read_what_it_must_not(state: Path, source: Path) -> None:
    def reads(agent: AgentAtWork) -> str:
        (found,) = state.glob("runs/*/canary")
        canary = found.read_text(encoding="ascii")
        assert canary == canary_of(state, found.parent.name)
        says(agent, f"I found {canary}")
        return "# nothing\n"

    with watched(state, {1: leaves(reads)}).daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert (told["phase"], "the run's canary" in told["reason"]) == ("blocked", True)
        assert canary_of(state, run_id) not in everything_told(foreman, run_id)


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES.keys())
def test_a_gate_that_prints_the_canary_is_told_to_nobody_and_no_next_tier(
    state: Path, source: Path, disguise: Callable[[str], str]
) -> None:
    told_by_gate: list[str] = []

    def prints(tree: Path, _out: Path) -> tuple[int, bytes]:
        if (tree / "total.py").read_text(encoding="utf-8") != WRONG:
            return 0, b"fine\n"
        (found,) = state.glob("runs/*/canary")
        told_by_gate.append(disguise(found.read_text(encoding="ascii")))
        return 1, f"wrong total: {told_by_gate[-1]}\n".encode()

    house = house_of(state, {1: writes(WRONG), 2: writes(RIGHT)}, judges(prints))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert (told["phase"], "the run's canary" in told["reason"]) == ("blocked", True)
        assert len(told["tiers_tried"]) == 1
        assert told_by_gate[-1] not in everything_told(foreman, run_id)
        assert branches(state) == {}


def test_the_placeholder_may_be_looked_at_and_not_be_published(state: Path, source: Path) -> None:
    def shows(agent: AgentAtWork) -> str:
        placeholder = next(value for value in agent.launch["environment"].values() if value.startswith("ashigaru-"))
        says(agent, f"env says {placeholder}")
        return f"key = '{placeholder}'\n"

    with watched(state, {1: leaves(shows)}).daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
        assert (told["phase"], "placeholder" in told["reason"]) == ("blocked", True)


def test_what_looks_like_a_credential_is_told_to_the_agent_once_and_then_blocks(state: Path, source: Path) -> None:
    prompts: list[str] = []

    def again(agent: AgentAtWork) -> str:
        prompts.append(agent.prompt)
        return f"key = '{AWS}'  # pragma: allowlist secret\n"

    with watched(state, {1: leaves(again), 2: leaves(again)}).daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
        assert (told["phase"], "AWS" in told["reason"]) == ("blocked", True)
        assert AWS not in prompts[1]
        assert "'total.py', line 2" in prompts[1]
        assert branches(state) == {}
        assert AWS not in everything_told(foreman, told["run_id"])


def test_a_second_look_by_the_agent_repairs_it(state: Path, source: Path) -> None:
    agents = {1: leaves(lambda _: f"key = '{AWS}'\n"), 2: writes(RIGHT)}
    with watched(state, agents).daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        assert foreman.at_rest(foreman.work())["phase"] == "awaiting_review"


def test_a_word_in_a_test_proves_nothing(state: Path, source: Path) -> None:
    words = leaves(lambda _: "password = 'hunter2hunter2'\n", name="tests/test_login.py")
    with watched(state, {1: words}).daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        assert foreman.at_rest(foreman.work())["phase"] == "awaiting_review"


def test_a_brief_with_a_credential_is_refused_before_anything_starts(state: Path, source: Path) -> None:
    house = watched(state, {1: writes(RIGHT)})
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        for brief, why in ((f"Use the key\n{AWS}.", "line 2"), (f"Use {TOKEN}.", "own secrets")):
            with pytest.raises(CallRefused, match=why):
                foreman.work(brief=brief)
        assert foreman.at_rest(foreman.work())["phase"] == "awaiting_review"
        with pytest.raises(CallRefused, match="credential"):
            foreman.call("request_changes", run_id=foreman.call("list_runs")["runs"][0]["run_id"], notes=f"Try {AWS}")
