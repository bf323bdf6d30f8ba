"""What a model's answer costs, read from the answer itself. Pure, and it delays no byte.

Usage fields and their meaning: the Messages API reference, "Streaming messages" and "Prompt caching".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

_MILLION: Final = 1_000_000
_MAX_LINE: Final = 4 * 1024 * 1024
_MAX_TOKENS: Final = 10**9


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens of one answer, as the API counts them."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, kw_only=True)
class Price:
    """Micro-dollars per million tokens."""

    input: int
    output: int
    cache_read: int
    cache_write: int


@dataclass(frozen=True, kw_only=True)
class PriceTable:
    """Prices by the beginning of a model's id; the longest that fits counts."""

    prices: Mapping[str, Price]

    def cost(self, model: str, usage: Usage) -> int:
        """Micro-dollars, rounded up. A model that is in no row costs what the dearest row says: never too little."""
        known = [name for name in self.prices if model.startswith(name)]
        if known:
            return _cost(self.prices[max(known, key=len)], usage)
        return max((_cost(price, usage) for price in self.prices.values()), default=0)


def _cost(price: Price, usage: Usage) -> int:
    total = (
        usage.input * price.input
        + usage.output * price.output
        + usage.cache_read * price.cache_read
        + usage.cache_write * price.cache_write
    )
    return -(-total // _MILLION)


class Ledger(Protocol):
    """Where money is remembered, by run."""

    def spent(self, run_id: str) -> int:
        """Micro-dollars spent for the run so far."""

    def add(self, run_id: str, attempt: int, micro_usd: int) -> None:
        """Remember that much more."""


def merged(usage: Usage, told: object) -> Usage:
    """`usage` with the fields that `told` (a JSON `usage` object) speaks of; counts are totals, not differences."""
    if not isinstance(told, dict):
        return usage

    def count(key: str, otherwise: int) -> int:
        value = told.get(key)
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_TOKENS
        return value if good else otherwise  # type: ignore[return-value]

    return replace(
        usage,
        input=count("input_tokens", usage.input),
        output=count("output_tokens", usage.output),
        cache_read=count("cache_read_input_tokens", usage.cache_read),
        cache_write=count("cache_creation_input_tokens", usage.cache_write),
    )


class Meter:
    """Reads usage and model off an answer as its bytes go by; a cut answer is worth what was known by then."""

    def __init__(self, model: str, *, stream: bool) -> None:
        """model: what was asked for, until the answer says what it is."""
        self.model = model
        self.usage = Usage()
        self._stream = stream
        self._held = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes of the answer's body."""
        self._held += chunk
        if self._stream:
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
            self._told(_parsed(bytes(self._held)))

    def _told(self, event: dict[str, Any]) -> None:
        message = event.get("message") if event.get("type") == "message_start" else event
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
