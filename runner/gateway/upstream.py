"""Where a model's answers come from: the real API, the real API with a recorder, or a cassette."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import httpx

from runner.gateway.cassette import Cassette, Turn, as_events, chosen, message

_LOG: Final = logging.getLogger(__name__)
_CONNECT_S: Final = 15.0
_IDLE_S: Final = 300.0
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as the agent sent it, its placeholder already swapped. path holds the query too."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    run_id: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer under way. chunks: the body as it comes; ends early, by raising UpstreamCut, if it is cut off."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class UpstreamAway(Exception):
    """The model API could not be reached."""


class UpstreamCut(Exception):
    """The answer broke off."""


class Upstream(Protocol):
    """Answers Messages API requests."""

    @property
    def needs_credential(self) -> bool:
        """Whether the operator has to give a token for it."""

    @asynccontextmanager
    def send(self, asked: Asked) -> AsyncIterator[Answer]:
        """The answer, open while the block lasts. Raises UpstreamAway."""

    async def close(self) -> None:
        """Let go of what is held."""


class Anthropic:
    """The real API at `base_url`."""

    needs_credential = True

    def __init__(self, base_url: str) -> None:
        """Connect to nothing yet."""
        timeout = httpx.Timeout(_IDLE_S, connect=_CONNECT_S)
        self._client = httpx.AsyncClient(base_url=base_url, timeout=timeout, follow_redirects=False)

    @asynccontextmanager
    async def send(self, asked: Asked) -> AsyncIterator[Answer]:
        """See `Upstream.send`."""
        request = self._client.build_request("POST", asked.path, headers=dict(asked.headers), content=asked.body)
        try:
            response = await self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            _LOG.warning("the model API cannot be reached: %s", type(exc).__name__)
            raise UpstreamAway from exc
        try:
            yield Answer(status=response.status_code, headers=response.headers, chunks=_chunks(response))
        finally:
            await response.aclose()

    async def close(self) -> None:
        """See `Upstream.close`."""
        await self._client.aclose()


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        # Decoded, because the answer's length and encoding are ours to say again.
        async for chunk in response.aiter_bytes():
            yield chunk
    except httpx.HTTPError as exc:
        raise UpstreamCut from exc


@dataclass
class Replay:
    """A cassette in the API's place; what it scripts as faults happens as often as it says, in each attempt of a run.

    Which turn answers is read from the request; how often a turn with faults was asked for is all that is remembered.
    """

    cassette: Cassette
    _asked_for: OrderedDict[tuple[str, int, str], int] = field(default_factory=OrderedDict)

    needs_credential = False

    @asynccontextmanager
    async def send(self, asked: Asked) -> AsyncIterator[Answer]:
        """See `Upstream.send`."""
        try:
            request = json.loads(asked.body)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            yield _error(400, "invalid_request_error", "the request is not a JSON object")
            return
        found = chosen(self.cassette, request, asked.attempt)
        model = str(request.get("model", ""))
        if found is None:
            told = f"no script of the cassette answers {model} in attempt {asked.attempt}"
            yield _error(400, "invalid_request_error", told)
            return
        name, turn = found
        served = self._count(asked, name, turn)
        await asyncio.sleep(turn.delay_s)
        if turn.error is not None and served <= turn.error.times:
            yield _error(turn.error.status, turn.error.type, turn.error.message, turn.error.retry_after_s)
            return
        faults = 0 if turn.error is None else turn.error.times
        yield _answer(turn, name, model, asked, bool(request.get("stream")), cut=served == faults + 1)

    async def close(self) -> None:
        """See `Upstream.close`."""

    def _count(self, asked: Asked, name: str, turn: Turn) -> int:
        if turn.error is None and turn.cut_after_bytes is None:
            return 1
        key = (asked.run_id, asked.attempt, name)
        self._asked_for[key] = self._asked_for.pop(key, 0) + 1
        if len(self._asked_for) > _REMEMBERED:
            self._asked_for.popitem(last=False)
        return self._asked_for[key]


def _answer(turn: Turn, name: str, model: str, asked: Asked, stream: bool, *, cut: bool) -> Answer:  # noqa: FBT001
    whole = message(turn, name, model, asked.attempt, len(asked.body))
    data = as_events(whole) if stream else json.dumps(whole).encode()
    kind = "text/event-stream; charset=utf-8" if stream else "application/json"

    async def chunks() -> AsyncIterator[bytes]:
        if cut and turn.cut_after_bytes is not None:
            yield data[: turn.cut_after_bytes]
            raise UpstreamCut
        for at in range(0, len(data), 2048):
            yield data[at : at + 2048]

    return Answer(status=200, headers={"content-type": kind}, chunks=chunks())


def _error(status: int, kind: str, told: str, retry_after_s: int | None = None) -> Answer:
    headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    return _whole(status, {"type": "error", "error": {"type": kind, "message": told}}, headers)


def _whole(status: int, told: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    async def chunks() -> AsyncIterator[bytes]:
        yield json.dumps(told).encode()

    return Answer(status=status, headers={"content-type": "application/json", **(headers or {})}, chunks=chunks())
