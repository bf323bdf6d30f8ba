"""`mcp-ashigaru`: the commands for people.

Exit status: 0 ok, 1 the job came to nothing, 2 misconfigured or refused, 3 a fault of ours.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from mcp_ashigaru import __version__
from mcp_ashigaru.client import Caller, CallRefused, DaemonAway, connect
from mcp_ashigaru.commands import demo as demo_command
from mcp_ashigaru.commands import forge as forge_commands
from mcp_ashigaru.commands import health
from mcp_ashigaru.commands.live import follow, fruitless, headline
from mcp_ashigaru.serving import serve as serve_daemon
from mcp_ashigaru.settings import ConfigError, load_settings
from runner.errors import RunnerError

_LOG = logging.getLogger(__name__)

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.add_typer(forge_commands.app, name="forge")


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - typer's callbacks are given the value
    if asked:
        typer.echo(f"mcp-ashigaru {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say the version and leave.")
]


@app.callback()
def _people(version: Version = False) -> None:
    """Dispatch sealed coding agents; merge what the gates judged."""


class Transport(StrEnum):
    """How MCP clients reach the daemon."""

    HTTP = "streamable-http"
    STDIO = "stdio"


TransportOption = Annotated[Transport, typer.Option(help="How MCP clients reach the daemon.")]
HostOption = Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].")]
PortOption = Annotated[int | None, typer.Option(help="Port to listen on [8020].")]
StateOption = Annotated[Path | None, typer.Option(help="State directory [ASHIGARU_STATE_DIR].")]
Json = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")]


@app.command()
def serve(
    transport: TransportOption = Transport.HTTP,
    host: HostOption = None,
    port: PortOption = None,
    state_dir: StateOption = None,
    version: Version = False,  # noqa: ARG001 - the callback has told it
) -> None:
    """Run the daemon until it is told to stop."""
    given = {"host": host, "port": port, "state_dir": state_dir}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    serve_daemon(settings, transport.value)


@app.command()
def work(
    repo: str,
    issue: int,
    brief: Annotated[str, typer.Argument(help="What is wrong and what is wanted; '-' reads standard input.")],
    model: Annotated[str | None, typer.Option(help="Tier or model to start at.")] = None,
    follow_it: Annotated[bool, typer.Option("--follow", help="Stay, and show what happens.")] = False,
) -> None:
    """Work one issue of one repository."""
    text = sys.stdin.read() if brief == "-" else brief

    async def job(caller: Caller) -> None:
        ticket = await caller.call("work_ticket", repo=repo, issue=issue, brief=text, model=model)
        typer.echo(ticket["run_id"])
        if follow_it:
            _ended(await follow(caller, ticket["run_id"], typer.echo), as_json=False)

    _ask(job)


@app.command()
def status(
    run_id: str,
    follow_it: Annotated[bool, typer.Option("--follow", help="Stay, and show what happens.")] = False,
    as_json: Json = False,
) -> None:
    """Tell where a run is."""

    async def job(caller: Caller) -> None:
        if not follow_it:
            told = await caller.call("status", run_id=run_id)
            typer.echo(json.dumps(told, indent=2) if as_json else headline(told))
            return
        # With --json standard output is one JSON value, and what happens meanwhile goes beside it.
        _ended(await follow(caller, run_id, lambda line: typer.echo(line, err=as_json)), as_json=as_json)

    _ask(job)


@app.command()
def promote(
    repo: str, pr: int, head_sha: Annotated[str | None, typer.Option(help="Merge only this head.")] = None
) -> None:
    """Squash-merge exactly what the gates judged."""

    async def job(caller: Caller) -> None:
        answer = await caller.call("promote", repo=repo, pr=pr, head_sha=head_sha)
        typer.echo(answer["detail"])
        if not answer["promoted"]:
            raise typer.Exit(1)

    _ask(job)


@app.command(name="request-changes")
def request_changes(run_id: str, notes: str) -> None:
    """Start a new round on a run's pull request."""

    async def job(caller: Caller) -> None:
        answer = await caller.call("request_changes", run_id=run_id, notes=notes)
        typer.echo(f"{answer['run_id']} {answer['status']}")

    _ask(job)


@app.command()
def cancel(run_id: str) -> None:
    """Stop a run; its work is kept on its branch."""

    async def job(caller: Caller) -> None:
        answer = await caller.call("cancel", run_id=run_id)
        typer.echo(f"{answer['run_id']} {answer['status']}")

    _ask(job)


@app.command()
def runs(repo: str | None = None, limit: int = 20, as_json: Json = False) -> None:
    """List runs, the newest first."""

    async def job(caller: Caller) -> None:
        answer = await caller.call("list_runs", repo=repo, limit=limit)
        if as_json:
            typer.echo(json.dumps(answer["runs"], indent=2))
            return
        for run in answer["runs"]:
            pull = f"PR {run['pr']}" if run["pr"] else ""
            typer.echo(
                f"{run['run_id']:<40} {run['status']:<16} {run['tier'] or '':<10} {pull:<7} {run['reason'] or ''}"
            )

    _ask(job)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the demo's state directory in place.")] = False,
) -> None:
    """Run the main job on the shipped repository, with a scripted model, on this machine alone."""
    raise typer.Exit(demo_command.run(keep=keep))


@app.command()
def doctor() -> None:
    """Examine this host: each line ok, warn or fail, with the cure."""
    raise typer.Exit(health.report(load_settings()))


@app.command()
def images() -> None:
    """Build the sandbox images, once."""
    health.build(load_settings())


def _ended(told: dict[str, Any], *, as_json: bool) -> None:
    typer.echo(json.dumps(told, indent=2) if as_json else headline(told))
    if fruitless(told):
        raise typer.Exit(1)


def _ask(job: Callable[[Caller], Awaitable[None]]) -> None:
    settings = load_settings()

    async def session() -> None:
        async with connect(settings.local_url, settings.bearer) as caller:
            await job(caller)

    try:
        asyncio.run(session())
    except (CallRefused, DaemonAway) as exc:
        _refuse(str(exc))


def _refuse(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(2)


def _guarded(run: Callable[[], Any]) -> None:
    """Every fault that a person can cure is one sentence and exit 2; anything else is ours: a trace and exit 3."""
    try:
        run()
    except (ConfigError, RunnerError) as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(2)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException:  # noqa: BLE001 - the outermost boundary: a trace for us, a status for the shell
        _LOG.exception("a fault of mcp-ashigaru itself; please report it with this trace")
        sys.exit(3)


def main() -> None:
    """Entry point of `mcp-ashigaru`."""
    _guarded(app)


def serve_main() -> None:
    """Entry point of `mcp-ashigaru-crunchtools` and `python -m mcp_ashigaru`: the daemon, with the seed's flags."""
    _guarded(lambda: typer.run(serve))
