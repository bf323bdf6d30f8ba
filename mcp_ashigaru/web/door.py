"""Who may come in, and with how much: decided from a request's path and headers alone.

What is not named here wants a token: a route that somebody adds is closed until somebody opens it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

HEALTH: Final = "/healthz"
WEBHOOKS: Final = "/webhooks/github"
_MCP: Final = re.compile(r"/mcp(?:/.*)?", re.DOTALL)
_PAGE: Final = re.compile(r"/forge/[^\x00-\x1f]+/pulls/[0-9]+/?")
_GIT: Final = re.compile(r"/forge/[^\x00-\x1f]+\.git/(?:info/refs|git-upload-pack|git-receive-pack)")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
MCP_BODY: Final = 4 * 1024 * 1024
WEBHOOK_BODY: Final = 1024 * 1024
OTHER_BODY: Final = 64 * 1024


class Guard(StrEnum):
    """What a route wants of who asks."""

    NOTHING = "nothing"
    """It tells nothing that matters."""
    ITS_OWN = "its own"
    """A credential that the route itself checks: git's password, the signature of a webhook."""
    TOKEN = "token"  # noqa: S105 - a kind of guard
    """A bearer token; the tool that is called wants a scope besides."""
    PAGE = "page"
    """A token with the scope read; a browser may show it as the password that it asks a person for."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a route is served. max_body: in bytes; None: the route reads as it comes, and has bounds of its own."""

    guard: Guard
    max_body: int | None = OTHER_BODY


def terms_of(path: str) -> Terms:
    """The terms of the decoded path."""
    if path == HEALTH:
        return Terms(guard=Guard.NOTHING)
    if path == WEBHOOKS:
        return Terms(guard=Guard.ITS_OWN, max_body=WEBHOOK_BODY)
    if _GIT.fullmatch(path):
        return Terms(guard=Guard.ITS_OWN, max_body=None)
    if _PAGE.fullmatch(path):
        return Terms(guard=Guard.PAGE)
    return Terms(guard=Guard.TOKEN, max_body=MCP_BODY if _MCP.fullmatch(path) else OTHER_BODY)


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the daemon is called. hosts: in lower case, each without a port or with the only one it is called with."""

    hosts: frozenset[str]

    @classmethod
    def of_listener(cls, host: str, extra: Sequence[str]) -> Names:
        """The names of a daemon that listens on `host`."""
        named = {f"[{host}]" if ":" in host else host} - {"0.0.0.0", "[::]"}  # noqa: S104 - recognised, not bound
        return cls(hosts=frozenset(one.lower() for one in (*_LOOPBACK, *named, *extra)))

    def admit_host(self, hosts: Sequence[str]) -> bool:
        """Whether the Host headers are one, and name us."""
        return len(hosts) == 1 and self._ours(hosts[0])

    def admit_origin(self, origins: Sequence[str]) -> bool:
        """Whether a browser's page may ask: no Origin at all, or one of our own hosts."""
        if not origins:
            return True
        try:
            return len(origins) == 1 and self._ours(urlsplit(origins[0]).netloc)
        except ValueError:
            return False

    def _ours(self, host: str) -> bool:
        named = host.lower()
        bare = named.rsplit(":", 1)[0] if not named.endswith("]") else named
        return named in self.hosts or bare in self.hosts


def shown_token(authorization: Sequence[str], guard: Guard) -> str | None:
    """The token that the Authorization headers show, "" for none that could be one; None where there is no header."""
    if not authorization:
        return None
    scheme, _, given = authorization[0].partition(" ")
    match scheme.lower():
        case "bearer" if len(authorization) == 1:
            return given.strip()
        case "basic" if len(authorization) == 1 and guard is Guard.PAGE:
            return _password(given.strip())
        case _:
            return ""


def _password(credential: str) -> str:
    try:
        return base64.b64decode(credential, validate=True).partition(b":")[2].decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return ""
