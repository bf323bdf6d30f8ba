"""The one layer around the whole ASGI app, before any route is reached: Host, Origin, token, body.

The SDK guards /mcp only; its custom routes and everything mounted beside it would otherwise answer a foreign Host
(DNS rebinding), nobody in particular, and a body without end. Nothing of a body is read for who may not come in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio.to_thread
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_ashigaru.toolsets.asking import CALLER
from mcp_ashigaru.web.body import BODY_S, Lacking, Whole, impatient, replayed, whole_body
from mcp_ashigaru.web.door import Guard, Names, Terms, shown_token, terms_of
from runner import callers
from runner.callers import OPERATOR, Caller
from runner.errors import RunnerError


@dataclass(frozen=True, kw_only=True)
class Door:
    """Who may come in. caller: whose token that is, None for nobody's; it may block, and raise RunnerError.

    ask_nobody: whoever shows no token is the operator (on loopback, where no token of the daemon's own is set).
    """

    names: Names
    caller: Callable[[str], Caller | None]
    ask_nobody: bool
    body_s: float = BODY_S


class Doorkeeper:
    """ASGI middleware that keeps `Door`."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        """Stand before `app`."""
        self.app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer 421 (Host), 403 (Origin, scope), 401 (token), 413 or 408 (body)."""
        match scope["type"]:
            case "lifespan":
                await self.app(scope, receive, send)
            case "http":
                refusal = await self._serve(scope, receive, send)
                if refusal is not None:
                    await refusal(scope, receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": "There are no websockets here."})
            case _:
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> PlainTextResponse | None:
        headers, terms = Headers(scope=scope), terms_of(scope["path"])
        if not self._door.names.admit_host(headers.getlist("host")):
            return PlainTextResponse("This daemon does not answer to that Host; set ASHIGARU_ALLOWED_HOSTS.", 421)
        if not self._door.names.admit_origin(headers.getlist("origin")):
            return PlainTextResponse("Requests from that Origin are refused.", 403)
        inner = scope
        if terms.guard in {Guard.TOKEN, Guard.PAGE}:
            caller = await self._caller(shown_token(headers.getlist("authorization"), terms.guard), terms)
            if isinstance(caller, PlainTextResponse):
                return caller
            inner = {**scope, CALLER: caller, "user": _principal(caller)}
        if terms.max_body is None:
            await self.app(inner, impatient(receive, self._door.body_s), send)
            return None
        declared = headers.get("content-length")
        match await whole_body(receive, declared, max_bytes=terms.max_body, within_s=self._door.body_s):
            case Whole(body=body):
                await self.app(inner, replayed(body, receive), send)
                return None
            case Lacking.TOO_LARGE:
                return _ending(f"The body is too large; {terms.max_body} bytes are taken here.", 413)
            case Lacking.TOO_SLOW:
                return _ending("The body did not come in time; send it again.", 408)
            case Lacking.GONE:
                return None

    async def _caller(self, shown: str | None, terms: Terms) -> Caller | PlainTextResponse:
        """Who asks, or what they are answered."""
        if shown is None:
            return OPERATOR if self._door.ask_nobody else _unknown(terms, wrong=False)
        try:
            caller = await anyio.to_thread.run_sync(self._door.caller, shown)
        except RunnerError as exc:
            return PlainTextResponse(str(exc), 503, {"Retry-After": "10"})
        if caller is None:
            return _unknown(terms, wrong=True)
        if terms.guard is Guard.PAGE and callers.Scope.READ not in caller.scopes:
            challenge = 'Bearer error="insufficient_scope", scope="read"'
            return PlainTextResponse("Your token lacks the scope read.", 403, {"WWW-Authenticate": challenge})
        return caller


def _principal(caller: Caller) -> AuthenticatedUser:
    """Who the SDK takes the caller for: a session is of no use to anybody but who began it."""
    return AuthenticatedUser(AccessToken(token="", client_id=caller.name, scopes=sorted(caller.scopes)))


def _unknown(terms: Terms, *, wrong: bool) -> PlainTextResponse:
    challenge = 'Bearer error="invalid_token"' if wrong else "Bearer"
    if terms.guard is Guard.PAGE:
        challenge = 'Basic realm="ashigaru", charset="UTF-8"'
    text = "That token is unknown, expired or revoked" if wrong else "A bearer token is needed"
    return PlainTextResponse(
        f"{text}; see `mcp-ashigaru token` and ASHIGARU_MCP_TOKEN_FILE.", 401, {"WWW-Authenticate": challenge}
    )


def _ending(text: str, status: int) -> PlainTextResponse:
    """An answer after which the connection, with what is still on its way, is closed."""
    return PlainTextResponse(text, status, {"Connection": "close"})
