"""A model gateway on sockets of its own, before an upstream that a test chooses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from runner.gateway.exchange import Credential, Grant
from runner.gateway.loop import GatewayLoop
from runner.gateway.metering import Price, PriceTable
from runner.gateway.model_gateway import ModelGateway
from runner.gateway.upstream import Upstream
from tests.fakes.spending import MemorySpending
from tests.fakes.upstream import (
    PATIENCE_S,
    event,
    whole,
)

PRICES = PriceTable(prices={"claude-": Price(input=1_000_000, output=1_000_000, cache_read=0, cache_write=0)})
KEY = Credential(kind="api_key", value="sk-real")
PLACEHOLDER = "ashigaru-placeholder"
SHOWN = {"x-api-key": PLACEHOLDER}
BODY = json.dumps({"model": "claude-sonnet-5-5", "max_tokens": 10, "stream": False}).encode()
STREAMED = json.dumps({"model": "claude-sonnet-5-5", "max_tokens": 10, "stream": True}).encode()
START = event({"type": "message_start", "message": {"model": "claude-x", "usage": {"input_tokens": 40}}})
SAID = event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "y" * 80}})
ENDED = event({"type": "message_delta", "usage": {"output_tokens": 2}})
SSE = {"content-type": "text/event-stream; charset=utf-8"}
COSTS_SIX = whole({"input_tokens": 4, "output_tokens": 2})


@dataclass(kw_only=True)
class House:
    """A gateway with one grant open."""

    loop: GatewayLoop
    gateway: ModelGateway
    books: MemorySpending
    home: Path
    budget: int = 1_000_000
    grants: list[Grant] = field(default_factory=list)

    def grant(
        self,
        run_id: str = "r",
        attempt: int = 1,
        budget: int | None = None,
        patience_s: float = 60.0,
        placeholder: str = PLACEHOLDER,
    ) -> Grant:
        made = Grant(
            run_id=run_id,
            attempt=attempt,
            repo="widgets",
            model="sonnet",
            effort="medium",
            placeholder=placeholder,
            socket=self.home / f"{run_id}-{attempt}" / "model.sock",
            run_micro_usd=self.budget if budget is None else budget,
            patience_s=patience_s,
        )
        self.gateway.open(made)
        return made

    @contextmanager
    def client(self, grant: Grant) -> Iterator[httpx.Client]:
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(grant.socket)), base_url="http://gateway", timeout=PATIENCE_S
        ) as client:
            yield client

    def ask(
        self,
        grant: Grant,
        body: bytes = BODY,
        path: str = "/v1/messages?beta=true",
        shown: Mapping[str, str] = SHOWN,
    ) -> httpx.Response:
        with self.client(grant) as client:
            return client.post(path, content=body, headers=dict(shown))

    def settled(self) -> int:
        """What run "r" has spent once everything that was answered is on the books."""
        self.gateway.close()
        return self.books.spent("r")


@contextmanager
def house(
    home: Path,
    upstream: Upstream,
    *,
    credential: Credential | None = KEY,
    books: MemorySpending | None = None,
    idle_s: float = 300.0,
) -> Iterator[House]:
    loop = GatewayLoop()
    loop.start()
    kept = MemorySpending() if books is None else books
    gateway = ModelGateway(loop, upstream, credential, PRICES, kept, idle_s=idle_s)
    try:
        yield House(loop=loop, gateway=gateway, books=kept, home=home)
    finally:
        gateway.close()
        loop.run(upstream.close())
        loop.close()


def error_of(response: httpx.Response) -> str:
    told = response.json()
    assert told["type"] == "error"
    return str(told["error"]["type"])
