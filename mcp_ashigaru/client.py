"""A real MCP client of a running daemon, for the people's commands and the demo."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent


class CallRefused(Exception):
    """The daemon answered with a sentence instead of a result."""


class DaemonAway(Exception):
    """No daemon answers at that address."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Calls tools of one daemon."""

    client: Client

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The tool's structured answer. Raises CallRefused with the daemon's sentence."""
        given = {name: value for name, value in arguments.items() if value is not None}
        result = await self.client.call_tool(tool, given)
        if result.is_error:
            raise CallRefused(" ".join(b.text for b in result.content if isinstance(b, TextContent)))
        return dict(result.structured_content or {})


@asynccontextmanager
async def connect(url: str, token: str | None) -> AsyncIterator[Caller]:
    """A caller of the daemon at base URL `url`. Raises DaemonAway, CallRefused where the token opens nothing."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # Reading the authorities that the host trusts takes longer than the call, and http wants none of them.
    trust = httpx2.create_ssl_context() if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    timeout = httpx2.Timeout(30.0, read=360.0)
    try:
        async with httpx2.AsyncClient(timeout=timeout, verify=trust) as probe:
            answer = await probe.get(f"{url}/healthz")
            if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE:  # one that stands still answers what is asked
                answer.raise_for_status()
            # Whatever is not named open wants a token: the sentence is better than the SDK's of a failed handshake.
            greeting = await probe.get(f"{url}/", headers=headers)
    except httpx2.HTTPError as exc:
        raise DaemonAway(f"No daemon answers at {url}; start one with `mcp-ashigaru serve`.") from exc
    if greeting.status_code == httpx2.codes.UNAUTHORIZED:
        raise CallRefused(greeting.text)
    try:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=timeout, verify=trust) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
        ):
            yield Caller(client=client)
    except BaseExceptionGroup as group:
        # The SDK's task groups wrap whatever leaves the block, each once.
        raise _innermost(group) from None


def _innermost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
