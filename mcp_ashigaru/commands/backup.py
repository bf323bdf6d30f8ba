"""The commands that put the state directory aside and back. A daemon may run during the first."""

from __future__ import annotations

from pathlib import Path

import typer

from mcp_ashigaru.backups import back_up
from mcp_ashigaru.backups import restore as put_back
from mcp_ashigaru.settings import load_settings

_ELSEWHERE = "The records are in a database server: {} them there, with the server's own means."


def backup(directory: Path) -> None:
    """Copy records, local forge, clones and secrets to a new DIRECTORY; a daemon may be at work."""
    made = back_up(load_settings(), directory)
    if not made.records:
        typer.echo(_ELSEWHERE.format("back up"), err=True)
    typer.echo(f"{directory}: {made.repositories} repositories, {made.clones} clones")


def restore(directory: Path) -> None:
    """Have the state directory, which must be new or empty, as the backup in DIRECTORY has it.

    The next start asks the forge what became of each run since, and starts its round again.
    """
    settings = load_settings()
    if not put_back(settings, directory):
        typer.echo(_ELSEWHERE.format("restore"), err=True)
    typer.echo(f"restored to {settings.state_dir}")
