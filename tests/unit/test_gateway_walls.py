"""The model gateway over the real client, and as the runner sees it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.errors import BadIntent
from runner.gateway.access import GatewayAccess, gateways
from runner.gateway.cassette import parse_cassette
from runner.gateway.egress import Egress
from runner.gateway.loop import GatewayLoop
from runner.gateway.upstream import Anthropic, Replay
from runner.model_access import Allowance
from tests.fakes.gateway_rig import (
    BODY,
    KEY,
    PLACEHOLDER,
    PRICES,
    house,
)
from tests.fakes.spending import MemorySpending
from tests.fakes.upstream import (
    AnsweringUpstream,
)


@contextmanager
def canned_api(loop: GatewayLoop, reply: bytes, seen: list[bytes]) -> Iterator[str]:
    """An HTTP server that says the same to everybody; gives its base URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        seen.append(head + await reader.readexactly(length))
        writer.write(reply)
        await writer.drain()
        writer.close()

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(answer, "127.0.0.1", 0)

    server = loop.run(serve())
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:

        async def stop() -> None:
            server.close()

        loop.run(stop())


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}", 200),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", 302),
        (b"gibberish\r\n\r\n", 529),
        (b"", 529),
    ],
)
def test_the_real_client_asks_the_api_and_only_the_api(tmp_path: Path, reply: bytes, status: int) -> None:
    seen: list[bytes] = []
    outside = GatewayLoop()
    outside.start()
    try:
        with canned_api(outside, reply, seen) as url, house(tmp_path, Anthropic(url)) as one:
            response = one.ask(one.grant())
            assert response.status_code == status
            assert "127.0.0.1" not in response.text + str(response.headers)
        assert len(seen) == 1
        assert seen[0].startswith(b"POST /v1/messages?beta=true HTTP/1.1\r\n")
        assert b"x-api-key: sk-real\r\n" in seen[0]
        assert seen[0].endswith(BODY)
    finally:
        outside.close()


def test_an_api_that_nobody_serves_is_an_overload(tmp_path: Path) -> None:
    with house(tmp_path, Anthropic("http://127.0.0.1:9")) as one:
        assert one.ask(one.grant()).status_code == 529


def test_an_upstream_that_needs_a_token_does_not_start_without_one() -> None:
    with (
        pytest.raises(BadIntent, match="No model token"),
        gateways(
            upstream=Anthropic("http://127.0.0.1:9"),
            credential=None,
            prices=PRICES,
            spending=MemorySpending(),
            egress=Egress(allowed=frozenset(), private_hosts=frozenset()),
        ),
    ):
        pass


def test_a_cassette_answers_through_the_runners_port(tmp_path: Path) -> None:
    play = parse_cassette(b'version=1\n[[script]]\n[[script.turn]]\ntext="At your service."\n', "x")
    told: dict[str, Any] = {"model": "claude-sonnet-5-5", "messages": [], "tools": [{"name": "Read"}]}
    before = threading.active_count()
    with gateways(
        upstream=Replay(cassette=play),
        credential=None,
        prices=PRICES,
        spending=MemorySpending(),
        egress=Egress(allowed=frozenset(), private_hosts=frozenset()),
    ) as walls:
        access: GatewayAccess = walls.model
        allowance = Allowance(
            run_id="r",
            attempt=1,
            repo="widgets",
            model="sonnet",
            effort="medium",
            placeholder=PLACEHOLDER,
            sockets=tmp_path / "s",
            run_micro_usd=1_000_000,
        )
        access.open(allowance)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(tmp_path / "s" / "model.sock"))) as client:
            response = client.post("http://g/v1/messages", json=told, headers={"x-api-key": PLACEHOLDER})
        assert response.json()["content"] == [{"type": "text", "text": "At your service."}]
        assert (access.failure("r", 1), access.refused("r", 1)) == (None, None)
        access.shut("r", 1)
    assert threading.active_count() == before


def test_closing_twice_is_safe_and_the_credential_is_never_shown(tmp_path: Path) -> None:
    with house(tmp_path, AnsweringUpstream()) as one:
        one.grant()
        one.gateway.close()
        one.gateway.close()
    assert "sk-real" not in repr(KEY)
