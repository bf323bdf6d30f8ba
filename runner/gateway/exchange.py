"""One question and its answer: the placeholder becomes the credential, the answer is metered as it streams back."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from runner.errors import RunnerError
from runner.gateway.metering import Meter, PriceTable, Usage
from runner.gateway.purse import Purse
from runner.gateway.question import Question, Unasked, read_question
from runner.gateway.upstream import Answer, Asked, Upstream, UpstreamAway, UpstreamCut

_LOG: Final = logging.getLogger(__name__)
_MAX_REQUEST: Final = 32 * 1024 * 1024
_MAX_ANSWER: Final = 64 * 1024 * 1024
_MAX_ERROR: Final = 64 * 1024
_MAX_AT_ONCE: Final = 8
_BODY_S: Final = 60.0
_MESSAGES: Final = "/v1/messages"
_PATHS: Final = frozenset({_MESSAGES, "/v1/messages/count_tokens"})
_UP: Final = frozenset({"accept", "content-type", "user-agent", "x-app"})
_UP_PREFIXES: Final = ("anthropic-", "x-stainless-", "x-claude-")
_DOWN: Final = frozenset({"content-type", "retry-after", "request-id", "x-should-retry"})
_DOWN_PREFIXES: Final = ("anthropic-ratelimit-",)
_ERROR_STATUS: Final = {"overloaded_error": 529, "rate_limit_error": 429, "authentication_error": 401}
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
    """The upstream's last failure that no good answer followed. status None: it did not answer, or not to the end.

    type: the API's own word. retry_at: UTC seconds, where it named a time.
    """

    status: int | None
    type: str
    retry_at: float | None


@dataclass(kw_only=True)
class Exchange:
    """Answers one grant's requests, until `shut` is set. An ASGI app, for HTTP only."""

    grant: Grant
    upstream: Upstream
    credential: Credential | None
    prices: PriceTable
    purse: Purse
    idle_s: float
    now: Callable[[], float] = time.time
    shut: bool = False
    exhausted: bool = False
    failure: Failure | None = None
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_AT_ONCE))
    answering: set[asyncio.Task[Any]] = field(default_factory=set)
    """What is not finished yet: its cost may still be missing on the ledger."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        task = asyncio.current_task()
        if task is not None:
            self.answering.add(task)
            task.add_done_callback(self.answering.discard)
        request = Request(scope, receive)
        refused = self._refused(request)
        if refused is None:
            async with self.slots:
                refused = await self._served(request, send)
        if refused is not None:
            await refused(scope, receive, send)

    def _refused(self, request: Request) -> JSONResponse | None:
        path, method = request.scope["path"], request.method
        if method == "HEAD" and path == "/api/hello":
            return JSONResponse(None, 204)
        if method != "POST" or path not in _PATHS:
            return refusal(404, "not_found_error", "this gateway serves the Messages API only")
        if self.shut or not _shows(request, self.grant.placeholder):
            return refusal(401, "authentication_error", "the placeholder is not this attempt's")
        return None

    async def _served(self, request: Request, send: Send) -> JSONResponse | None:
        """None once an answer was sent; else what to refuse with."""
        body = await _body(request)
        if body is None:
            return refusal(413, "request_too_large", f"a request may hold {_MAX_REQUEST} bytes and take {_BODY_S} s")
        question = await asyncio.to_thread(read_question, body)
        if isinstance(question, Unasked):
            return refusal(400, "invalid_request_error", f"ashigaru: {question.reason}")
        guess = Usage(input=len(body) // 4, output=question.max_output)
        estimate = self.prices.cost(question.model, guess)
        try:
            admitted = await self.purse.admit(self.grant.run_micro_usd, estimate)
        except RunnerError:
            _LOG.exception("the budget cannot be looked at", extra={"run": self.grant.run_id})
            return refusal(529, "overloaded_error", "the gateway cannot look at the run's budget just now")
        if not admitted:
            self.exhausted = True
            # 400 is an answer that the CLI does not try again: it ends at once and its work so far is kept.
            return refusal(400, "invalid_request_error", BUDGET_WORDS)
        meter = Meter(question.model, stream=question.stream, request_bytes=len(body))
        passing = _Passing(self, self._asked(request, body), meter, send)
        try:
            return await passing.until_done_or_left(request.receive)
        finally:
            cost = 0
            if passing.answered and request.scope["path"] == _MESSAGES:
                meter.finish()
                cost = self.prices.cost(meter.model, meter.usage)
            await asyncio.shield(
                asyncio.ensure_future(self.purse.settle(estimate, self.grant.attempt, cost))
            )

    def _asked(self, request: Request, body: bytes) -> Asked:
        """The request as it goes up: its bytes as they came, and of its headers those that the API reads."""
        headers = {
            name: value
            for name, value in request.headers.items()
            if name in _UP or name.startswith(_UP_PREFIXES)
        }
        if self.credential is not None and self.credential.kind == "api_key":
            headers["x-api-key"] = self.credential.value
        elif self.credential is not None:
            headers["authorization"] = f"Bearer {self.credential.value}"
        beta = "?beta=true" if request.query_params.get("beta") == "true" else ""
        return Asked(
            path=request.scope["path"] + beta,
            headers=headers,
            body=body,
            run_id=self.grant.run_id,
            attempt=self.grant.attempt,
        )


class _Passing:
    """One answer on its way down."""

    def __init__(self, exchange: Exchange, asked: Asked, meter: Meter, send: Send) -> None:
        self._exchange = exchange
        self._asked = asked
        self._meter = meter
        self._send = send
        self._started = self._finishing = False
        self.answered = False
        """Whether the upstream gave a good answer, whole or not: one that has to be paid for."""

    async def until_done_or_left(self, receive: Receive) -> JSONResponse | None:
        """Pass the answer on; let go of the upstream as soon as nobody listens any more."""
        passing = asyncio.ensure_future(self._pass())
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not passing.done() and not self._finishing:
                return None
            return await passing
        finally:
            passing.cancel()
            leaving.cancel()
            await asyncio.gather(passing, leaving, return_exceptions=True)

    async def _pass(self) -> JSONResponse | None:
        try:
            async with asyncio.timeout(self._exchange.idle_s) as idle, self._exchange.upstream.send(self._asked) as answer:
                if 200 <= answer.status < 300:
                    self.answered = True
                    await self._pass_good(answer, idle)
                else:
                    await self._pass_error(answer)
        except UpstreamAway:
            self._exchange.failure = Failure(status=None, type="", retry_at=None)
            return refusal(529, "overloaded_error", "the model API cannot be reached just now")
        except (UpstreamCut, TimeoutError):
            self._exchange.failure = Failure(status=None, type="", retry_at=None)
            if not self._started:
                return refusal(529, "overloaded_error", "the model API's answer broke off")
            # The headers are gone already: breaking the connection is the only way to say that it broke.
            _LOG.info("the upstream's answer broke off", extra={"run": self._asked.run_id})
        return None

    async def _pass_good(self, answer: Answer, idle: asyncio.Timeout) -> None:
        await self._start(answer)
        sent = 0
        async for chunk in answer.chunks:
            self._meter.feed(chunk)
            sent += len(chunk)
            if sent > _MAX_ANSWER:
                raise UpstreamCut
            idle.reschedule(asyncio.get_running_loop().time() + self._exchange.idle_s)
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        error = self._meter.error
        self._exchange.failure = (
            Failure(status=_ERROR_STATUS.get(error, 500), type=error, retry_at=None) if error else None
        )
        await self._end(b"")

    async def _pass_error(self, answer: Answer) -> None:
        """An error is short: it is read whole, so that its type is known and nothing of ours is in it."""
        body = bytearray()
        with contextlib.suppress(UpstreamCut):
            async for chunk in answer.chunks:
                body += chunk
                if len(body) > _MAX_ERROR:
                    break
        told = bytes(body[:_MAX_ERROR])
        credential = self._exchange.credential
        if credential is not None:
            told = told.replace(credential.value.encode(), b"[credential]")
        self._exchange.failure = Failure(
            status=answer.status, type=_error_type(told), retry_at=_retry_at(answer.headers, self._exchange.now())
        )
        await self._start(answer)
        await self._end(told)

    async def _start(self, answer: Answer) -> None:
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers.items()
            if name.lower() in _DOWN or name.lower().startswith(_DOWN_PREFIXES)
        ]
        self._started = True
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def _end(self, last: bytes) -> None:
        # The client may hang up on the last byte; what is left to do then is not to be cut short.
        self._finishing = True
        await self._send({"type": "http.response.body", "body": last, "more_body": False})


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
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                held += chunk
                if len(held) > _MAX_REQUEST:
                    return None
    except (ClientDisconnect, TimeoutError):
        return None
    return bytes(held)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _error_type(body: bytes) -> str:
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = told.get("error") if isinstance(told, dict) else None
    kind = error.get("type") if isinstance(error, dict) else None
    return kind[:100] if isinstance(kind, str) else ""


def _retry_at(headers: Mapping[str, str], now: float) -> float | None:
    """UTC seconds at which the upstream says to try again: `retry-after` in seconds or as a date, or a quota's reset."""
    told = headers.get("retry-after") or headers.get("anthropic-ratelimit-unified-reset")
    if told is None:
        return None
    if told.isascii() and told.isdigit() and len(told) <= 12:
        number = float(told)
        return number if number > 10**9 else now + number
    try:
        return email.utils.parsedate_to_datetime(told).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
