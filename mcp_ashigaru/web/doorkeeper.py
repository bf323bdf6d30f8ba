"""The one layer around the whole ASGI app: Host, Origin and bearer token, before any route is reached.

The SDK guards /mcp only; its custom routes and everything mounted beside it would otherwise answer a foreign Host
(DNS rebinding).
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, kw_only=True)
class Door:
    """Who may come in. hosts: accepted Host names, without port or with one. token: required for /mcp if not None."""

    hosts: frozenset[str]
    token: str | None

    @classmethod
    def for_listener(cls, host: str, extra: Sequence[str], token: str | None) -> Door:
        """The door of a daemon listening on `host`."""
        named = {f"[{host}]" if ":" in host else host} - {"0.0.0.0", "[::]"}  # noqa: S104 - recognised, not bound
        return cls(hosts=frozenset({*_LOOPBACK, *named, *extra}), token=token)

    def admits_host(self, host: str) -> bool:
        """Whether the Host header names us."""
        bare = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return host in self.hosts or bare in self.hosts

    def admits_origin(self, origin: str | None) -> bool:
        """Whether a browser's page may ask: no Origin at all, or one of our own hosts."""
        return origin is None or self.admits_host(urlsplit(origin).netloc)

    def admits_token(self, authorization: str | None) -> bool:
        """Whether the Authorization header holds the token."""
        if self.token is None:
            return True
        scheme, _, given = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token.encode())


class Doorkeeper:
    """ASGI middleware that keeps `Door`."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        """Stand before `app`."""
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer 421 (Host), 403 (Origin) or 401 (token)."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            refusal = self._refusal(headers, scope["path"])
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        elif scope["type"] == "websocket":
            return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers, path: str) -> PlainTextResponse | None:
        if not self._door.admits_host(headers.get("host", "")):
            return PlainTextResponse("This daemon does not answer to that Host; set ASHIGARU_ALLOWED_HOSTS.", 421)
        if not self._door.admits_origin(headers.get("origin")):
            return PlainTextResponse("Requests from that Origin are refused.", 403)
        guarded = path == "/mcp" or path.startswith("/mcp/")
        if guarded and not self._door.admits_token(headers.get("authorization")):
            return PlainTextResponse(
                "A bearer token is needed; see ASHIGARU_MCP_TOKEN_FILE.", 401, {"WWW-Authenticate": "Bearer"}
            )
        return None
