"""Tokens as a whole daemon keeps them: scopes, own runs, expiry, revocation; and every route behind one door."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route
from typer.testing import CliRunner

from mcp_ashigaru.cli import app
from mcp_ashigaru.client import CallRefused, connect
from mcp_ashigaru.settings import ConfigError, load_settings
from mcp_ashigaru.stores import open_tokens
from mcp_ashigaru.web.doorkeeper import Doorkeeper
from mcp_ashigaru.web.foremost import Foremost
from runner.adapters.system_clock import SystemClock
from runner.callers import mint, scopes_of
from runner.errors import BadIntent, NotPossible, RunnerError
from tests.fakes.containers import FakeContainers
from tests.story.house import DEADLINE_S, Foreman, House
from tests.story.scenes import RIGHT, house_of, passes_when, writes

# Whole daemons.
pytestmark = pytest.mark.slow

EVERYTHING = "read,dispatch,promote"
NEEDS = {
    "work_ticket": "dispatch",
    "request_changes": "dispatch",
    "retry": "dispatch",
    "cancel": "dispatch",
    "promote": "promote",
    "status": "read",
    "logs": "read",
    "diff": "read",
    "list_runs": "read",
    "ledger": "read",
}
OF_A_RUN = ("request_changes", "retry", "cancel", "status", "logs", "diff")
HELLO = {"jsonrpc": "2.0", "id": 1, "method": "initialize"} | {
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}
}
TOOLS = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
TAKES = {"accept": "application/json, text/event-stream"}


class Later(SystemClock):
    """A clock that can be set forward."""

    ahead_s: float = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


def token(state: Path, name: str, scopes: str = EVERYTHING, *, own: bool = False, life_s: float = 3600) -> str:
    kept, text = mint(name, scopes=scopes_of(scopes), own_runs=own, life_s=life_s, now=time.time())
    open_tokens(load_settings(state_dir=state)).add(kept)
    return text


def identity(text: str) -> str:
    return text.split("_")[1]


def call(foreman: Foreman, shown: str, tool: str, **arguments: Any) -> dict[str, Any]:
    async def once() -> dict[str, Any]:
        async with connect(foreman.url, shown) as caller:
            return await caller.call(tool, **arguments)

    return asyncio.run(asyncio.wait_for(once(), DEADLINE_S))


def refusal(foreman: Foreman, shown: str, tool: str, **arguments: Any) -> str:
    with pytest.raises(CallRefused) as refused:
        call(foreman, shown, tool, **arguments)
    return str(refused.value)


def knock(foreman: Foreman, shown: str | None, message: object = HELLO, **headers: str) -> httpx.Response:
    """One message to /mcp, as any client would send it."""
    bearer = {} if shown is None else {"authorization": f"Bearer {shown}"}
    return httpx.post(f"{foreman.url}/mcp", json=message, headers=TAKES | bearer | headers, timeout=DEADLINE_S)


def stands(foreman: Foreman, run_id: str) -> dict[str, Any]:
    """Where the run is; when it was last looked at left out."""
    told = foreman.call("status", run_id=run_id)
    return {name: value for name, value in told.items() if not name.endswith(("_at", "_as_of"))}


def of(tool: str, run_id: str) -> dict[str, Any]:
    """Arguments with which the tool would do something."""
    match tool:
        case "work_ticket":
            return {"repo": "widgets", "issue": 7, "brief": "Totals are off by one."}
        case "promote":
            return {"repo": "widgets", "pr": 1}
        case "list_runs" | "ledger":
            return {}
        case "request_changes":
            return {"run_id": run_id, "notes": "Shorter, please."}
        case _:
            return {"run_id": run_id}


@pytest.fixture
def house(state: Path) -> House:
    agents = dict.fromkeys(range(1, 9), writes(RIGHT))
    return house_of(state, agents, passes_when(RIGHT))


@pytest.fixture
def idle(state: Path) -> House:
    return House(state=state, containers=FakeContainers(lambda _spec: pytest.fail("nothing is started")))


@pytest.fixture
def at_review(house: House, source: Path) -> Iterator[tuple[Foreman, str]]:
    """A daemon with a run of the operator's that waits for review, and the run's id."""
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
        yield foreman, run_id


def test_each_tool_wants_its_scope_and_a_refusal_has_done_nothing(
    at_review: tuple[Foreman, str], state: Path, house: House
) -> None:
    foreman, run_id = at_review
    assert set(NEEDS) == set(of_all_tools(foreman))
    before, sandboxes = stands(foreman, run_id), len(house.containers.started)
    for lacking in ("read", "dispatch", "promote"):
        rest = ",".join(scope for scope in EVERYTHING.split(",") if scope != lacking)
        shown = token(state, f"without-{lacking}", rest)
        for tool in (tool for tool, needed in NEEDS.items() if needed == lacking):
            assert refusal(foreman, shown, tool, **of(tool, run_id)) == (
                f"Your token lacks the scope {lacking}; ask the operator for one that has it."
            )
    assert stands(foreman, run_id) == before
    assert [run["run_id"] for run in foreman.call("list_runs")["runs"]] == [run_id]
    assert len(house.containers.started) == sandboxes


def of_all_tools(foreman: Foreman) -> list[str]:
    async def once() -> list[str]:
        async with connect(foreman.url, None) as caller:
            return [tool.name for tool in (await caller.client.list_tools()).tools]

    return asyncio.run(asyncio.wait_for(once(), DEADLINE_S))


def test_a_token_with_the_scopes_does_the_whole_job_and_the_run_says_whose_it_is(house: House, source: Path) -> None:
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        shown = token(house.state, "bot", own=True)
        run_id = call(foreman, shown, "work_ticket", **of("work_ticket", ""))["run_id"]
        told = foreman.at_rest(run_id)
        mine = call(foreman, shown, "status", run_id=run_id)
        assert mine["phase"] == "awaiting_review"
        pull = told["pull"]["number"]
        assert call(foreman, shown, "promote", repo="widgets", pr=pull)["promoted"]
        (run,) = foreman.call("list_runs")["runs"]
        assert (run["owner"], run["status"]) == ("bot", "merged")


def test_anothers_run_is_told_of_in_the_words_for_one_that_is_not_there(
    at_review: tuple[Foreman, str], state: Path
) -> None:
    foreman, run_id = at_review
    before = stands(foreman, run_id)
    shown = token(state, "bot", own=True)
    unknown = "widgets-1-zzzzzz"
    for tool in OF_A_RUN:
        others = refusal(foreman, shown, tool, **of(tool, run_id))
        assert others.replace(run_id, unknown) == refusal(foreman, shown, tool, **of(tool, unknown))
        assert others.startswith("No run is called")
    theirs, none = (call(foreman, shown, "promote", repo="widgets", pr=number) for number in (1, 999))
    assert theirs | {"pr": 999} == none
    assert not theirs["promoted"]
    assert call(foreman, shown, "list_runs")["runs"] == []
    taken = refusal(foreman, shown, "work_ticket", repo="widgets", issue=1, brief="Let me see it.")
    assert run_id not in taken
    assert "operator" not in taken.removesuffix("ask the operator.")
    pages = [
        httpx.get(f"{foreman.url}/forge/widgets/pulls/{number}", headers={"authorization": f"Bearer {shown}"})
        for number in (1, 999)
    ]
    assert [page.status_code for page in pages] == [404, 404]
    assert pages[0].text == pages[1].text
    assert stands(foreman, run_id) == before


def test_who_is_held_to_their_own_runs_is_shown_those_and_the_operator_all(house: House, source: Path) -> None:
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        for issue, name in ((1, "one"), (2, "other")):
            shown = token(house.state, name, own=True)
            run_id = call(foreman, shown, "work_ticket", repo="widgets", issue=issue, brief="Off by one.")["run_id"]
            foreman.at_rest(run_id)
            (run,) = call(foreman, shown, "list_runs", limit=1)["runs"]
            assert (run["run_id"], run["owner"]) == (run_id, name)
        assert [run["owner"] for run in foreman.call("list_runs")["runs"]] == ["other", "one"]
        successor = token(house.state, "one", own=True)
        assert [run["issue"] for run in call(foreman, successor, "list_runs")["runs"]] == [1]


def test_a_token_opens_nothing_once_it_is_revoked_expired_or_not_quite_itself(idle: House) -> None:
    clock = Later()
    idle.clock = clock
    with idle.daemon() as foreman:
        revoked, expiring = token(idle.state, "bot"), token(idle.state, "brief", life_s=60)
        for shown in (revoked, expiring):
            assert knock(foreman, shown).status_code == 200
        open_tokens(load_settings(state_dir=idle.state)).revoke(identity(revoked), time.time())
        clock.ahead_s = 61
        forged = re.sub("[0-9a-f]{64}$", "0" * 64, token(idle.state, "bot"))
        unknown = f"ashigaru_{'0' * 12}_{'0' * 64}"
        for shown in (revoked, expiring, forged, unknown, unknown.upper(), "x", "operator"):
            answer = knock(foreman, shown)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
            assert answer.text == knock(foreman, unknown).text


def test_a_session_is_of_no_use_with_anothers_token(idle: House) -> None:
    with idle.daemon() as foreman:
        mine, yours = token(idle.state, "bot"), token(idle.state, "other")
        session = {"mcp-session-id": knock(foreman, mine).headers["mcp-session-id"]}
        assert knock(foreman, mine, TOOLS, **session).status_code == 200
        for shown in (yours, None):
            assert knock(foreman, shown, TOOLS, **session).status_code == 404
        assert knock(foreman, mine, TOOLS, **session).status_code == 200


def test_the_callers_of_one_session_are_told_apart_message_by_message(idle: House) -> None:
    with idle.daemon() as foreman:
        wide, narrow = token(idle.state, "bot"), token(idle.state, "bot", "promote")
        session = {"mcp-session-id": knock(foreman, wide).headers["mcp-session-id"]}
        listing = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "list_runs", "arguments": {}}}
        assert "lacks the scope" not in knock(foreman, wide, listing, **session).text
        assert "lacks the scope read" in knock(foreman, narrow, listing, **session).text


def cli(state: Path, *arguments: str, says: str = "") -> str:
    done = CliRunner().invoke(app, ["token", *arguments], env={"ASHIGARU_STATE_DIR": str(state)})
    if isinstance(done.exception, RunnerError):
        raise done.exception
    assert done.exit_code == 0, done.output
    assert says in done.stderr
    return done.stdout


def test_a_token_is_shown_once_and_kept_as_a_digest(idle: House) -> None:
    made = ("new", "--name", "bot", "--scopes", "dispatch,read", "--expires", "30d", "--own-runs")
    text = cli(idle.state, *made, says="not shown again").strip()
    with idle.daemon() as foreman:
        assert knock(foreman, text).status_code == 200
        listed = cli(idle.state, "list") + cli(idle.state, "list", "--json")
        assert identity(text) in listed
        for secret in (text, text.rsplit("_", 1)[1]):
            assert secret not in listed
            kept = [path for path in idle.state.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
            assert kept == []
        (one,) = json.loads(cli(idle.state, "list", "--json"))
        assert (one["name"], one["scopes"], one["own_runs"], one["state"]) == (
            "bot",
            ["read", "dispatch"],
            True,
            "live",
        )
        for _ in range(2):
            assert "revoked" in cli(idle.state, "revoke", identity(text))
        assert knock(foreman, text).status_code == 401
        assert "revoked" in cli(idle.state, "list")
    with pytest.raises(NotPossible, match="token list"):
        cli(idle.state, "revoke", "nobody")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--name", "operator"),
        ("--name", "No Body"),
        ("--name", ""),
        ("--scopes", "everything"),
        ("--scopes", ","),
        ("--expires", "never"),
        ("--expires", "0d"),
        ("--expires", "99999w"),
    ],
)
def test_a_token_that_would_be_unclear_is_not_made(state: Path, option: str, value: str) -> None:
    given = {"--name": "bot", "--scopes": "read", "--expires": "1d"} | {option: value}
    with pytest.raises(BadIntent, match=option.removeprefix("--")):
        cli(state, "new", *(part for pair in given.items() for part in pair))
    assert json.loads(cli(state, "list", "--json")) == []


def test_off_loopback_a_token_and_names_are_needed_and_any_token_does(idle: House) -> None:
    idle.changes = {"host": "0.0.0.0"}  # noqa: S104 - the story listens on loopback
    with pytest.raises(ConfigError, match="token new"), idle.daemon():
        raise AssertionError
    shown = token(idle.state, "bot")
    with pytest.raises(ConfigError, match="ASHIGARU_ALLOWED_HOSTS"), idle.daemon():
        raise AssertionError
    idle.changes["allowed_hosts"] = ("gateway.example",)
    with idle.daemon() as foreman:
        foreman.url = foreman.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - same
        assert knock(foreman, None, host="gateway.example").status_code == 401
        assert knock(foreman, shown, host="gateway.example").status_code == 200
        assert knock(foreman, shown, host="elsewhere.example").status_code == 421


OPEN = {"/healthz", "/webhooks/github"}


def paths(routes: list[BaseRoute]) -> list[str]:
    """A path that each of the routes would take."""
    found = []
    for route in routes:
        match route:
            case Mount(path=path):
                found += [f"{path}/", f"{path}/widgets.git/HEAD", f"{path}/widgets.git/info/refs"]
            case Route(path=path):
                found.append(re.sub(r"{[^}]*:int}", "1", re.sub(r"{[^}]*:path}", "widgets", path)))
            case _:
                raise AssertionError(f"a kind of route that the door has not been asked about: {route}")
    return found


@pytest.mark.parametrize("forge", ["local", "github"])
def test_every_route_there_is_wants_a_credential_but_health(idle: House, forge: str) -> None:
    idle.changes = {"mcp_token": "tok-n", "forge": forge}
    if forge == "github":
        idle.changes |= {"github_token": "t", "github_webhook_secret": "s", "github_url": "http://127.0.0.1:9/api"}
    with idle.daemon() as foreman:
        keeper = foreman.daemon.app
        assert isinstance(keeper, Doorkeeper)
        # Whoever is let in goes first, and whoever is not does not.
        assert isinstance(keeper.app, Foremost)
        behind = keeper.app.app
        assert isinstance(behind, Starlette)
        # As if somebody had added one and thought no further.
        behind.router.routes.insert(0, Route("/metrics", lambda _request: PlainTextResponse("runs 7")))
        walked = paths(behind.routes)
        assert {"/mcp", "/healthz"} < set(walked)
        with httpx.Client(base_url=foreman.url) as web:
            for path in walked:
                for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
                    assert web.request(method, path, headers={"host": "evil.example"}).status_code == 421
                    assert web.request(method, path, headers={"origin": "http://evil.example"}).status_code == 403
                    answer = web.request(method, path)
                    assert "runs 7" not in answer.text
                    if path not in OPEN:
                        assert answer.status_code == 401, (method, path)
            assert web.get("/healthz").json() == {"status": "ok"}
            assert web.post("/webhooks/github", content=b"{}").status_code in {401, 404}
            assert web.post("/mcp", json=HELLO, headers=TAKES | {"authorization": "Bearer tok-n"}).status_code == 200
