"""The daemon behind a plain reverse proxy that rewrites Host and filters tools, as an MCP gateway does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import pytest
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.loopback import listening
from tests.story.house import DEADLINE_S, House
from tests.story.scenes import RIGHT, house_of, passes_when, writes

# Whole daemons.
pytestmark = pytest.mark.slow

Wire = Literal["legacy", "2026-07-28"]
WIRES: list[Wire] = ["legacy", "2026-07-28"]
TOKEN: Final = "tok-gateway"
HIDDEN: Final = frozenset({"promote", "cancel"})
HOP: Final = frozenset({"host", "connection", "keep-alive", "transfer-encoding", "content-length", "authorization"})
"""What a proxy does not pass on; the gateway has a token of its own and shows nobody else's."""


def without_hidden(line: str) -> str:
    """A line of an answer (JSON, or an event's data) without the tools that the gateway keeps to itself."""
    head, brace, rest = line.partition("{")
    if not brace or '"tools"' not in rest:
        return line
    message = json.loads(brace + rest)
    tools = message.get("result", {}).get("tools", [])
    message["result"]["tools"] = [tool for tool in tools if tool["name"] not in HIDDEN]
    return head + json.dumps(message)


def gateway(upstream: str, rename: Callable[[str], str]) -> Starlette:
    """A proxy of `upstream`/mcp; rename(host) is the Host that it shows there."""
    web = httpx.AsyncClient(base_url=upstream, timeout=DEADLINE_S)

    async def passed(request: Request) -> Response:
        body = await request.body()
        asked = json.loads(body) if body else {}
        if asked.get("method") == "tools/call" and asked["params"]["name"] in HIDDEN:
            refused = {"code": -32602, "message": "That tool is not offered here."}
            return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "error": refused})
        headers = {name: value for name, value in request.headers.items() if name not in HOP}
        headers |= {"host": rename(request.headers["host"]), "authorization": f"Bearer {TOKEN}"}
        headers |= {"x-forwarded-host": request.headers["host"], "x-forwarded-for": "192.0.2.9"}
        asking = web.build_request(request.method, "/mcp", content=body, headers=headers)
        answer = await web.send(asking, stream=True)

        async def lines() -> AsyncIterator[str]:
            async for line in answer.aiter_lines():
                yield without_hidden(line) + "\n"
            await answer.aclose()

        kept = {name: value for name, value in answer.headers.items() if name not in HOP}
        return StreamingResponse(lines(), answer.status_code, kept)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with web:
            yield

    return Starlette(routes=[Route("/mcp", passed, methods=["GET", "POST", "DELETE"])], lifespan=lifespan)


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    listener = listening()
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    with listener:
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture
def house(state: Path) -> House:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    # As in a container: it listens everywhere, and a name is all that the gateway knows of it.
    house.changes |= {"host": "0.0.0.0", "mcp_token": TOKEN, "allowed_hosts": ("ashigaru.internal",)}  # noqa: S104
    return house


@pytest.mark.parametrize("wire", WIRES)
def test_a_ticket_is_worked_through_a_gateway_that_renames_the_host_and_hides_tools(
    house: House, source: Path, wire: Wire
) -> None:
    async def foreman(url: str) -> None:
        async with Client(streamable_http_client(f"{url}/mcp"), mode=wire) as client:
            shown = {tool.name for tool in (await client.list_tools()).tools}
            assert "work_ticket" in shown
            assert not shown & HIDDEN

            async def call(tool: str, **arguments: Any) -> dict[str, Any]:
                result = await client.call_tool(tool, arguments)
                assert not result.is_error, result.content
                return dict(result.structured_content or {})

            ticket = await call("work_ticket", repo="widgets", issue=1, brief="Totals are off by one.")
            told = await call("status", run_id=ticket["run_id"])
            while told["phase"] != "awaiting_review":
                told = await call("status", run_id=ticket["run_id"], since=told["cursor"], wait_s=5)
            with pytest.raises(Exception, match="not offered here"):
                await client.call_tool("promote", {"repo": "widgets", "pr": 1})
            assert (await call("list_runs"))["runs"][0]["status"] == "awaiting_review"

    with house.daemon() as inside:
        inside.daemon.forge.add(str(source), "widgets")
        upstream = inside.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - where the story listens
        with serving(gateway(upstream, lambda _host: "ashigaru.internal")) as url:
            asyncio.run(asyncio.wait_for(foreman(url), DEADLINE_S))


@pytest.mark.parametrize("shown", ["evil.example", "ashigaru.internal.evil.example", "0.0.0.0"])  # noqa: S104
def test_a_gateway_that_shows_a_name_that_is_not_ours_is_turned_away(house: House, shown: str) -> None:
    with house.daemon() as inside:
        upstream = inside.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - where the story listens
        with serving(gateway(upstream, lambda _host: shown)) as url:
            assert httpx.post(f"{url}/mcp", json={}, timeout=DEADLINE_S).status_code == 421


def test_what_a_proxy_says_of_the_client_is_not_who_asks(house: House) -> None:
    """Headers that name a client, a user or a scheme are nobody's credential."""
    claims = {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-user": "operator",
        "x-forwarded-host": "127.0.0.1",
        "forwarded": "for=127.0.0.1;host=127.0.0.1",
        "x-real-ip": "127.0.0.1",
        "remote-user": "operator",
        "ashigaru.caller": "operator",
        "proxy-authorization": f"Bearer {TOKEN}",
        "cookie": f"token={TOKEN}",
    }
    with house.daemon() as inside:
        upstream = inside.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - where the story listens
        for name, value in claims.items():
            headers = {"host": "ashigaru.internal", name: value}
            assert httpx.post(f"{upstream}/mcp", json={}, headers=headers).status_code == 401, name
        asked = httpx.post(f"{upstream}/mcp?token={TOKEN}&access_token={TOKEN}", json={})
        assert asked.status_code == 401
