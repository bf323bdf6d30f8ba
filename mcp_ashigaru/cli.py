"""`mcp-ashigaru`: the commands for people. Those that ask the daemon are in `mcp_ashigaru.commands`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from mcp_ashigaru import __version__
from mcp_ashigaru.commands import deeds, halt, health, looks
from mcp_ashigaru.commands import demo as demo_command
from mcp_ashigaru.commands import egress as egress_commands
from mcp_ashigaru.commands import forge as forge_commands
from mcp_ashigaru.commands import gates as gates_commands
from mcp_ashigaru.commands import receipts as receipts_commands
from mcp_ashigaru.commands import token as token_commands
from mcp_ashigaru.commands.asking import UNREAD
from mcp_ashigaru.serving import serve as serve_daemon
from mcp_ashigaru.settings import ConfigError, load_settings
from runner.errors import RunnerError

_LOG = logging.getLogger(__name__)

_STATUS: Final = """\b
Exit status:
  0    done
  1    the job came to nothing: a run without a pull request, a promotion refused, a diagnosis, demo or verification
       that failed, a judgement that is no pass
  2    misconfigured or refused, with one sentence on standard error; or misuse
  3    a fault of ours, with a trace on standard error
  4    a judgement that came to no verdict
  130  interrupted; a run that was followed goes on
  141  whoever read the output went away
"""


class People(TyperGroup):
    """The commands, each of which leaves quietly when nobody reads on."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the command line; this is where help is told."""
        with _read():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Carry out the command."""
        with _read():
            return super().invoke(ctx)


@contextmanager
def _read() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # What is still to be flushed would break again, at the very end, with nobody there to catch it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNREAD)


app = typer.Typer(cls=People, no_args_is_help=True, add_completion=False, rich_markup_mode=None, epilog=_STATUS)
app.add_typer(forge_commands.app, name="forge")
app.add_typer(token_commands.app, name="token")
app.add_typer(egress_commands.app, name="egress")
app.add_typer(gates_commands.app, name="gates")
app.add_typer(receipts_commands.app, name="receipts")


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
DrainOption = Annotated[
    bool, typer.Option("--drain", help="SIGTERM waits for the rounds at work to come to rest; a second one does not.")
]
StateOption = Annotated[Path | None, typer.Option(help="State directory [ASHIGARU_STATE_DIR].")]


@app.command()
def serve(
    transport: TransportOption = Transport.HTTP,
    host: HostOption = None,
    port: PortOption = None,
    state_dir: StateOption = None,
    drain: DrainOption = False,
    version: Version = False,  # noqa: ARG001 - the callback has told it
) -> None:
    """Run the daemon until it is told to stop."""
    given = {"host": host, "port": port, "state_dir": state_dir}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    serve_daemon(settings, transport.value, drain=drain)


app.command()(deeds.work)
app.command()(looks.status)
app.command()(looks.runs)
app.command()(looks.logs)
app.command()(looks.diff)
app.command()(deeds.retry)
app.command(name="request-changes")(deeds.request_changes)
app.command()(deeds.cancel)
app.command()(deeds.promote)
app.command()(halt.halt)
app.command()(halt.resume)


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
