"""`mcp-ashigaru gates …`: what people do with gates. None of it needs a daemon."""

from __future__ import annotations

import typer

from mcp_ashigaru.commands.gates_file import init, lint, schema
from mcp_ashigaru.commands.gates_judge import judge

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The gates of a repository.")


@app.callback()
def _gates() -> None:
    """The gates of a repository."""


app.command("init")(init)
app.command("lint")(lint)
app.command("schema")(schema)
app.command("judge")(judge)
