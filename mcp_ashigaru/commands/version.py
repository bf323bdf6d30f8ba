"""`--version`, which every entry point has."""

from __future__ import annotations

from typing import Annotated

import typer

from mcp_ashigaru import __version__


def _tell(asked: bool) -> None:  # noqa: FBT001 - typer's callbacks are given the value
    if asked:
        typer.echo(f"mcp-ashigaru {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_tell, is_eager=True, help="Say the version and leave.")]
