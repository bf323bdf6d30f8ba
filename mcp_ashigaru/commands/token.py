"""`mcp-ashigaru token …`: who may call the daemon; whoever can run these on its host is its operator."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from mcp_ashigaru.commands.telling import Json, record, say
from mcp_ashigaru.settings import load_settings
from mcp_ashigaru.stores import open_tokens
from runner.callers import Scope, Token, caller_name, lifetime, mint, scopes_of
from runner.errors import NotPossible

app = typer.Typer(no_args_is_help=True, help="Bearer tokens for callers of the daemon.")

_WIDTHS: Final = (12, 24, 22, 4, 20)


@app.command()
def new(
    name: Annotated[str, typer.Option(help="Who it is for; runs are recorded under this name.")],
    scopes: Annotated[str, typer.Option(help="Some of read,dispatch,promote; none implies another.")],
    expires: Annotated[str, typer.Option(help="How long it is good for: 30m, 12h, 90d, 8w.")] = "90d",
    own_runs: Annotated[
        bool, typer.Option("--own-runs", help="Of runs, only those dispatched under its name exist for it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a token, and show it this once."""
    tokens = open_tokens(load_settings())
    token, text = mint(
        caller_name(name),
        scopes=scopes_of(scopes),
        own_runs=own_runs,
        life_s=lifetime(expires),
        now=_now(),
    )
    tokens.add(token)
    if as_json:
        say(_told(token) | {"token": text})
        return
    typer.echo(text)
    typer.echo(f"{token.id} for {token.name}, until {_time(token.expires_at)}; it is not shown again.", err=True)


@app.command(name="list")
def list_tokens(as_json: Json = False) -> None:
    """List the tokens, newest first, without their secrets.

    A line each: id, name, scopes, own where it is held to its own runs, expiry, state.
    """
    found = [_told(token) for token in open_tokens(load_settings()).all()]
    if as_json:
        say(found)
        return
    for one in found:
        own = "own" if one["own_runs"] else None
        fields = (one["id"], one["name"], ",".join(one["scopes"]), own, one["expires_at"], one["state"])
        typer.echo(record(fields, _WIDTHS))


@app.command()
def revoke(token_id: Annotated[str, typer.Argument(help="The token's id, as `token list` shows it.")]) -> None:
    """Have a token open nothing from now on; twice is once."""
    token = open_tokens(load_settings()).revoke(token_id, _now())
    if token is None:
        raise NotPossible("There is no token of that id; `mcp-ashigaru token list` shows the ones there are.")
    typer.echo(f"{token.id} for {token.name} is revoked.")


def _told(token: Token) -> dict[str, Any]:
    """What may be shown of a token."""
    state = "revoked" if token.revoked_at is not None else "live" if token.is_live(_now()) else "expired"
    return {
        "id": token.id,
        "name": token.name,
        "scopes": [scope.value for scope in Scope if scope in token.scopes],
        "own_runs": token.own_runs,
        "created_at": _time(token.created_at),
        "expires_at": _time(token.expires_at),
        "state": state,
    }


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
