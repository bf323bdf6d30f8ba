"""The commands that stop all spending and let it go on. They need no daemon; one that runs sees it at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from mcp_ashigaru.client import connect
from mcp_ashigaru.settings import Settings, load_settings
from mcp_ashigaru.stores import open_spending
from runner.errors import NotPossible

_ANSWER_S: Final = 10.0


def halt(
    reason: Annotated[str, typer.Option(help="Why; status tells it.")] = "",
) -> None:
    """Stop all spending at once, until resume.

    The next request of every agent at work is refused, its work so far is kept, and no agent starts.
    """
    settings = load_settings()
    with open_spending(settings) as spending:
        halted = spending.halt(reason)
    since = datetime.fromtimestamp(halted.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    typer.echo(f"halted since {since}{f': {halted.reason}' if halted.reason else ''}")
    _heard(settings, halted=True)


def resume() -> None:
    """Let spending go on after a halt; what it held up goes on by itself."""
    settings = load_settings()
    with open_spending(settings) as spending:
        typer.echo("resumed" if spending.resume() else "was not halted")
    _heard(settings, halted=False)


def _heard(settings: Settings, *, halted: bool) -> None:
    """Nothing, where the running daemon knows of it; raises NotPossible where it has other books than these."""

    async def asked() -> bool:
        async with connect(settings.local_url, settings.bearer) as caller:
            return bool((await caller.call("list_runs", limit=1))["halted"])

    try:
        told = asyncio.run(asyncio.wait_for(asked(), _ANSWER_S))
    except Exception:  # noqa: BLE001 - it is done; whatever keeps us from asking must not look as if it were not
        typer.echo(f"No daemon could be asked at {settings.local_url}; it holds for the next one too.", err=True)
        return
    if told != halted:
        raise NotPossible(
            f"The daemon at {settings.local_url} keeps its books elsewhere and has not heard of it; give this command "
            "the daemon's own ASHIGARU_STATE_DIR and ASHIGARU_DATABASE_URL."
        )
