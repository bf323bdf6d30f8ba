"""The model gateway: one Unix socket an attempt, where a placeholder becomes the credential and every token is counted.

Runs in the daemon. Only the Messages API passes; the request's bytes are not touched, but for the one header.
"""

from __future__ import annotations

import asyncio
import email.utils
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from runner.gateway.loop import GatewayLoop, fresh_socket
from runner.gateway.metering import Ledger, Meter, PriceTable
from runner.gateway.upstream import Asked, Upstream, UpstreamAway, UpstreamCut

_LOG: Final = logging.getLogger(__name__)
_MAX_REQUEST: Final = 32 * 1024 * 1024
_MAX_ANSWER: Final = 64 * 1024 * 1024
_PATHS: Final = frozenset({"/v1/messages", "/v1/messages/count_tokens"})
_PASSED_UP: Final = ("accept", "content-type", "anthropic-version", "anthropic-beta", "user-agent", "x-app")
_PASSED_DOWN: Final = ("content-type", "retry-after", "request-id", "anthropic-ratelimit-unified-reset")
BUDGET_WORDS: Final = "ashigaru: the run's budget is used up"

CredentialKind: TypeAlias = Literal["api_key", "oauth"]


@dataclass(frozen=True, kw_only=True)
class Credential:
    """The real thing. Never printed, never in an answer."""

    kind: CredentialKind
    value: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What one attempt may do: show `placeholder`, spend until the run's total reaches `run_micro_usd`."""

    run_id: str
    attempt: int
    placeholder: str = field(repr=False)
    socket: Path
    run_micro_usd: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The upstream's last failure that no good answer followed. status None: it could not be reached."""

    status: int | None
    type: str
    retry_at: float | None


@dataclass(kw_only=True)
class _Open:
    grant: Grant
    server: uvicorn.Server
    serving: asyncio.Task[None]


class ModelGateway:
    """Serves grants until they are shut."""

    def __init__(
        self, loop: GatewayLoop, upstream: Upstream, credential: Credential | None, prices: PriceTable, ledger: Ledger
    ) -> None:
        """Serve nothing yet. credential None: only an upstream that needs none will answer."""
        self._loop = loop
        self._upstream = upstream
        self._credential = credential
        self._prices = prices
        self._ledger = ledger
        self._open: dict[tuple[str, int], _Open] = {}
        self._failures: dict[tuple[str, int], Failure] = {}
        self._exhausted: set[str] = set()

    def open(self, grant: Grant) -> None:
        """Serve the grant's socket from now on. A second time changes nothing."""
        if (grant.run_id, grant.attempt) not in self._open:
            self._loop.run(self._serve(grant))

    def shut(self, run_id: str, attempt: int) -> None:
        """No longer serve it: its placeholder is worth nothing."""
        served = self._open.pop((run_id, attempt), None)
        if served is not None:
            served.server.should_exit = True
            served.grant.socket.unlink(missing_ok=True)

    def exhausted(self, run_id: str) -> bool:
        """Whether a request of the run was refused because its money is used up."""
        return run_id in self._exhausted

    def failure(self, run_id: str, attempt: int) -> Failure | None:
        """The upstream's last failure that no good answer followed."""
        return self._failures.get((run_id, attempt))

    async def _serve(self, grant: Grant) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                response = await self._answer(grant, Request(scope, receive))
                try:
                    await response(scope, receive, send)
                except UpstreamCut:
                    # The headers are gone already: breaking the connection is the only way to say that it broke.
                    _LOG.info("the upstream's answer broke off", extra={"run": grant.run_id})

        config = uvicorn.Config(
            app,
            uds=str(fresh_socket(grant.socket)),
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            server_header=False,
            date_header=False,
        )
        server = uvicorn.Server(config)
        serving = asyncio.get_running_loop().create_task(server.serve())
        self._open[grant.run_id, grant.attempt] = _Open(grant=grant, server=server, serving=serving)
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)

    async def _answer(self, grant: Grant, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(status_code=204)
        if request.method != "POST" or request.url.path not in _PATHS:
            return refusal(404, "not_found_error", "this gateway serves the Messages API only")
        if not _shows(request, grant.placeholder):
            return refusal(401, "authentication_error", "the placeholder is not this attempt's")
        body = await _body(request)
        if body is None:
            return refusal(413, "request_too_large", f"a request may hold {_MAX_REQUEST} bytes")
        if await asyncio.to_thread(self._ledger.spent, grant.run_id) >= grant.run_micro_usd:
            self._exhausted.add(grant.run_id)
            # 400 is an answer that the CLI does not try again: it ends at once and its work so far is kept.
            return refusal(400, "invalid_request_error", BUDGET_WORDS)
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        asked = Asked(path=path, headers=self._headers(request), body=body, attempt=grant.attempt)
        return await self._forward(grant, asked)

    async def _forward(self, grant: Grant, asked: Asked) -> Response:
        sending = self._upstream.send(asked)
        key = (grant.run_id, grant.attempt)
        try:
            answer = await sending.__aenter__()
        except UpstreamAway:
            self._failures[key] = Failure(status=None, type="", retry_at=None)
            return refusal(529, "overloaded_error", "the model API cannot be reached just now")
        if answer.status >= 400:
            self._failures[key] = Failure(status=answer.status, type="", retry_at=_retry_at(answer.headers))
        else:
            self._failures.pop(key, None)
        headers = {name: answer.headers[name] for name in _PASSED_DOWN if name in answer.headers}
        meter = Meter(_model(asked.body), stream="event-stream" in headers.get("content-type", ""))

        async def passed() -> AsyncIterator[bytes]:
            sent = 0
            try:
                async for chunk in answer.chunks:
                    meter.feed(chunk)
                    sent += len(chunk)
                    if sent > _MAX_ANSWER:
                        raise UpstreamCut
                    yield chunk
            finally:
                # Also when the agent was stopped in the middle: what was answered by then has been paid for.
                meter.finish()
                await sending.__aexit__(None, None, None)
                cost = self._prices.cost(meter.model, meter.usage)
                if cost:
                    await asyncio.shield(asyncio.to_thread(self._ledger.add, *key, cost))

        return StreamingResponse(passed(), status_code=answer.status, headers=headers)

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {name: request.headers[name] for name in _PASSED_UP if name in request.headers}
        if self._credential is None:
            return headers
        if self._credential.kind == "api_key":
            headers["x-api-key"] = self._credential.value
        else:
            headers["authorization"] = f"Bearer {self._credential.value}"
        return headers


def refusal(status: int, kind: str, told: str) -> JSONResponse:
    """An error as the Messages API words one."""
    return JSONResponse({"type": "error", "error": {"type": kind, "message": told}}, status)


def _shows(request: Request, placeholder: str) -> bool:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    shown = request.headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else "")
    return hmac.compare_digest(shown.encode("utf-8", "replace"), placeholder.encode("utf-8"))


async def _body(request: Request) -> bytes | None:
    held = bytearray()
    try:
        async for chunk in request.stream():
            held += chunk
            if len(held) > _MAX_REQUEST:
                return None
    except ClientDisconnect:
        return None
    return bytes(held)


def _model(body: bytes) -> str:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(told.get("model", "")) if isinstance(told, dict) else ""


def _retry_at(headers: Mapping[str, str]) -> float | None:
    """UTC seconds at which the upstream says to try again: `retry-after` in seconds or as a date, or a quota's reset."""
    told = headers.get("anthropic-ratelimit-unified-reset") or headers.get("retry-after")
    if told is None:
        return None
    if told.isascii() and told.isdigit() and len(told) <= 12:
        number = float(told)
        return number if number > 10**9 else time.time() + number
    try:
        return email.utils.parsedate_to_datetime(told).timestamp()
    except (ValueError, TypeError):
        return None
