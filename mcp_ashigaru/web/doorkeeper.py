"""The one layer around the whole ASGI app: Host, Origin and bearer token, before any route is reached.

The SDK guards /mcp only; its custom routes and everything mounted beside it would otherwise answer a foreign Host
(DNS rebinding).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_PAGE = re.compile(r"/forge/.+/pulls/[0-9]+/?")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, kw_only=True)
class Door:
    """Who may come in.

    hosts: accepted Host names in lower case, without port or with one. token: if not None, /mcp wants it as a bearer
    token, and the forge's pages want it so or as the password that a browser asks for. The forge's git has a
    credential of its own.
    """

    hosts: frozenset[str]
    token: str | None

    @classmethod
    def for_listener(cls, host: str, extra: Sequence[str], token: str | None) -> Door:
        """The door of a daemon listening on `host`."""
        named = {f"[{host}]" if ":" in host else host} - {"0.0.0.0", "[::]"}  # noqa: S104 - recognised, not bound
        return cls(hosts=frozenset(one.lower() for one in (*_LOOPBACK, *named, *extra)), token=token)

    def admits_host(self, host: str) -> bool:
        """Whether the Host header names us."""
        named = host.lower()
        bare = named.rsplit(":", 1)[0] if not named.endswith("]") else named
        return named in self.hosts or bare in self.hosts

    def admits_origin(self, origin: str | None) -> bool:
        """Whether a browser's page may ask: no Origin at all, or one of our own hosts."""
        if origin is None:
            return True
        try:
            return self.admits_host(urlsplit(origin).netloc)
        except ValueError:
            return False

    def admits_token(self, authorization: str | None, *, password: bool = False) -> bool:
        """Whether the Authorization header holds the token; with `password`, as a Basic password too."""
        if self.token is None:
            return True
        scheme, _, given = (authorization or "").partition(" ")
        match scheme.lower():
            case "bearer":
                shown = given.strip().encode()
            case "basic" if password:
                shown = _password(given.strip())
            case _:
                return False
        return hmac.compare_digest(shown, self.token.encode())


def _password(credential: str) -> bytes:
    try:
        return base64.b64decode(credential, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


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
        shown = headers.get("authorization")
        if (path == "/mcp" or path.startswith("/mcp/")) and not self._door.admits_token(shown):
            return _wanted("Bearer")
        if _PAGE.fullmatch(path) and not self._door.admits_token(shown, password=True):
            return _wanted('Basic realm="ashigaru", charset="UTF-8"')
        return None


def _wanted(challenge: str) -> PlainTextResponse:
    return PlainTextResponse(
        "A bearer token is needed; see ASHIGARU_MCP_TOKEN_FILE.", 401, {"WWW-Authenticate": challenge}
    )
