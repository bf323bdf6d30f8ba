"""A real model gateway with one grant open, and a client of its socket as a sandbox has one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from runner.gateway import exchange
from runner.gateway.exchange import Credential, Grant
from runner.gateway.loop import GatewayLoop
from runner.gateway.metering import Price, PriceTable
from runner.gateway.model_gateway import ModelGateway
from runner.gateway.passing import Passing
from runner.gateway.upstream import Asked, Upstream
from runner.spending import Spending
from tests.attack.case import Attempt, Case, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.taking_out import replaced
from tests.fakes.spending import MemorySpending
from tests.fakes.upstream import AnsweringUpstream

KEY = "sk-the-real-one"
BUDGET = 1_000_000

PLACEHOLDER = "ashigaru-placeholder"

SHOWN = {"x-api-key": PLACEHOLDER}

PRICES = PriceTable(prices={"claude-": Price(input=1_000_000, output=1_000_000, cache_read=0, cache_write=0)})

ASKED: dict[str, Any] = {"model": "claude-sonnet-5-5", "max_tokens": 10, "stream": False}


def gateway_case(defence: str, vector: str, tried: str, attempt: Attempt, deadline_s: float = 30.0) -> Case:
    return Case(group="C", defence=defence, vector=vector, tried=tried, attempt=attempt, deadline_s=deadline_s)


@dataclass(frozen=True, kw_only=True)
class House:
    gateway: ModelGateway
    grant: Grant
    client: httpx.Client
    books: Spending

    def ask(
        self,
        told: Mapping[str, Any] | bytes,
        *,
        method: str = "POST",
        path: str = "/v1/messages",
        shown: Mapping[str, str] = SHOWN,
    ) -> httpx.Response:
        body = told if isinstance(told, bytes) else json.dumps(dict(told)).encode()
        return self.client.request(method, path, content=body, headers=dict(shown))


@contextmanager
def house(
    ground: Ground, upstream: Upstream, *, books: Spending | None = None, idle_s: float = 60.0
) -> Iterator[House]:
    """A gateway of the case's own, its run with a budget of BUDGET micro-dollars."""
    loop = GatewayLoop()
    loop.start()
    kept = MemorySpending() if books is None else books
    gateway = ModelGateway(loop, upstream, Credential(kind="api_key", value=KEY), PRICES, kept, idle_s=idle_s)
    where = ground.directory() / "model.sock"
    grant = Grant(
        run_id="r",
        attempt=1,
        repo="widgets",
        model="sonnet",
        effort="medium",
        placeholder=PLACEHOLDER,
        socket=where,
        run_micro_usd=BUDGET,
    )
    try:
        gateway.open(grant)
        transport = httpx.HTTPTransport(uds=str(where))
        with httpx.Client(transport=transport, base_url="http://gateway", timeout=8.0) as client:
            yield House(gateway=gateway, grant=grant, client=client, books=kept)
    finally:
        gateway.close()
        loop.run(upstream.close())
        loop.close()


def passed_on(asked: list[Asked], answer: httpx.Response) -> Outcome:
    if asked:
        return Through(what=f"the model API was asked at {asked[-1].path} with the real key")
    return Stopped(by=f"{answer.status_code} {answer.text}")


def refused(told: Mapping[str, Any] | bytes, named: Mapping[str, Any], ground: Ground) -> Outcome:
    upstream = AnsweringUpstream()
    with house(ground, upstream) as one:
        return passed_on(upstream.asked, one.ask(told, **named))


def passing_with(**changed: Any) -> Any:
    return lambda: replaced((exchange, "Passing", lambda **named: Passing(**(named | changed))))
