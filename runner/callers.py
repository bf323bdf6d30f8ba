"""Who asks, and what they may: tokens, their scopes, and whose runs they see. Decides only; the port keeps tokens.

A token reads `ashigaru_<id>_<secret>`: 48 bits that name it and 256 that prove it, so that a plain SHA-256 of it can be
kept. Its name is who asks: a token of the same name as an earlier one takes its place, runs and all.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from runner.errors import BadIntent

OPERATOR_NAME: Final = "operator"
MAX_TOKENS: Final = 1000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHOWN: Final = re.compile(r"ashigaru_([0-9a-f]{12})_[0-9a-f]{64}")
_LIFE: Final = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNIT_S: Final = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_MAX_LIFE_S: Final = 3660 * 86400.0


class Scope(StrEnum):
    """What a token may be used for; none of them implies another."""

    READ = "read"
    """Look at runs: status, list_runs, logs, diff, the pages."""
    DISPATCH = "dispatch"
    """Have agents work: work_ticket, retry, request_changes, cancel."""
    PROMOTE = "promote"
    """Merge what was judged."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody who asks. own_runs: of runs, only those dispatched under this name exist for them."""

    name: str
    scopes: frozenset[Scope]
    own_runs: bool = False

    def sees(self, owner: str | None) -> bool:
        """Whether a run dispatched by `owner` exists for this caller; None: there is no such run."""
        return not self.own_runs or owner == self.name


OPERATOR: Final = Caller(name=OPERATOR_NAME, scopes=frozenset(Scope))
"""Whoever holds the daemon's own token, or reaches it from its own machine where it wants none."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token as it is kept: without its secret. digest: SHA-256 of the whole token, hex. Times: UTC seconds."""

    id: str
    name: str
    digest: str
    scopes: frozenset[Scope]
    own_runs: bool
    created_at: float
    expires_at: float
    revoked_at: float | None = None

    def is_live(self, now: float) -> bool:
        """Whether it opens anything at `now`."""
        return self.revoked_at is None and now < self.expires_at


class Tokens(Protocol):
    """Where tokens are kept."""

    def add(self, token: Token) -> None:
        """Keep the token. Raises NotPossible where MAX_TOKENS are kept."""

    def find(self, token_id: str) -> Token | None:
        """The token of that id, live or not."""

    def all(self) -> list[Token]:
        """Every token, the newest first."""

    def revoke(self, token_id: str, at: float) -> Token | None:
        """Have the token open nothing from `at` on, and return it; a second time changes nothing. None: no such."""


def mint(name: str, *, scopes: frozenset[Scope], own_runs: bool, life_s: float, now: float) -> tuple[Token, str]:
    """A new token: what is kept of it, and the text that is shown once."""
    identity = secrets.token_hex(6)
    text = f"ashigaru_{identity}_{secrets.token_hex(32)}"
    token = Token(
        id=identity,
        name=name,
        digest=digest_of(text),
        scopes=scopes,
        own_runs=own_runs,
        created_at=now,
        expires_at=now + life_s,
    )
    return token, text


def digest_of(text: str) -> str:
    """What is kept of a token's text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def is_digest_of(digest: str, text: str) -> bool:
    """Whether the digest was made of that text; in constant time."""
    return hmac.compare_digest(digest, digest_of(text))


def token_id(text: str) -> str | None:
    """The id that the text names; None where it is no token's text at all."""
    named = _SHOWN.fullmatch(text)
    return None if named is None else named.group(1)


def caller_name(value: str) -> str:
    """A name that a token may have. Raises BadIntent."""
    if value == OPERATOR_NAME or not _NAME.fullmatch(value):
        raise BadIntent("name must be 1 to 64 lower-case letters, digits, dots, dashes; 'operator' is taken.")
    return value


def scopes_of(value: str) -> frozenset[Scope]:
    """The scopes of a list like `read,dispatch`. Raises BadIntent."""
    names = [part for part in value.replace(",", " ").split() if part]
    unknown = sorted(set(names) - {scope.value for scope in Scope})
    if unknown or not names:
        raise BadIntent(f"scopes must be some of {', '.join(Scope)}, with commas between.")
    return frozenset(Scope(name) for name in names)


def lifetime(value: str) -> float:
    """The seconds of a text like `90d`: minutes, hours, days or weeks, ten years at most. Raises BadIntent."""
    given = _LIFE.fullmatch(value)
    life_s = 0.0 if given is None else int(given.group(1)) * _UNIT_S[given.group(2)]
    if not 0 < life_s <= _MAX_LIFE_S:
        raise BadIntent("expires must be a number of minutes, hours, days or weeks, like 30m, 12h, 90d or 8w.")
    return life_s
