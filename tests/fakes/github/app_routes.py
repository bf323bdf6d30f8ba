"""GitHub Apps over REST: the app itself, where it is installed, and the tokens of an installation."""

from __future__ import annotations

import secrets
from typing import Any

from tests.fakes.github import render
from tests.fakes.github.answers import Answer, Refused, not_found, paged
from tests.fakes.github.auth import Kind, Token, sees
from tests.fakes.github.clock import stamp
from tests.fakes.github.state import Call, Moved, Way, way
from tests.fakes.github.world import App, Installation, Repo

TOKEN_S = 3600
_ORDER = ("none", "read", "write", "admin")


def _asking(call: Call) -> App:
    if call.token.kind is not Kind.APP or call.token.app is None:
        raise Refused(401, "A JSON web token could not be decoded")
    return call.world.apps[call.token.app]


def the_app(call: Call) -> Answer:
    return Answer(body=render.app(call.links, call.world, _asking(call)))


def _own(call: Call) -> list[Installation]:
    app = _asking(call)
    return [one for one in call.world.installations.values() if one.app_id == app.id]


def installations(call: Call) -> Answer:
    rows = [render.installation(call.links, call.world, one) for one in _own(call)]
    return paged(rows, call.query, call.url)


def _named(call: Call) -> Repo | None:
    if "id" in call.part:
        return call.world.repos.get(int(call.part["id"]))
    name = f"{call.part['owner']}/{call.part['name']}"
    moved = call.world.moved_to(name)
    if call.world.repo(name) is None and moved is not None:
        raise Moved(f"{call.links.api}/repositories/{moved.id}/installation")
    return call.world.repo(name)


def installation(call: Call) -> Answer:
    """By its number, by a repository or by an account."""
    found = _own(call)
    if "installation" in call.part:
        found = [one for one in found if one.id == int(call.part["installation"])]
    elif "login" in call.part:
        found = [one for one in found if one.account == call.part["login"]]
    else:
        repo = _named(call)
        found = [
            one
            for one in found
            if repo is not None and one.account == repo.owner and (one.repos is None or repo.full_name in one.repos)
        ]
    if not found:
        raise not_found()
    return Answer(body=render.installation(call.links, call.world, found[0]))


def token_made(call: Call) -> Answer:
    """A token for an hour, for the repositories and permissions asked, which must be within the installation's."""
    app = _asking(call)
    one = next((one for one in _own(call) if one.id == int(call.part["installation"])), None)
    if one is None:
        raise not_found()
    if one.suspended:
        raise Refused(403, "This installation has been suspended")
    asked: dict[str, str] = call.body.get("permissions") or one.permissions
    for area, access in asked.items():
        if _ORDER.index(access) > _ORDER.index(one.permissions.get(area, "none")):
            raise Refused(422, "The permissions requested are not granted to this installation.")
    repos = _repositories(call, one)
    narrowed = bool(call.body.get("repositories") or call.body.get("repository_ids"))
    secret = f"ghs_{secrets.token_hex(18)}"
    expires = call.now + TOKEN_S
    call.state.tokens[secret] = Token(
        kind=Kind.INSTALLATION,
        login=None,
        app=app.slug,
        repos=repos,
        permissions={"metadata": "read", **asked},
        expires=expires,
        installation=one.id,
        label=f"installation {one.id}",
    )
    body: dict[str, Any] = {
        "token": secret,
        "expires_at": stamp(expires),
        "permissions": {"metadata": "read", **asked},
        "repository_selection": "all" if one.repos is None and not narrowed else "selected",
    }
    if narrowed:
        named = [call.world.repos[number] for number in sorted(repos)]
        body["repositories"] = [render.repo(call.links, call.world, two, short=True) for two in named]
    return Answer(status=201, body=body)


def _repositories(call: Call, one: Installation) -> frozenset[int]:
    """Ids of what the token is good for: the names, without their owner, are those of now."""
    reach = {
        repo.name: repo.id
        for repo in call.world.repos.values()
        if repo.owner == one.account and (one.repos is None or repo.full_name in one.repos)
    }
    names, numbers = call.body.get("repositories") or [], call.body.get("repository_ids") or []
    if not names and not numbers:
        return frozenset(reach.values())
    if any(name not in reach for name in names) or not set(numbers) <= set(reach.values()):
        raise Refused(
            422, "There is at least one repository that does not exist or is not accessible to the parent installation."
        )
    return frozenset(reach[name] for name in names) | frozenset(numbers)


def repositories(call: Call) -> Answer:
    if call.token.kind is not Kind.INSTALLATION:
        raise Refused(403, "You must authenticate with an installation access token.")
    found = [one for one in call.world.repos.values() if call.token.repos is None or one.id in call.token.repos]
    rows = [render.repo(call.links, call.world, one, short=True) for one in found if sees(call.token, one)]
    return paged(rows, call.query, call.url, "repositories")


WAYS: tuple[Way, ...] = (
    way("GET", "/app", the_app),
    way("GET", "/app/installations", installations),
    way("GET", "/app/installations/<n:installation>", installation),
    way("GET", "~/installation", installation),
    way("GET", "/(?:users|orgs)/<login>/installation", installation),
    way("POST", "/app/installations/<n:installation>/access_tokens", token_made),
    way("GET", "/installation/repositories", repositories),
)
