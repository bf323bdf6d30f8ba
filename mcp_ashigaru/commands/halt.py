"""The commands that stop all spending and let it go on. They need no daemon; one that runs sees it at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from mcp_ashigaru.settings import load_settings
from mcp_ashigaru.stores import open_spending


def halt(
    reason: Annotated[str, typer.Option(help="Why; status tells it.")] = "",
) -> None:
    """Stop all spending at once, until resume.

    The next request of every agent at work is refused, its work so far is kept, and no agent starts.
    """
    with open_spending(load_settings()) as spending:
        halted = spending.halt(reason)
    since = datetime.fromtimestamp(halted.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    typer.echo(f"halted since {since}{f': {halted.reason}' if halted.reason else ''}")


def resume() -> None:
    """Let spending go on after a halt; what it held up goes on by itself."""
    with open_spending(load_settings()) as spending:
        typer.echo("resumed" if spending.resume() else "was not halted")
