"""Whoever was let in goes before what the daemon does for itself (`runner.precedence`)."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from runner.precedence import Precedence


class Foremost:
    """ASGI middleware; behind the door, so that whoever is not let in holds nothing up."""

    def __init__(self, app: ASGIApp, precedence: Precedence) -> None:
        """Stand before `app`."""
        self.app = app
        self._precedence = precedence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the app answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with self._precedence.first():
            await self.app(scope, receive, send)
