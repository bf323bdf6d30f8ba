"""`mcp-ashigaru forge …`: put repositories and issues in the built-in forge, and look at its pull requests."""

from __future__ import annotations

from typing import Annotated

import typer

from mcp_ashigaru.settings import load_settings
from mcp_ashigaru.stores import open_forge
from runner.intents import repo_name

app = typer.Typer(no_args_is_help=True, help="The built-in local forge.")


@app.command()
def add(
    source: Annotated[str, typer.Argument(help="Path or URL of any git repository.")],
    name: Annotated[str | None, typer.Option(help="What the forge is to call it [the source's last part].")] = None,
) -> None:
    """Put a copy of a git repository in the forge."""
    forge = open_forge(load_settings())
    typer.echo(forge.add(source, None if name is None else repo_name(name)))


@app.command()
def issue(repo: str, title: str, body: str = "") -> None:
    """Open an issue; prints its number."""
    typer.echo(open_forge(load_settings()).create_issue(repo_name(repo), title, body))


@app.command()
def pr(
    repo: str, number: int, diff: Annotated[bool, typer.Option("--diff", help="Show the changes too.")] = False
) -> None:
    """Show a pull request."""
    forge = open_forge(load_settings())
    pull = forge.pull(repo_name(repo), number)
    if pull is None:
        typer.echo(f"{repo} has no pull request {number}; `mcp-ashigaru runs` shows the ones there are.", err=True)
        raise typer.Exit(2)
    typer.echo(f"{pull.title}\n{pull.url}  {pull.state}  {pull.head_branch} -> {pull.base_branch}  {pull.head_sha}\n")
    typer.echo(pull.body)
    if diff:
        typer.echo(f"\n{forge.diff(repo, number)}")
