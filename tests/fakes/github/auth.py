"""Who is asking, and may they: tokens, app JWTs, installation tokens."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from enum import StrEnum

import jwt

from tests.fakes.github.answers import Refused
from tests.fakes.github.world import App, Repo, World

_ORDER = ("none", "read", "write", "admin")
_NEEDED_LEVEL = {"read": "read", "write": "write", "admin": "admin"}
_PUBLIC = {"contents", "metadata", "issues", "pull_requests", "checks", "statuses", "actions"}
MAX_JWT_S = 600
# GitHub allows a minute of drift before a token is from the future.
DRIFT_S = 60


class Kind(StrEnum):
    """How somebody is known."""

    NOBODY = "nobody"
    CLASSIC = "classic"
    FINE_GRAINED = "fine-grained"
    INSTALLATION = "installation"
    APP = "app"


@dataclass(frozen=True, kw_only=True)
class Token:
    """A credential. repos: ids it is good for, None: all that its owner sees. permissions: of all but classic ones."""

    kind: Kind
    login: str | None
    app: str | None = None
    scopes: tuple[str, ...] = ()
    repos: frozenset[int] | None = None
    permissions: dict[str, str] = field(default_factory=dict)
    expires: float | None = None
    installation: int | None = None
    label: str = ""


NOBODY = Token(kind=Kind.NOBODY, login=None, label="nobody")


def credential(authorization: str) -> str:
    """The secret in an Authorization header: token, bearer, or the password of Basic; "" where there is none."""
    scheme, _, given = authorization.strip().partition(" ")
    match scheme.lower():
        case "token" | "bearer":
            return given.strip()
        case "basic":
            try:
                decoded = base64.b64decode(given.strip(), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return "?"
            user, _, password = decoded.partition(":")
            return password if password and password != "x-oauth-basic" else user
        case "":
            return ""
        case _:
            return "?"


def identified(secret: str, tokens: dict[str, Token], world: World, now: float) -> Token:
    """Whose credential it is. Refuses (401) what is unknown, revoked or expired."""
    if not secret:
        return NOBODY
    if secret.count(".") == 2:
        return Token(kind=Kind.APP, login=None, app=_app_of(secret, world, now).slug, label="app")
    token = tokens.get(secret)
    if token is None or (token.expires is not None and token.expires <= now):
        raise Refused(401, "Bad credentials")
    return token


def _app_of(secret: str, world: World, now: float) -> App:
    try:
        unverified = jwt.decode(secret, options={"verify_signature": False})
        issuer = str(unverified.get("iss", ""))
        app = next((one for one in world.apps.values() if str(one.id) == issuer and one.public_key), None)
        if app is None or app.public_key is None:
            raise Refused(404, "Integration not found")
        times = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
        claims = jwt.decode(secret, app.public_key, algorithms=["RS256"], options=times)
        issued, expires = float(claims["iat"]), float(claims["exp"])
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        raise Refused(401, "A JSON web token could not be decoded") from None
    if expires <= now:
        raise Refused(401, "'Expiration time' claim ('exp') must be a numeric value representing the future time")
    if expires > now + MAX_JWT_S + DRIFT_S:
        raise Refused(401, "'Expiration time' claim ('exp') is too far in the future")
    if issued > now + DRIFT_S:
        raise Refused(401, "'Issued at' claim ('iat') must be an Integer representing the past time")
    return app


def sees(token: Token, repo: Repo) -> bool:
    """Whether the repository exists as far as the asker can tell."""
    if not repo.private:
        return True
    match token.kind:
        case Kind.NOBODY | Kind.APP:
            return False
        case Kind.CLASSIC:
            return "repo" in token.scopes and repo.allows(token.login, "read")
        case Kind.FINE_GRAINED:
            return _named(token, repo) and repo.allows(token.login, "read")
        case Kind.INSTALLATION:
            return _named(token, repo)


def demand(token: Token, repo: Repo, need: str) -> None:
    """Refuse what the asker may not do. need: "area:access", such as "pull_requests:write"."""
    area, _, access = need.partition(":")
    if token.kind is Kind.APP:
        raise Refused(401, "Bad credentials")
    # What is public is public, whatever a token was given.
    if access == "read" and area in _PUBLIC and not repo.private:
        return
    if token.kind is Kind.NOBODY:
        raise Refused(401, "Requires authentication")
    if token.kind is Kind.CLASSIC:
        if not ({"repo"} if repo.private else {"repo", "public_repo"}) & set(token.scopes):
            raise Refused(404, "Not Found")
    elif not _named(token, repo) or not _enough(token, area, access):
        who = "integration" if token.kind is Kind.INSTALLATION else "personal access token"
        raise Refused(403, f"Resource not accessible by {who}")
    if token.kind is not Kind.INSTALLATION:
        _demand_level(token, repo, area, access)


def _demand_level(token: Token, repo: Repo, area: str, access: str) -> None:
    # Anybody who can read may open issues, comment and propose; what needs more asks for itself.
    level = "read" if access == "write" and area in {"issues", "pull_requests"} else _NEEDED_LEVEL[access]
    if not repo.allows(token.login, level):
        raise Refused(403, "Must have admin rights to Repository." if access == "admin" else "Resource not accessible")


def _named(token: Token, repo: Repo) -> bool:
    return token.repos is None or repo.id in token.repos


def _enough(token: Token, area: str, access: str) -> bool:
    if area == "metadata":
        return True
    return _ORDER.index(token.permissions.get(area, "none")) >= _ORDER.index(access)
