"""One answer on its way down: metered as it goes, cut when it stalls, let go of when nobody listens any more."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.types import Receive, Send

from runner.gateway.metering import Meter
from runner.gateway.upstream import Answer, Asked, Upstream, UpstreamAway, UpstreamCut

_LOG: Final = logging.getLogger(__name__)
_MAX_ANSWER: Final = 64 * 1024 * 1024
_MAX_ERROR: Final = 64 * 1024
_DOWN: Final = frozenset({"content-type", "retry-after", "request-id", "x-should-retry"})
_DOWN_PREFIXES: Final = ("anthropic-ratelimit-",)
_ERROR_STATUS: Final = {"overloaded_error": 529, "rate_limit_error": 429, "authentication_error": 401}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The upstream's last failure that no good answer followed. status None: it did not answer, or not to the end.

    type: the API's own word. retry_at: UTC seconds, where it named a time.
    """

    status: int | None
    type: str
    retry_at: float | None


@dataclass(kw_only=True)
class Passing:
    """Passes one answer on; `answered` is to be read when it is over."""

    upstream: Upstream
    asked: Asked
    meter: Meter
    send: Send
    idle_s: float
    secret: str | None = field(repr=False)
    """What must not be in an answer."""

    now: Callable[[], float]
    note: Callable[[Failure | None], None]
    """Told how the upstream did before the client can see the end of its answer; not told where the client left."""

    heard: Callable[[], None] = lambda: None
    """Called with every byte that came from the upstream."""

    answered: bool = False
    """Whether the upstream gave a good answer, whole or not: one that has to be paid for."""

    _started: bool = False
    _finishing: bool = False

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
            async with (
                asyncio.timeout(self.idle_s) as idle,
                self.upstream.send(self.asked) as answer,
            ):
                if 200 <= answer.status < 300:
                    self.answered = True
                    await self._pass_good(answer, idle)
                else:
                    await self._pass_error(answer)
        except UpstreamAway:
            self.note(Failure(status=None, type="", retry_at=None))
            return refusal(529, "overloaded_error", "the model API cannot be reached just now")
        except (UpstreamCut, TimeoutError):
            self.note(Failure(status=None, type="", retry_at=None))
            if not self._started:
                return refusal(529, "overloaded_error", "the model API's answer broke off")
            # The headers are gone already: breaking the connection is the only way to say that it broke.
            _LOG.info("the upstream's answer broke off", extra={"run": self.asked.run_id})
        return None

    async def _pass_good(self, answer: Answer, idle: asyncio.Timeout) -> None:
        await self._start(answer)
        sent = 0
        async for chunk in answer.chunks:
            self.heard()
            self.meter.feed(chunk)
            sent += len(chunk)
            if sent > _MAX_ANSWER:
                raise UpstreamCut
            idle.reschedule(asyncio.get_running_loop().time() + self.idle_s)
            await self.send({"type": "http.response.body", "body": chunk, "more_body": True})
        error = self.meter.error
        self.note(Failure(status=_ERROR_STATUS.get(error, 500), type=error, retry_at=None) if error else None)
        await self._end(b"")

    async def _pass_error(self, answer: Answer) -> None:
        """An error is short: it is read whole, so that its type is known and nothing of ours is in it."""
        body = bytearray()
        with contextlib.suppress(UpstreamCut):
            async for chunk in answer.chunks:
                body += chunk
                if len(body) > _MAX_ERROR:
                    break
        told = without(self.secret, bytes(body))[:_MAX_ERROR]
        retry_at = _retry_at(answer.headers, self.now())
        self.note(Failure(status=answer.status, type=_error_type(told), retry_at=retry_at))
        await self._start(answer)
        await self._end(told)

    async def _start(self, answer: Answer) -> None:
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers.items()
            if name.lower() in _DOWN or name.lower().startswith(_DOWN_PREFIXES)
        ]
        self._started = True
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def _end(self, last: bytes) -> None:
        # The client may hang up on the last byte; what is left to do then is not to be cut short.
        self._finishing = True
        await self.send({"type": "http.response.body", "body": last, "more_body": False})


def without(secret: str | None, told: bytes) -> bytes:
    """What is told, with another word in the secret's place."""
    return told if secret is None else told.replace(secret.encode(), b"[credential]")


def refusal(status: int, kind: str, told: str) -> JSONResponse:
    """An error as the Messages API words one."""
    return JSONResponse({"type": "error", "error": {"type": kind, "message": told}}, status)


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
    """UTC seconds of the next try, as the upstream says: `retry-after` in seconds or as a date, or a quota's reset."""
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
