"""The model API fails in every way it can, under the real daemon and the real Claude Code: nobody's tier is burned."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mcp_ashigaru.settings import load_settings
from mcp_ashigaru.stores import open_spending
from tests.fakes.messages_api import ScriptedApi, scripted_api
from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.real_daemon import RealDaemon
from tests.story.house import repository

pytestmark = [pytest.mark.podman, pytest.mark.timeout(300)]

KEY = "sk-the-real-one"
LADDER = [
    {
        "name": name,
        "model": model,
        "effort": "medium",
        "max_turns": 9,
        "max_micro_usd": 5_000_000,
        "wall_s": 240,
        "idle_s": 30,
    }
    for name, model in (("small", "sonnet"), ("large", "opus"))
]
GATE = '[[gate]]\nname = "test"\nrun = "true"\n'
ENDINGS = {
    "case-401": "auth",
    "case-429": "quota",
    "case-500": "overloaded",
    "case-529": "overloaded",
    "case-silent": "network",
    "case-cut": "network",
    "case-breaks-down": "overloaded",
    "case-well": "completed",
}


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as api:
        yield api


@pytest.fixture
def daemon(podman_host: PodmanLab, api: ScriptedApi) -> Iterator[RealDaemon]:
    source = repository(podman_host.home / "source", {"total.py": "total = 0\n", ".ashigaru.toml": GATE})
    daemon = RealDaemon(
        lab=podman_host,
        cassette=podman_host.home / "none",
        changes={
            "ASHIGARU_MODEL_UPSTREAM": "anthropic",
            "ASHIGARU_MODEL_URL": api.url,
            "ANTHROPIC_API_KEY": KEY,
            "ASHIGARU_LADDER": json.dumps(LADDER),
            "ASHIGARU_SLOTS": "8",
        },
    )
    daemon.state.mkdir()
    daemon.forge().add(str(source), "widgets")
    daemon.start()
    yield daemon
    daemon.stop()


def work(daemon: RealDaemon, issue: int, brief: str) -> str:
    ticket = daemon.call("work_ticket", repo="widgets", issue=issue, brief=f"Totals are off by one. {brief}")
    return str(ticket["run_id"])


def test_whatever_the_upstream_does_a_run_waits_at_its_tier(daemon: RealDaemon, api: ScriptedApi) -> None:
    runs = {case: work(daemon, number, case) for number, case in enumerate(ENDINGS, start=1)}
    with ThreadPoolExecutor(len(runs)) as pool:
        told = dict(zip(runs, pool.map(daemon.at_rest, runs.values()), strict=True))
    for case, ending in ENDINGS.items():
        tried = [(one["tier"], one["ending"]) for one in told[case]["tiers_tried"]]
        assert tried == [("small", ending)], f"{case}: {told[case]}\n{daemon.log()}"
        wanted = "awaiting_review" if case == "case-well" else "waiting"
        assert told[case]["phase"] == wanted, f"{case}: {told[case]}"
    assert "credential" in told["case-401"]["reason"]
    assert api.keys == {KEY}
    assert KEY not in daemon.log()


def test_a_halt_stops_the_real_agent_at_its_next_request_and_it_goes_on_when_it_is_over(
    daemon: RealDaemon, api: ScriptedApi
) -> None:
    settings = load_settings(state_dir=daemon.state, port=daemon.port)
    run_id = work(daemon, 1, "case-waits")
    assert api.held.wait(60), daemon.log()
    with open_spending(settings) as books:
        books.halt("The bill looks odd.")
        api.go_on.set()
        told = daemon.at_rest(run_id)
        assert (told["phase"], told["tiers_tried"][0]["ending"]) == ("waiting", "halted"), (told, daemon.log())
        assert api.asked == {"case-waits": 1}
        assert books.resume()
    deadline = time.monotonic() + 90
    while (told := daemon.call("status", run_id=run_id))["phase"] != "awaiting_review":
        assert time.monotonic() < deadline, (told, daemon.log())
        daemon.call("status", run_id=run_id, since=told["cursor"], wait_s=2)
    assert [one["ending"] for one in told["tiers_tried"]] == ["halted", "completed"]


def test_a_question_that_a_killed_daemon_had_asked_stays_on_the_books(daemon: RealDaemon, api: ScriptedApi) -> None:
    run_id = work(daemon, 1, "case-waits")
    assert api.held.wait(60), daemon.log()
    assert daemon.call("list_runs")["day_micro_usd"] > 100_000, "what it may cost is promised before it is asked"
    daemon.kill()
    api.go_on.set()
    daemon.start()
    told = daemon.at_rest(run_id)
    assert [one["ending"] for one in told["tiers_tried"]] == ["completed"], (told, daemon.log())
    # The three answers are short and cost next to nothing; the estimate of the one that was lost counts whole.
    assert told["spent_micro_usd"] == told["day_micro_usd"] > 100_000
    assert "questions were under way" in daemon.log()
