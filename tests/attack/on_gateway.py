"""Group C, the way out to the model: what a sandbox may ask of the gateway, over the socket that it really gets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx

from runner.gateway import exchange, passing, question
from runner.gateway.exchange import Exchange
from runner.gateway.model_gateway import ModelGateway
from tests.attack.case import Chapter, Defence, Outcome, Stopped, Through
from tests.attack.gateway_world import (
    ASKED,
    KEY,
    PLACEHOLDER,
    SHOWN,
    gateway_case,
    house,
    passed_on,
    passing_with,
    refused,
)
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out, replaced
from tests.fakes.upstream import AnsweringUpstream


def _after_the_attempt(ground: Ground) -> Outcome:
    upstream = AnsweringUpstream()
    with house(ground, upstream) as one:
        one.ask(ASKED)
        one.gateway.shut("r", 1)
        upstream.asked.clear()
        try:
            # Over the connection that is open still: a survivor of the sandbox would have it.
            return passed_on(upstream.asked, one.ask(ASKED))
        except httpx.HTTPError as fault:
            return Stopped(by=f"nobody answers any more ({type(fault).__name__})")


async def _never(*_arguments: object) -> None:
    """In the place of what would shut a grant."""


def _with_tools(*tools: Mapping[str, Any]) -> dict[str, Any]:
    return ASKED | {"tools": list(tools)}


def _with_content(block: Mapping[str, Any]) -> dict[str, Any]:
    return ASKED | {"messages": [{"role": "user", "content": [block]}]}


_URL = {"type": "url", "url": "https://evil.example/?secret"}


_REACHING: Mapping[str, Mapping[str, Any]] = {
    "web-search": _with_tools({"type": "web_search_20250305", "name": "web_search"}),
    "web-fetch": _with_tools({"type": "web_fetch_20250910", "name": "web_fetch"}),
    "code-execution": _with_tools({"type": "code_execution_20250825", "name": "code_execution"}),
    "tool-of-no-known-type": _with_tools({"type": "teleport_1", "name": "x"}),
    "tool-type-no-text": _with_tools({"type": ["custom"], "name": "x"}),
    "remote-mcp-server": ASKED | {"mcp_servers": [{"type": "url", "url": "https://evil.example", "name": "x"}]},
    "container": ASKED | {"container": {"skills": [{"type": "custom", "skill_id": "x"}]}},
    "image-by-url": _with_content({"type": "image", "source": _URL}),
    "document-by-url": _with_content({"type": "document", "source": _URL}),
    "file-of-the-account": _with_content({"type": "document", "source": {"type": "file", "file_id": "f"}}),
    "url-in-a-tool-result": _with_content(
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": _URL}]}
    ),
}


_TWICE = b'{"model": "claude-sonnet-5-5", "max_tokens": 1, "tools": [{"type": "web_search_20250305"}], "tools": []}'


def _header_up(name: str, ground: Ground) -> Outcome:
    upstream = AnsweringUpstream()
    with house(ground, upstream) as one:
        one.ask(ASKED, shown={**SHOWN, name: "smuggled"})
    if any("smuggled" in value for asked in upstream.asked for value in asked.headers.values()):
        return Through(what=f"{name} went up")
    return Stopped(by="only the headers that the API reads go up")


def _header_down(name: str, ground: Ground) -> Outcome:
    upstream = AnsweringUpstream(headers={"content-type": "application/json", name: KEY})
    with house(ground, upstream) as one:
        answer = one.ask(ASKED)
    if name in answer.headers:
        return Through(what=f"{name} came down")
    return Stopped(by="only the headers that the client needs come down")


def _key_in_error(chunks: tuple[bytes, ...], ground: Ground) -> Outcome:
    upstream = AnsweringUpstream(status=401, chunks=chunks)
    with house(ground, upstream) as one:
        answer = one.ask(ASKED)
    return Through(what="the real key came down") if KEY in answer.text else Stopped(by=answer.text)


def _any_path() -> Any:
    def refused(self: Exchange, request: Any) -> Any:
        return None if exchange._shows(request, self.grant.placeholder) else passing.refusal(401, "x", "no")

    return replaced((Exchange, "_refused", refused))


_DEFENCES = (
    Defence(
        name="messages-api-only",
        sentence="The gateway serves two paths of the model API, by POST.",
        without=_any_path,
    ),
    Defence(
        name="placeholder",
        sentence="Who does not show this attempt's placeholder is answered nothing.",
        without=out(exchange, "_shows", answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="placeholder-dies",
        sentence="A placeholder is worth nothing once its attempt is over.",
        without=out(ModelGateway, "_stop", _never),
    ),
    Defence(
        name="no-server-tools",
        sentence="The model's side does not reach the network for a sandbox.",
        without=out(question, "_reach", answering(None)),
    ),
    Defence(
        name="every-key-once",
        sentence="A request that two readers could read differently is not passed on.",
        without=out(question, "_once", dict),
    ),
    Defence(
        name="known-headers-up",
        sentence="Only headers that the model API reads go up.",
        without=out(exchange, "_UP_PREFIXES", ("",)),
    ),
    Defence(
        name="known-headers-down",
        sentence="Only headers that the agent needs come down.",
        without=out(passing, "_DOWN_PREFIXES", ("",)),
    ),
    Defence(
        name="no-key-in-errors",
        sentence="An error of the model API's that repeats the key does not bring it down.",
        without=passing_with(secret=None),
    ),
)

_CASES = (
    *(
        gateway_case(
            "messages-api-only", vector, f"{method} {path}", partial(refused, ASKED, {"method": method, "path": path})
        )
        for vector, method, path in (
            ("files", "POST", "/v1/files"),
            ("batches", "POST", "/v1/messages/batches"),
            ("models", "GET", "/v1/models"),
            ("organization-keys", "POST", "/v1/organizations/api_keys"),
            ("another-method", "DELETE", "/v1/messages"),
            ("path-with-a-slash-more", "POST", "//v1/messages"),
            ("oauth", "POST", "/v1/oauth/token"),
        )
    ),
    *(
        gateway_case("placeholder", vector, f"ask, showing {vector}", partial(refused, ASKED, {"shown": shown}))
        for vector, shown in (
            ("nothing", {}),
            ("another-attempts", {"x-api-key": "ashigaru-placeholder-2"}),
            ("beginning", {"x-api-key": "ashigaru"}),
            ("bearer-of-another", {"authorization": "Bearer sk-stolen"}),
            ("basic", {"authorization": f"Basic {PLACEHOLDER}"}),
        )
    ),
    gateway_case("placeholder-dies", "open-connection", "go on asking when the attempt is over", _after_the_attempt),
    *(
        gateway_case("no-server-tools", vector, f"ask for {vector}", partial(refused, told, {}))
        for vector, told in _REACHING.items()
    ),
    gateway_case(
        "every-key-once", "tools-twice", "name tools twice, harmless the second time", partial(refused, _TWICE, {})
    ),
    *(
        gateway_case("known-headers-up", name, f"send {name} along", partial(_header_up, name))
        for name in ("cookie", "x-forwarded-for", "proxy-authorization")
    ),
    *(
        gateway_case("known-headers-down", name, f"have {name} come back", partial(_header_down, name))
        for name in ("set-cookie", "x-debug-key")
    ),
    gateway_case("no-key-in-errors", "echoed", "have an error repeat the key", partial(_key_in_error, (KEY.encode(),))),
    gateway_case(
        "no-key-in-errors",
        "split",
        "have an error repeat the key in two pieces",
        partial(_key_in_error, (KEY[:7].encode(), KEY[7:].encode())),
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
