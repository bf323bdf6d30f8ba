"""The commands by which a person moves a run: work, retry, request-changes, cancel, promote."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mcp_ashigaru.client import Caller
from mcp_ashigaru.commands.asking import ask, ended, goes_on
from mcp_ashigaru.commands.live import follow
from mcp_ashigaru.commands.telling import FRUITLESS, Follow, Json, say


def work(
    repo: str,
    issue: int,
    brief: Annotated[str, typer.Argument(help="What is wrong and what is wanted; '-' reads standard input.")],
    model: Annotated[str | None, typer.Option(help="Tier or model to start at.")] = None,
    priority: Annotated[str | None, typer.Option(help="low, normal or high; who gets a slot first.")] = None,
    follow_it: Follow = False,
) -> None:
    """Work one issue of one repository."""
    text = sys.stdin.read() if brief == "-" else brief

    async def job(caller: Caller) -> None:
        ticket = await caller.call("work_ticket", repo=repo, issue=issue, brief=text, model=model, priority=priority)
        typer.echo(ticket["run_id"])
        if follow_it:
            ended(await follow(caller, ticket["run_id"], typer.echo), as_json=False)

    ask(job, following="The run goes on; `mcp-ashigaru runs` shows it." if follow_it else None)


def retry(
    run_id: str,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Forget the work so far; start on the base as it is now.")
    ] = False,
    tier: Annotated[str | None, typer.Option(help="Tier or model to go on at; else the one it reached.")] = None,
    follow_it: Follow = False,
    as_json: Json = False,
) -> None:
    """Have a run go on that ended.

    Escalated, blocked or cancelled: from the work that was kept, at the tier it reached.
    """

    async def job(caller: Caller) -> None:
        ticket = await caller.call("retry", run_id=run_id, from_start=from_start, tier=tier)
        if follow_it:
            ended(await follow(caller, run_id, lambda line: typer.echo(line, err=as_json)), as_json=as_json)
        else:
            say(ticket) if as_json else typer.echo(f"{ticket['run_id']} {ticket['status']}")

    ask(job, following=goes_on(run_id) if follow_it else None)


def request_changes(run_id: str, notes: str, as_json: Json = False) -> None:
    """Start a new round on a run's pull request."""

    async def job(caller: Caller) -> None:
        answer = await caller.call("request_changes", run_id=run_id, notes=notes)
        say(answer) if as_json else typer.echo(f"{answer['run_id']} {answer['status']}")

    ask(job)


def cancel(run_id: str, as_json: Json = False) -> None:
    """Stop a run; its work is kept on its branch."""

    async def job(caller: Caller) -> None:
        answer = await caller.call("cancel", run_id=run_id)
        say(answer) if as_json else typer.echo(f"{answer['run_id']} {answer['status']}")

    ask(job)


def promote(
    repo: str,
    pr: int,
    head_sha: Annotated[str | None, typer.Option(help="Merge only this head.")] = None,
    as_json: Json = False,
) -> None:
    """Squash-merge exactly what the gates judged."""

    async def job(caller: Caller) -> None:
        answer = await caller.call("promote", repo=repo, pr=pr, head_sha=head_sha)
        say(answer) if as_json else typer.echo(answer["detail"])
        if not answer["promoted"]:
            raise typer.Exit(FRUITLESS)

    ask(job)
