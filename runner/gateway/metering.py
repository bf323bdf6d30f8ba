"""What a model's answer costs, read from the answer itself. Pure, and it delays no byte.

Usage fields and their meaning: the Messages API reference, "Streaming messages" and "Prompt caching".
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

_LOG: Final = logging.getLogger(__name__)
_MILLION: Final = 1_000_000
_MAX_LINE: Final = 4 * 1024 * 1024
_MAX_WHOLE: Final = 64 * 1024 * 1024
_MAX_TOKENS: Final = 10**9
_MAX_TOLD: Final = 50
_BYTES_A_TOKEN: Final = 4
_DELTAS: Final = ("text", "partial_json", "thinking")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens of one answer, as the API counts them. cache_write: kept for 5 minutes; cache_write_1h: for an hour."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0


@dataclass(frozen=True, kw_only=True)
class Price:
    """Micro-dollars per million tokens. cache_write_1h None: eight fifths of cache_write, as in the list prices."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int | None = None

    def of(self, usage: Usage) -> int:
        """Micro-dollars for that usage, rounded up."""
        hour = -(-self.cache_write * 8 // 5) if self.cache_write_1h is None else self.cache_write_1h
        total = (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_read * self.cache_read
            + usage.cache_write * self.cache_write
            + usage.cache_write_1h * hour
        )
        return -(-total // _MILLION)


@dataclass(frozen=True, kw_only=True)
class PriceTable:
    """Prices by the beginning of a model's id; the longest that fits counts."""

    prices: Mapping[str, Price]
    _told: set[str] = field(default_factory=set, repr=False, compare=False)

    def cost(self, model: str, usage: Usage) -> int:
        """Micro-dollars, rounded up. A model that is in no row costs what the dearest row says: never too little."""
        known = [name for name in self.prices if model.startswith(name)]
        if known:
            return self.prices[max(known, key=len)].of(usage)
        if model not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add(model)
            _LOG.warning("no price for model %r: it is counted at the dearest; set ASHIGARU_PRICES", model)
        return max((price.of(usage) for price in self.prices.values()), default=0)


def merged(usage: Usage, told: object) -> Usage:
    """`usage` with the fields that `told` (a JSON `usage` object) speaks of; counts are totals, not differences."""
    if not isinstance(told, dict):
        return usage
    written = _count(told, "cache_creation_input_tokens", usage.cache_write + usage.cache_write_1h)
    by_age = told.get("cache_creation")
    hour = _count(by_age, "ephemeral_1h_input_tokens", 0) if isinstance(by_age, dict) else usage.cache_write_1h
    hour = min(hour, written)
    return replace(
        usage,
        input=_count(told, "input_tokens", usage.input),
        output=_count(told, "output_tokens", usage.output),
        cache_read=_count(told, "cache_read_input_tokens", usage.cache_read),
        cache_write=written - hour,
        cache_write_1h=hour,
    )


def _count(told: Mapping[str, Any], key: str, otherwise: int) -> int:
    value = told.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_TOKENS:
        return value
    return otherwise


class Meter:
    """Reads usage and model off a good answer as its bytes go by.

    An answer that was cut off is worth what was known by then, and its output is guessed from the bytes that came:
    else whoever hangs up before the last line would be answered for nothing.
    """

    def __init__(self, model: str, *, stream: bool, request_bytes: int = 0) -> None:
        """model: what was asked for, until the answer says what it is. request_bytes: size of the question."""
        self.model = model
        self.usage = Usage()
        self.error = ""
        """The API's word for an error in mid-stream, or ""."""
        self._stream = stream
        self._request_bytes = request_bytes
        self._held = bytearray()
        self._begun = self._ended = False
        self._answered = 0

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes of the answer's body."""
        self._held += chunk
        if not self._stream:
            if len(self._held) > _MAX_WHOLE:
                self._held.clear()
            return
        if b"\n" in chunk:
            *lines, rest = bytes(self._held).split(b"\n")
            self._held = bytearray(rest)
            for line in lines:
                if line.startswith(b"data:"):
                    self._told(_parsed(line[5:]))
        if len(self._held) > _MAX_LINE:
            self._held.clear()

    def finish(self) -> None:
        """There is nothing more."""
        if not self._stream:
            whole = _parsed(bytes(self._held))
            self._begun = self._ended = "usage" in whole
            self._told(whole)
        if not self._begun:
            self.usage = replace(self.usage, input=max(self.usage.input, self._request_bytes // _BYTES_A_TOKEN))
        if not self._ended:
            guessed = -(-self._answered // _BYTES_A_TOKEN)
            self.usage = replace(self.usage, output=max(self.usage.output, guessed))

    def _told(self, event: dict[str, Any]) -> None:
        message: object = event
        match event.get("type"):
            case "message_start":
                self._begun = True
                message = event.get("message")
            case "message_delta":
                self._ended = True
            case "content_block_delta":
                delta = event.get("delta")
                if isinstance(delta, dict):
                    self._answered += sum(
                        len(text.encode()) for key in _DELTAS if isinstance(text := delta.get(key), str)
                    )
            case "error":
                told = event.get("error")
                self.error = str(told.get("type", "api_error"))[:100] if isinstance(told, dict) else "api_error"
            case _:
                pass
        if not isinstance(message, dict):
            return
        model = message.get("model")
        if isinstance(model, str) and model:
            self.model = model[:200]
        self.usage = merged(self.usage, message.get("usage"))


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
