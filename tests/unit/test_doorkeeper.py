"""Who may come in: Host, Origin and token, for every route, /mcp and beside it."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mcp_ashigaru.web.doorkeeper import Door, Doorkeeper
from mcp_ashigaru.web.pages import PullPages, render, routes
from runner.adapters.git_http import git_http_app
from runner.errors import UnknownRepo
from runner.model import Pull, PullState
from runner.talk import Talk

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


def pull(**changes: str) -> Pull:
    told = {"title": "A title", "body": "A body", "head_branch": "b", "base_branch": "main"} | changes
    return Pull(
        repo="a/b",
        number=1,
        state=PullState.OPEN,
        draft=False,
        head_sha="c" * 40,
        url="http://x",
        base_sha="d" * 40,
        mergeable=True,
        **told,
    )


def house(door: Door, tmp_path: Path) -> Doorkeeper:
    async def mcp(_request: object) -> PlainTextResponse:
        return PlainTextResponse("mcp")

    def found(repo: str, number: int) -> Pull | None:
        if repo != "a/b":
            raise UnknownRepo(f"There is no repository {repo}; see `mcp-ashigaru forge add`.")
        return pull(title=SCRIPT, body=SCRIPT) if number == 1 else None

    pages = routes(
        PullPages(
            pull=found,
            diff=lambda _repo, _number: f"+{SCRIPT}\n-&amp;",
            talk=lambda _repo, _number: Talk(labels=(SCRIPT,)),
        )
    )
    app = Starlette(routes=[Route("/mcp", mcp, methods=["GET", "POST"]), Route("/mcp/", mcp), *pages])
    app.mount("/forge", git_http_app(tmp_path, "secret"))
    return Doorkeeper(app, door)


def ask(app: Doorkeeper, path: str, **shown: str) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8020") as client:
            headers = [(name.encode(), value.encode("latin-1")) for name, value in shown.items()]
            return await client.get(path, headers=headers)

    return asyncio.run(once())


@pytest.fixture
def here(tmp_path: Path) -> Doorkeeper:
    return house(Door.for_listener("127.0.0.1", ("box.example:8443", "Named.Example"), None), tmp_path)


@pytest.fixture
def guarded(tmp_path: Path) -> Doorkeeper:
    return house(Door.for_listener("192.0.2.7", (), TOKEN), tmp_path)


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
    everywhere = house(Door.for_listener("0.0.0.0", (), TOKEN), tmp_path)  # noqa: S104 - nothing is bound
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
    answer = ask(guarded, path, **({} if shown is None else {"authorization": shown}))
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
    page = render(pull(**{field: hostile}), hostile, Talk())
    assert "<img" not in page
    assert page.count("{title}") >= 2


@pytest.mark.parametrize("path", ["/forge/a/b/pulls/2", "/forge/other/pulls/1", "/forge/../../etc/passwd/pulls/1"])
def test_a_pull_request_that_is_not_there_is_a_plain_404(here: Doorkeeper, path: str) -> None:
    answer = ask(here, path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain")
