"""Groups A and F: the doors beside /mcp: the allow-list, webhooks, and the local forge's git over HTTP."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
from collections.abc import Mapping
from functools import partial

import httpx
from starlette.applications import Starlette

from mcp_ashigaru.web import webhooks
from runner.adapters import git_http
from runner.adapters.git_http import git_http_app
from runner.allowed import Policy
from runner.ci import CiPolicy
from runner.errors import RepoNotAllowed
from runner.model import Bounds
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out
from tests.git_rig import git, make_repository

_SECRET = "secret-of-the-webhook"


def _case(group: str, defence: str, vector: str, tried: str, attempt: Attempt, deadline_s: float = 60.0) -> Case:
    return Case(group=group, defence=defence, vector=vector, tried=tried, attempt=attempt, deadline_s=deadline_s)


def _allowed(repo: str, _ground: Ground) -> Outcome:
    policy = Policy(repos=frozenset({"acme/widgets"}), ladder=(), bounds=Bounds(), ci=CiPolicy(trusted=()))
    try:
        policy.allow(repo)
    except RepoNotAllowed as fault:
        return Stopped(by=str(fault))
    return Through(what="it would be worked on")


_EVENT = json.dumps({"repository": {"full_name": "acme/widgets"}}).encode()


def _signed(body: bytes, key: str = _SECRET, how: str = "sha256") -> str:
    return f"{how}=" + hmac.new(key.encode(), body, how).hexdigest()


def _posted(body: bytes, headers: Mapping[str, str], _ground: Ground) -> Outcome:
    nudged: list[str] = []
    app = Starlette(routes=webhooks.webhook_routes(_SECRET, nudged.append))
    shown = {"content-type": "application/json", "x-github-event": "push", **headers}

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post(webhooks.PATH, content=body, headers=shown)

    answer = asyncio.run(once())
    return (
        Through(what=f"it was believed: {nudged[0]}") if nudged else Stopped(by=f"{answer.status_code} {answer.text}")
    )


def _any_name(body: bytes) -> str:
    return str(json.loads(body)["repository"]["full_name"])


_GOOD = "Basic " + base64.b64encode(b"ashigaru:right").decode()


_REFS = "/info/refs?service=git-upload-pack"


def _fetched(path: str, authorization: str, ground: Ground) -> Outcome:
    home = ground.directory()
    make_repository(home / "work", {"a": "one\n"})
    for place in ("forge/acme/widgets.git", "forge/.incoming/secret.git"):
        git(home, "clone", "--quiet", "--bare", str(home / "work"), str(home / place))
    app = git_http_app(home / "forge", "right")

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(f"/forge{path}", headers={"authorization": authorization})

    answer = asyncio.run(once())
    if answer.status_code == 200:
        return Through(what=f"git answered: {answer.text[:60]!a}")
    return Stopped(by=f"{answer.status_code} {answer.text}")


def _basic(credential: str) -> str:
    return "Basic " + base64.b64encode(credential.encode()).decode()


_WRONG = _signed(_EVENT, "another")


_DEFENCES = (
    Defence(
        name="allow-list",
        sentence="Only repositories that the operator named are worked on.",
        without=out(Policy, "allow", answering(None)),
    ),
    Defence(
        name="signed-webhooks",
        sentence="An event is heard only with a signature of exactly its bytes.",
        without=out(webhooks, "is_signed", answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="webhook-size",
        sentence="An event holds 1 MiB at most.",
        without=out(webhooks, "MAX_BODY", 10**9),
    ),
    Defence(
        name="webhook-names",
        sentence="An event names a repository as a caller would have to.",
        without=out(webhooks, "named_repo", _any_name),
    ),
    Defence(
        name="git-password",
        sentence="The local forge's git wants its password.",
        without=out(git_http, "_is_admitted", answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="git-targets",
        sentence="A repository's name can only lead to a repository of the forge.",
        without=out(git_http, "_TARGET", re.compile(r"/(?P<repo>.+)\.git/(?P<what>.+)")),
    ),
)

_CASES = (
    *(
        _case("A", "allow-list", vector, f"ask for work on {name}", partial(_allowed, name))
        for vector, name in (
            ("another", "acme/other"),
            ("owner-alike", "acme-evil/widgets"),
            ("longer", "acme/widgets2"),
        )
    ),
    *(
        _case("F", "signed-webhooks", vector, f"post an event with {vector}", partial(_posted, _EVENT, shown))
        for vector, shown in (
            ("no-signature", {}),
            ("another-secret", {"x-hub-signature-256": _WRONG}),
            ("sha1-signature", {"x-hub-signature": _signed(_EVENT, how="sha1")}),
            ("signature-of-another-event", {"x-hub-signature-256": _signed(b"{}")}),
            ("empty-signature", {"x-hub-signature-256": "sha256="}),
        )
    ),
    _case(
        "F",
        "webhook-size",
        "two-megabytes",
        "post an event of 2 MiB",
        partial(
            _posted, _EVENT + b" " * 2 * 1024 * 1024, {"x-hub-signature-256": _signed(_EVENT + b" " * 2 * 1024 * 1024)}
        ),
    ),
    *(
        _case(
            "F",
            "webhook-names",
            vector,
            f"post an event of {name}",
            partial(_posted, body, {"x-hub-signature-256": _signed(body)}),
        )
        for vector, name in (("traversal", "../../x"), ("option", "--upload-pack=x"))
        for body in (json.dumps({"repository": {"full_name": name}}).encode(),)
    ),
    *(
        _case(
            "A", "git-password", vector, f"fetch with {vector}", partial(_fetched, f"/acme/widgets.git{_REFS}", shown)
        )
        for vector, shown in (
            ("none", ""),
            ("wrong", _basic("ashigaru:wrong")),
            ("other-user", _basic("root:right")),
            ("bearer", "Bearer right"),
        )
    ),
    _case(
        "A",
        "git-targets",
        "hidden-folder",
        "fetch from a folder of the forge's own",
        partial(_fetched, f"/.incoming/secret.git{_REFS}", _GOOD),
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
