"""One question and its answer: the placeholder becomes the credential, the answer is metered as it streams back."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from runner.errors import RunnerError
from runner.gateway.metering import Meter, PriceTable, Usage
from runner.gateway.passing import Failure, Passing, refusal
from runner.gateway.purse import Purse
from runner.gateway.question import Question, Unasked, read_question
from runner.gateway.upstream import Asked, Upstream
from runner.spending import Asking, Barrier, Refused

_LOG: Final = logging.getLogger(__name__)
_MAX_REQUEST: Final = 32 * 1024 * 1024
_MAX_AT_ONCE: Final = 8
_BODY_S: Final = 60.0
_MAX_REFUSALS: Final = 200
"""An attempt that was refused so often is not listened to any more: each refusal costs the daemon work."""
_MESSAGES: Final = "/v1/messages"
_UP: Final = frozenset({"accept", "content-type", "user-agent", "x-app"})
_UP_PREFIXES: Final = ("anthropic-", "x-stainless-", "x-claude-")
BUDGET_WORDS: Final = "ashigaru: the run's budget is used up"
WORDS: Final = MappingProxyType(
    {
        Barrier.HALTED: "ashigaru: all spending is halted",
        Barrier.RUN: BUDGET_WORDS,
        Barrier.REPO_DAY: "ashigaru: the repository's budget of the day is used up",
        Barrier.DAY: "ashigaru: the budget of the day is used up",
    }
)

CredentialKind: TypeAlias = Literal["api_key", "oauth"]


@dataclass(frozen=True, kw_only=True)
class Credential:
    """The real thing. Never printed, never in an answer."""

    kind: CredentialKind
    value: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What one attempt may do: show `placeholder`, ask its tier's `model` with at most `effort`, and spend until the
    run's total reaches `run_micro_usd`. patience_s: how long a question may go without a byte of its answer until it
    counts as the upstream's failure.
    """

    run_id: str
    attempt: int
    repo: str
    model: str
    effort: str
    placeholder: str = field(repr=False)
    socket: Path
    run_micro_usd: int
    patience_s: float = 60.0


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
    refusals: int = 0
    refused: Barrier | None = None
    """What the last question was refused for: want of money, or a halt."""
    failure: Failure | None = None
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_AT_ONCE))
    answering: set[asyncio.Task[Any]] = field(default_factory=set)
    """What is not finished yet: its cost may still be missing on the books."""
    silent_since: dict[object, float] = field(default_factory=dict)
    """Questions that wait for a byte: since when, by the loop's clock."""

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
            self.refusals += 400 <= refused.status_code < 500
            await refused(scope, receive, send)

    def _refused(self, request: Request) -> Response | None:
        path, method = request.scope["path"], request.method
        if self.refusals >= _MAX_REFUSALS:
            return refusal(400, "invalid_request_error", "ashigaru: too many requests of this attempt were refused")
        if method == "HEAD" and path == "/api/hello":
            return Response(status_code=204)
        if not serves(method, path):
            return refusal(404, "not_found_error", "this gateway serves the Messages API only")
        if self.shut or not _shows(request, self.grant.placeholder):
            return _not_yours()
        return None

    async def _served(self, request: Request, send: Send) -> JSONResponse | None:
        """None once an answer was sent; else what to refuse with."""
        body = await _body(request)
        if body is None:
            return refusal(413, "request_too_large", f"a request may hold {_MAX_REQUEST} bytes and take {_BODY_S} s")
        question = await asyncio.to_thread(read_question, body, self.grant.model, self.grant.effort)
        if isinstance(question, Unasked):
            return refusal(400, "invalid_request_error", f"ashigaru: {question.reason}")
        me = object()
        self._heard(me)
        try:
            return await self._answered(request, send, body, question, me)
        finally:
            if self._too_long(self.silent_since.pop(me, None)):
                # Whoever gave up waiting, or was made to, did so for the upstream's silence.
                self.failure = Failure(status=None, type="", retry_at=None)

    async def _answered(
        self, request: Request, send: Send, body: bytes, question: Question, me: object
    ) -> JSONResponse | None:
        asked = self._asked(request, body)
        guess = Usage(input=len(body) // 4, output=question.max_output)
        estimate = self.prices.cost(question.model, guess)
        try:
            admitted = await self.purse.admit(self._asking(estimate))
        except RunnerError:
            _LOG.exception("the budget cannot be looked at", extra={"run": self.grant.run_id})
            return refusal(529, "overloaded_error", "the gateway cannot look at the run's budget just now")
        if isinstance(admitted, Refused):
            self.refused = admitted.barrier
            # 400 is an answer that the CLI does not try again: it ends at once and its work so far is kept.
            return refusal(400, "invalid_request_error", WORDS[admitted.barrier])
        self.refused = None
        if self.shut:
            # It waited for its turn, and the attempt is over by now.
            await asyncio.shield(asyncio.ensure_future(self.purse.settle(admitted, 0)))
            return _not_yours()
        meter = Meter(question.model, stream=question.stream, request_bytes=len(body))
        passing = Passing(
            upstream=self.upstream,
            asked=asked,
            meter=meter,
            send=send,
            idle_s=self.idle_s,
            secret=None if self.credential is None else self.credential.value,
            now=self.now,
            note=partial(self._note, me),
            heard=partial(self._heard, me),
        )
        try:
            return await passing.until_done_or_left(request.receive)
        finally:
            cost = 0
            if passing.answered:
                meter.finish()
                cost = self.prices.cost(meter.model, meter.usage)
            await asyncio.shield(asyncio.ensure_future(self.purse.settle(admitted, cost)))

    def _asking(self, estimate: int) -> Asking:
        return Asking(
            run_id=self.grant.run_id,
            attempt=self.grant.attempt,
            repo=self.grant.repo,
            run_bound=self.grant.run_micro_usd,
            estimate=estimate,
        )

    def _heard(self, asking: object) -> None:
        self.silent_since[asking] = asyncio.get_running_loop().time()

    def stalled(self) -> bool:
        """Whether a question has had no byte of its answer for too long. On the loop's thread only."""
        return any(self._too_long(since) for since in self.silent_since.values())

    def _too_long(self, since: float | None) -> bool:
        return since is not None and asyncio.get_running_loop().time() - since > self.grant.patience_s

    def lively(self) -> bool:
        """Whether a question is under way, and none has been silent for too long. On the loop's thread only."""
        return bool(self.silent_since) and not self.stalled()

    def _note(self, asking: object, failure: Failure | None) -> None:
        self.silent_since.pop(asking, None)
        self.failure = failure

    def _asked(self, request: Request, body: bytes) -> Asked:
        """The request as it goes up: its bytes as they came, and of its headers those that the API reads."""
        headers = {
            name: value for name, value in request.headers.items() if name in _UP or name.startswith(_UP_PREFIXES)
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


def serves(method: str, path: str) -> bool:
    """Whether that may be asked at all: what Claude Code does, as it is run here, and nothing else."""
    return method == "POST" and path == _MESSAGES


def _not_yours() -> JSONResponse:
    return refusal(401, "authentication_error", "the placeholder is not this attempt's")


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
