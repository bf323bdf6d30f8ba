"""Model APIs that behave as a test says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from runner.gateway.upstream import Answer, Asked, UpstreamAway, UpstreamCut

PATIENCE_S = 20.0


@dataclass(kw_only=True)
class AnsweringUpstream:
    """Answers every request alike, chunk by chunk; remembers what it was asked."""

    chunks: tuple[bytes, ...] = (b"{}",)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    cut: bool = False
    asked: list[Asked] = field(default_factory=list)
    needs_credential: bool = False

    @asynccontextmanager
    async def send(self, asked: Asked) -> AsyncIterator[Answer]:
        self.asked.append(asked)
        yield Answer(status=self.status, headers=self.headers, chunks=self._chunks())

    async def _chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        if self.cut:
            raise UpstreamCut

    async def close(self) -> None:
        pass


@dataclass(kw_only=True)
class AbsentUpstream(AnsweringUpstream):
    """Cannot be reached."""

    @asynccontextmanager
    async def send(self, asked: Asked) -> AsyncIterator[Answer]:
        self.asked.append(asked)
        raise UpstreamAway
        yield


@dataclass(kw_only=True)
class SilentUpstream(AnsweringUpstream):
    """Takes a request and never says anything."""

    @asynccontextmanager
    async def send(self, asked: Asked) -> AsyncIterator[Answer]:
        self.asked.append(asked)
        await asyncio.Event().wait()
        yield Answer(status=200, headers={}, chunks=self._chunks())


@dataclass(kw_only=True)
class HeldUpstream(AnsweringUpstream):
    """Sends its first chunk, then nothing until the test lets it go on; says when it is let go of."""

    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go_on: threading.Event = field(default_factory=threading.Event)
    dropped: threading.Event = field(default_factory=threading.Event)
    at_once: int = 0
    most_at_once: int = 0

    @asynccontextmanager
    async def send(self, asked: Asked) -> AsyncIterator[Answer]:
        self.asked.append(asked)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield Answer(status=self.status, headers=self.headers, chunks=self._held())
        finally:
            self.at_once -= 1
            self.dropped.set()

    async def _held(self) -> AsyncIterator[bytes]:
        yield self.chunks[0]
        self.begun.release()
        while not self.go_on.is_set():  # noqa: ASYNC110 - the test sets it from another thread
            await asyncio.sleep(0.005)
        for chunk in self.chunks[1:]:
            yield chunk


def whole(usage: Mapping[str, int], model: str = "claude-sonnet-5-5") -> bytes:
    """A non-streaming answer that used that much."""
    return json.dumps({"type": "message", "model": model, "content": [], "usage": dict(usage)}).encode()


def event(told: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return f"event: {told['type']}\ndata: {json.dumps(dict(told))}\n\n".encode()
