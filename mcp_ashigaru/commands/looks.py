"""The commands by which a person looks at runs: status, runs, logs, diff."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from mcp_ashigaru.client import Caller
from mcp_ashigaru.commands.asking import ask, ended, goes_on
from mcp_ashigaru.commands.live import follow, fruitless, going_on, headline
from mcp_ashigaru.commands.telling import Follow, Json, record, say

_WAIT_S: Final = 20.0
_PAGE: Final = 500
_LAST: Final = 100
_DIFF_BYTES: Final = 1024 * 1024


def status(run_id: str, follow_it: Follow = False, as_json: Json = False) -> None:
    """Tell where a run is."""

    async def job(caller: Caller) -> None:
        if not follow_it:
            told = await caller.call("status", run_id=run_id)
            say(told) if as_json else typer.echo(headline(told))
            return
        # With --json standard output is one JSON value, and what happens meanwhile goes beside it.
        ended(await follow(caller, run_id, lambda line: typer.echo(line, err=as_json)), as_json=as_json)

    ask(job, following=goes_on(run_id) if follow_it else None)


def runs(
    repo: Annotated[str | None, typer.Option(help="Only this repository's.")] = None,
    phase: Annotated[str | None, typer.Option(help="Only those in this phase, for example escalated.")] = None,
    limit: Annotated[int, typer.Option(help="How many, 1 to 100.")] = 20,
    as_json: Json = False,
) -> None:
    """List runs, the newest first.

    A line each: run, phase, tier, pull request, last change, slot or place in the queue, why.
    """

    async def job(caller: Caller) -> None:
        answer = await caller.call("list_runs", repo=repo, phase=phase, limit=limit)
        if as_json:
            say(answer["runs"])
            return
        for run in answer["runs"]:
            pull = f"#{run['pr']}" if run["pr"] else None
            where = f"place {run['place']}" if run["place"] else run["slot"]
            when = _time(run["updated_at"])
            fields = (run["run_id"], run["status"], run["tier"], pull, when, where, run["reason"])
            typer.echo(record(fields, (40, 16, 10, 6, 20, 12)))
        typer.echo(answer["day"], err=True)

    ask(job)


def logs(
    run_id: str,
    attempt: Annotated[int | None, typer.Option(help="Only this attempt; 0 is the judgement of the base.")] = None,
    gate: Annotated[bool, typer.Option("--gate", help="Only what the gates said.")] = False,
    follow_it: Follow = False,
    as_json: Json = False,
) -> None:
    """Show what happened in a run.

    What the agents did, what the gates said, what was noticed; a line each, and below it what the gates have to say
    at length.
    """

    async def job(caller: Caller) -> None:
        wanted = {"run_id": run_id, "attempt": attempt, "source": "gate" if gate else None}
        answer = await caller.call("logs", **wanted, limit=_PAGE if as_json and not follow_it else _LAST)
        if as_json and not follow_it:
            say(answer)
            return
        kept: list[dict[str, Any]] = _tell(answer["entries"], beside=as_json)
        if not follow_it:
            return
        told = await caller.call("status", run_id=run_id)
        while True:
            answer = await caller.call("logs", **wanted, since=answer["cursor"], limit=_PAGE)
            kept += _tell(answer["entries"], beside=as_json)
            if answer["more"]:
                continue
            if not going_on(told):
                break
            # Asked before what it led to is read: what is read last is the end.
            told = await caller.call("status", run_id=run_id, since=told["cursor"], wait_s=_WAIT_S)
        if as_json:
            say({"run_id": run_id, "entries": kept[-_PAGE:], "cursor": answer["cursor"], "more": False})
        if fruitless(told):
            raise typer.Exit(1)

    ask(job, following=goes_on(run_id) if follow_it else None)


def diff(
    run_id: str,
    stat: Annotated[bool, typer.Option("--stat", help="Only the files, and how many lines of each.")] = False,
    as_json: Json = False,
) -> None:
    """Show a run's work against its base."""

    async def job(caller: Caller) -> None:
        answer = await caller.call("diff", run_id=run_id, max_bytes=_DIFF_BYTES)
        if as_json:
            say(answer)
            return
        if not stat:
            typer.echo(answer["diff"], nl=not answer["diff"].endswith("\n"))
            return
        for one in answer["files"]:
            counts = ("-", "-") if one["binary"] else (one["added"], one["removed"])
            typer.echo(record((*counts, one["path"]), (6, 6)))

    ask(job)


def _tell(entries: list[dict[str, Any]], *, beside: bool) -> list[dict[str, Any]]:
    """Print entries, one line each and what the gates have to say at length below it; the entries themselves."""
    for one in entries:
        attempt = None if one["attempt"] is None else f"attempt {one['attempt']}"
        fields = (_time(one["at"]), one["source"], attempt, one["kind"], one["text"])
        typer.echo(record(fields, (20, 6, 11, 17)), err=beside)
        for line in one["detail"].splitlines():
            typer.echo(f"    {line}", err=beside)
    return entries


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
