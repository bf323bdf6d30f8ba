"""`mcp-ashigaru forge …`: what people do in the built-in forge; whoever can run these on this host is its operator."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from gates.text import clean, plain
from mcp_ashigaru.commands.forge_page import page
from mcp_ashigaru.settings import load_settings
from mcp_ashigaru.stores import open_forge
from runner.errors import BadIntent, NotPossible
from runner.intents import repo_name
from runner.model import CheckState, Pull, RequiredCheck
from runner.remarks import Stance
from runner.talk import MAX_LOG_BYTES

app = typer.Typer(no_args_is_help=True, help="The built-in local forge.")

Author = Annotated[str, typer.Option(help="Who says it.")]


class Opinion(StrEnum):
    """What a review may say."""

    APPROVE = "approve"
    REQUEST_CHANGES = "request-changes"
    COMMENT = "comment"


_STANCES: Final = {
    Opinion.APPROVE: Stance.APPROVED,
    Opinion.REQUEST_CHANGES: Stance.CHANGES_REQUESTED,
    Opinion.COMMENT: Stance.COMMENTED,
}


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
def pulls(repo: str) -> None:
    """List a repository's pull requests, newest first."""
    for pull in open_forge(load_settings()).pulls(repo_name(repo)):
        state = "draft" if pull.draft and pull.state == "open" else pull.state
        typer.echo(f"#{pull.number}  {state:<6}  {pull.head_branch} -> {pull.base_branch}  {clean(pull.title, 300)}")


@app.command()
def pr(
    repo: str, number: int, diff: Annotated[bool, typer.Option("--diff", help="Show the changes too.")] = False
) -> None:
    """Show a pull request."""
    forge = open_forge(load_settings())
    pull = _the_one(forge.pull(repo_name(repo), number), repo, number)
    branches = f"{pull.head_branch} -> {pull.base_branch}  {pull.head_sha}"
    typer.echo(f"{clean(pull.title, 300)}\n{pull.url}  {pull.state}  {branches}\n")
    typer.echo(plain(pull.body, keep_newlines=True))
    if diff:
        typer.echo(f"\n{plain(forge.diff(repo, number), keep_newlines=True)}")


@app.command()
def show(repo: str, number: int) -> None:
    """Show a pull request with its labels, its checks and everything that was said, each remark with its id."""
    forge = open_forge(load_settings())
    pull = _the_one(forge.pull(repo_name(repo), number), repo, number)
    typer.echo(page(pull, forge.operator.talk(repo, number)))


@app.command()
def comment(
    repo: str,
    number: int,
    text: str,
    path: Annotated[str | None, typer.Option(help="File of the head that it is about; with --line.")] = None,
    line: Annotated[int | None, typer.Option(help="Line of that file.")] = None,
    reply: Annotated[str | None, typer.Option(help="Id of the remark that is answered.")] = None,
    author: Author = "operator",
) -> None:
    """Say something of a pull request; prints the remark's id."""
    operator = open_forge(load_settings()).operator
    typer.echo(operator.comment(repo_name(repo), number, text, path=path, line=line, reply=reply, author=author))


@app.command()
def review(
    repo: str,
    number: int,
    opinion: Opinion,
    text: Annotated[str, typer.Argument(help="May be left out of an approval or a request for changes.")] = "",
    author: Author = "operator",
) -> None:
    """Review a pull request as a whole; prints the remark's id."""
    operator = open_forge(load_settings()).operator
    typer.echo(operator.review(repo_name(repo), number, _STANCES[opinion], text, author=author))


@app.command()
def check(
    repo: str,
    sha: Annotated[str, typer.Argument(help="The commit, in full.")],
    name: str,
    state: CheckState,
    log: Annotated[Path | None, typer.Option(help="What it printed; the last 256 KiB are kept.")] = None,
    source: Annotated[str, typer.Option(help="Who reports it.")] = "operator",
    summary: Annotated[str, typer.Option(help="One line on the outcome.")] = "",
) -> None:
    """Report a check of a commit, as a CI would; the same source and name again takes its place."""
    printed = b"" if log is None else _end_of(log)
    open_forge(load_settings()).operator.report(
        repo_name(repo), sha, name, state, source=source, summary=summary, log=printed
    )


@app.command()
def require(
    repo: str,
    branch: str,
    names: Annotated[list[str] | None, typer.Argument(help="Checks, whoever reports them; none: nothing.")] = None,
) -> None:
    """Have a branch require these checks of what is merged, and no others."""
    required = tuple(RequiredCheck(name=name) for name in names or ())
    open_forge(load_settings()).operator.require(repo_name(repo), branch, required)


@app.command()
def label(
    repo: str, number: int, name: str, drop: Annotated[bool, typer.Option("--drop", help="Take it off.")] = False
) -> None:
    """Put a label on a pull request, or take it off."""
    open_forge(load_settings()).operator.label(repo_name(repo), number, name, drop=drop)


@app.command()
def close(repo: str, number: int) -> None:
    """Close a pull request without a merge."""
    open_forge(load_settings()).operator.close(repo_name(repo), number)


def _the_one(pull: Pull | None, repo: str, number: int) -> Pull:
    if pull is None:
        raise NotPossible(f"{repo} has no pull request {number}; `mcp-ashigaru forge pulls` lists the ones there are.")
    return pull


def _end_of(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_LOG_BYTES))
            return file.read(MAX_LOG_BYTES)
    except OSError as exc:
        raise BadIntent(f"The log {log} cannot be read; name a file that can.") from exc
