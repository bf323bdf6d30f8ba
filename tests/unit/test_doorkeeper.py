"""Who may come in: Host, Origin and token, for every route, /mcp and beside it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Send
from starlette.types import Scope as HttpScope

from mcp_ashigaru.web.body import Lacking, impatient, whole_body
from mcp_ashigaru.web.door import MCP_BODY, OTHER_BODY, WEBHOOK_BODY, Guard, Names, terms_of
from mcp_ashigaru.web.doorkeeper import Door, Doorkeeper
from mcp_ashigaru.web.pages import PullPages, render, routes
from runner.adapters.git_http import git_http_app
from runner.callers import OPERATOR, Caller, Scope
from runner.errors import RecordsFault, UnknownRepo
from runner.model import Pull
from runner.talk import Talk
from tests.fakes.pulls import a_pull

PATHS = (
    "/mcp",
    "/mcp/",
    "/healthz",
    "/forge/a/b/pulls/1",
    "/forge/a.git/info/refs?service=git-upload-pack",
    "/nowhere",
)
TOKEN = "tok-n"
SCRIPT = "<script>alert(1)</script>"


KNOWN = {
    TOKEN: OPERATOR,
    "tok-dispatch": Caller(name="bot", scopes=frozenset({Scope.DISPATCH})),
    "tok-own": Caller(name="bot", scopes=frozenset(Scope), own_runs=True),
}


def known(shown: str) -> Caller | None:
    if shown == "tok-trouble":
        raise RecordsFault("The records database did not take part; check its disk and its rights.")
    return KNOWN.get(shown)


def door(host: str, extra: tuple[str, ...] = (), *, ask_nobody: bool = False) -> Door:
    return Door(names=Names.of_listener(host, extra), caller=known, ask_nobody=ask_nobody, body_s=0.1)


def house(door: Door, tmp_path: Path) -> Doorkeeper:
    async def mcp(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"mcp{len(await request.body()) or ''}")

    def found(repo: str, number: int) -> Pull | None:
        if repo != "a/b":
            raise UnknownRepo(f"There is no repository {repo}; see `mcp-ashigaru forge add`.")
        return a_pull(repo="a/b", title=SCRIPT, body=SCRIPT) if number == 1 else None

    pages = routes(
        PullPages(
            pull=found,
            diff=lambda _repo, _number: f"+{SCRIPT}\n-&amp;",
            talk=lambda _repo, _number: Talk(labels=(SCRIPT,)),
            sees=lambda caller, _repo, _number: not caller.own_runs,
        )
    )
    app = Starlette(routes=[Route("/mcp", mcp, methods=["GET", "POST"]), Route("/mcp/", mcp), *pages])
    app.mount("/forge", git_http_app(tmp_path, "secret"))
    return Doorkeeper(app, door)


def send(
    app: Doorkeeper,
    path: str,
    headers: list[tuple[str, str]],
    *,
    method: str = "GET",
    content: bytes | AsyncIterator[bytes] | None = None,
) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8020") as client:
            raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
            return await client.request(method, path, headers=raw, content=content)

    return asyncio.run(asyncio.wait_for(once(), 20))


def ask(
    app: Doorkeeper,
    path: str,
    *,
    method: str = "GET",
    content: bytes | AsyncIterator[bytes] | None = None,
    **shown: str,
) -> httpx.Response:
    return send(app, path, list(shown.items()), method=method, content=content)


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


@pytest.fixture
def here(tmp_path: Path) -> Doorkeeper:
    return house(door("127.0.0.1", ("box.example:8443", "Named.Example"), ask_nobody=True), tmp_path)


@pytest.fixture
def guarded(tmp_path: Path) -> Doorkeeper:
    return house(door("192.0.2.7"), tmp_path)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8020", "", "box.example", "a@b"]
)
def test_a_foreign_host_is_refused_on_every_route(here: Doorkeeper, path: str, host: str) -> None:
    assert ask(here, path, host=host).status_code == 421


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://evil.example:8020", "http://[", "file://"])
def test_a_foreign_origin_is_refused_on_every_route(here: Doorkeeper, path: str, origin: str) -> None:
    assert ask(here, path, origin=origin).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8020",
        "localhost:1",
        "LOCALHOST",
        "[::1]:8020",
        "[::1]",
        "box.example:8443",
        "named.example",
    ],
)
def test_our_own_names_are_let_in_with_or_without_their_port(here: Doorkeeper, host: str) -> None:
    assert ask(here, "/healthz", host=host).json() == {"status": "ok"}
    assert ask(here, "/mcp", origin=f"http://{host}").text == "mcp"


def test_a_daemon_that_listens_everywhere_does_not_answer_to_the_wildcard(tmp_path: Path) -> None:
    everywhere = house(door("0.0.0.0"), tmp_path)  # noqa: S104 - nothing is bound
    assert ask(everywhere, "/healthz", host="0.0.0.0").status_code == 421  # noqa: S104 - same
    assert ask(everywhere, "/healthz", host="localhost").status_code == 200


def test_the_address_that_is_listened_on_is_a_name_of_ours(guarded: Doorkeeper) -> None:
    assert ask(guarded, "/healthz", host="192.0.2.7:8020").status_code == 200


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/forge/a/b/pulls/1"])
@pytest.mark.parametrize(
    "shown",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", TOKEN, "Basic !", f"Basic {TOKEN}", "Bearer é"],
)
def test_without_the_token_there_is_a_challenge_and_nothing_else(
    guarded: Doorkeeper, path: str, shown: str | None
) -> None:
    answer = send(guarded, path, [] if shown is None else [("authorization", shown)])
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer" if path.startswith("/mcp") else "Basic ")
    assert "alert" not in answer.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_token_opens_mcp_and_the_pages(guarded: Doorkeeper, scheme: str) -> None:
    assert ask(guarded, "/mcp", authorization=f"{scheme} {TOKEN}").text == "mcp"
    assert ask(guarded, "/forge/a/b/pulls/1", authorization=f"{scheme} {TOKEN}").status_code == 200


def test_a_browser_may_show_the_token_as_a_password_on_pages_and_only_there(guarded: Doorkeeper) -> None:
    basic = "Basic " + base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    assert ask(guarded, "/forge/a/b/pulls/1", authorization=basic).status_code == 200
    assert ask(guarded, "/mcp", authorization=basic).status_code == 401
    assert ask(guarded, "/forge/a.git/info/refs?service=git-upload-pack", authorization=basic).status_code == 401


def test_health_needs_no_token(guarded: Doorkeeper) -> None:
    assert ask(guarded, "/healthz").json() == {"status": "ok"}


def test_a_pull_request_with_a_script_in_every_field_is_shown_as_text(here: Doorkeeper) -> None:
    answer = ask(here, "/forge/a/b/pulls/1")
    assert answer.status_code == 200
    assert "<script" not in answer.text.lower()
    assert answer.text.count("&lt;script&gt;alert(1)") == 5
    assert "-&amp;amp;" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("field", ["title", "body", "head_branch", "base_branch"])
def test_every_word_of_a_pull_request_is_escaped(field: str) -> None:
    hostile = "\"'><img src=x onerror=alert(1)>{title}"
    page = render(a_pull(repo="a/b", **{field: hostile}), hostile, Talk())
    assert "<img" not in page
    assert page.count("{title}") >= 2


@pytest.mark.parametrize("path", ["/forge/a/b/pulls/2", "/forge/other/pulls/1", "/forge/../../etc/passwd/pulls/1"])
def test_a_pull_request_that_is_not_there_is_a_plain_404(here: Doorkeeper, path: str) -> None:
    answer = ask(here, path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/mcp2", "/healthz/", "/HEALTHZ", "//healthz", "/webhooks", "/metrics"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "DELETE", "PURGE"])
def test_what_is_not_named_wants_a_token_whether_it_is_there_or_not(
    guarded: Doorkeeper, path: str, method: str
) -> None:
    assert ask(guarded, path, method=method).status_code == 401
    assert ask(guarded, path, method=method, authorization=f"Bearer {TOKEN}").status_code in {404, 307}


@pytest.mark.parametrize("shown", ["Bearer nobody", "Bearer ", "Basic eDp5", "Digest x", ""])
def test_a_token_that_is_wrong_is_refused_where_none_would_be_asked(here: Doorkeeper, shown: str) -> None:
    assert ask(here, "/mcp").text == "mcp"
    answer = ask(here, "/mcp", authorization=shown)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("name", ["host", "origin", "authorization"])
def test_a_header_that_is_sent_twice_names_nobody(guarded: Doorkeeper, name: str) -> None:
    own = {"host": "127.0.0.1", "origin": "http://127.0.0.1", "authorization": f"Bearer {TOKEN}"}
    rest = [(key, value) for key, value in own.items() if key != name]
    assert send(guarded, "/mcp", [*rest, (name, own[name])]).status_code == 200
    twice = send(guarded, "/mcp", [*rest, (name, own[name]), (name, own[name])])
    assert twice.status_code == {"host": 421, "origin": 403, "authorization": 401}[name]


def test_a_token_without_the_scope_is_told_so_at_the_pages(guarded: Doorkeeper) -> None:
    answer = ask(guarded, "/forge/a/b/pulls/1", authorization="Bearer tok-dispatch")
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="read"'
    assert "alert" not in answer.text


def test_a_page_of_anothers_run_is_as_one_that_is_not_there(guarded: Doorkeeper) -> None:
    others, none = (ask(guarded, f"/forge/a/b/pulls/{number}", authorization="Bearer tok-own") for number in (1, 2))
    assert others.status_code == none.status_code == 404
    assert others.text == none.text


def test_records_that_are_away_let_nobody_in(guarded: Doorkeeper) -> None:
    answer = ask(guarded, "/mcp", authorization="Bearer tok-trouble")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


LARGEST = {"/mcp": MCP_BODY, "/mcp/": MCP_BODY, "/webhooks/github": WEBHOOK_BODY, "/healthz": OTHER_BODY}


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("path", LARGEST)
def test_a_body_above_its_bound_is_refused_before_a_route_sees_it(
    here: Doorkeeper, path: str, *, chunked: bool
) -> None:
    for size, refused in ((LARGEST[path], False), (LARGEST[path] + 1, True)):
        body = b"x" * size
        answer = ask(here, path, method="POST", content=pieces(body) if chunked else body)
        assert (answer.status_code == 413) is refused
        if refused:
            assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("declared", ["-1", "1e3", "99999999999999999999999999", "4194305", "\u0664"])
def test_a_length_that_is_none_or_too_large_is_refused_unread(declared: str) -> None:
    async def never() -> Message:
        raise AssertionError("it was read")

    read = asyncio.run(whole_body(never, declared, max_bytes=MCP_BODY, within_s=1))
    assert read is Lacking.TOO_LARGE


def test_nothing_of_a_body_is_read_for_who_may_not_come_in(guarded: Doorkeeper) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    assert ask(guarded, "/mcp", method="POST", content=never()).status_code == 401


@pytest.mark.parametrize("path", ["/mcp", "/webhooks/github", "/healthz"])
def test_a_body_that_does_not_come_is_not_waited_for(here: Doorkeeper, path: str) -> None:
    async def stalls() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    answer = ask(here, path, method="POST", content=stalls())
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"


def test_a_piece_that_does_not_come_ends_a_body_that_is_read_as_it_comes() -> None:
    said = [{"type": "http.request", "body": b"a", "more_body": True}]

    async def receive() -> Message:
        if not said:
            await asyncio.Event().wait()
        return said.pop()

    async def read() -> list[str]:
        patient = impatient(receive, 0.01)
        return [(await patient())["type"] for _ in range(2)]

    assert asyncio.run(asyncio.wait_for(read(), 10)) == ["http.request", "http.disconnect"]


def test_git_is_not_fed_for_ever_by_a_client_who_stalls() -> None:
    ended: list[str] = []

    async def git(_scope: HttpScope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request":
            assert message["body"] == b"{"
        ended.append(message["type"])
        await PlainTextResponse("half", 400)(_scope, receive, send)

    keeper = Doorkeeper(git, door("127.0.0.1"))

    async def push() -> None:
        sent = iter([{"type": "http.request", "body": b"{", "more_body": True}])

        async def receive() -> Message:
            for message in sent:
                return message
            await asyncio.Event().wait()
            raise AssertionError

        async def send(_message: Message) -> None:
            return

        scope = {"type": "http", "method": "POST", "path": "/forge/a.git/git-receive-pack"}
        await keeper(scope | {"headers": [(b"host", b"127.0.0.1")]}, receive, send)

    asyncio.run(asyncio.wait_for(push(), 20))
    assert ended == ["http.disconnect"]


def test_a_websocket_is_closed_before_it_is_open(here: Doorkeeper) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def keep(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/mcp", "headers": [(b"host", b"127.0.0.1")]}
    asyncio.run(here(scope, receive, keep))
    assert [message["type"] for message in sent] == ["websocket.close"]


@given(path=st.text(max_size=60).map(lambda text: f"/{text}"))
def test_nothing_but_what_is_named_is_open(path: str) -> None:
    assert (terms_of(path).guard in {Guard.NOTHING, Guard.ITS_OWN}) == (path in {"/healthz", "/webhooks/github"})
