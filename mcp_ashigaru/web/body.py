"""A request's body: whole, in time and not too large, before anybody acts on it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import anyio
from starlette.types import Message, Receive

_NUMBER: Final = re.compile(r"[0-9]{1,20}")
BODY_S: Final = 20.0
"""How long a whole body, or the next piece of one that is read as it comes, may take."""


class Lacking(StrEnum):
    """Why there is no body."""

    TOO_LARGE = "too large"
    TOO_SLOW = "too slow"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A body that has come in full."""

    body: bytes


async def whole_body(receive: Receive, declared: str | None, *, max_bytes: int, within_s: float) -> Whole | Lacking:
    """Everything that the client sends, or why not. declared: its Content-Length, which is believed if too large."""
    if declared is not None and (not _NUMBER.fullmatch(declared) or int(declared) > max_bytes):
        return Lacking.TOO_LARGE
    parts = bytearray()
    with anyio.move_on_after(within_s):
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return Lacking.GONE
            parts += message.get("body", b"")
            if len(parts) > max_bytes:
                return Lacking.TOO_LARGE
            if not message.get("more_body", False):
                return Whole(body=bytes(parts))
    return Lacking.TOO_SLOW


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once, and then what the connection has to say."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again


def impatient(receive: Receive, within_s: float) -> Receive:
    """A `receive` for a body that is read as it comes: a client who lets it wait for its next piece has gone."""
    state = {"more": True}

    async def next_piece() -> Message:
        if not state["more"]:
            return await receive()
        message: Message = {"type": "http.disconnect"}
        with anyio.move_on_after(within_s):
            message = await receive()
        state["more"] = bool(message.get("more_body", False))
        return message

    return next_piece
