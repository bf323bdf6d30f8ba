"""`mcp-ashigaru`: the commands for people. Those that ask the daemon are in `mcp_ashigaru.commands`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import typer

from mcp_ashigaru.commands.lazily import Lazily, Named, loaded
from mcp_ashigaru.commands.telling import UNREAD
from mcp_ashigaru.commands.version import Version
from mcp_ashigaru.settings_faults import ConfigError
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


_OURS: Final = "mcp_ashigaru.commands"
_SERVE: Final = f"{_OURS}.serve:serve"
_NAMED: Final = {
    "serve": Named(at=_SERVE, line="Run the daemon until it is told to stop."),
    "work": Named(at=f"{_OURS}.deeds:work", line="Work one issue of one repository."),
    "status": Named(at=f"{_OURS}.looks:status", line="Tell where a run is."),
    "runs": Named(at=f"{_OURS}.looks:runs", line="List runs, the newest first."),
    "logs": Named(at=f"{_OURS}.looks:logs", line="Show what happened in a run."),
    "diff": Named(at=f"{_OURS}.looks:diff", line="Show a run's work against its base."),
    "retry": Named(at=f"{_OURS}.deeds:retry", line="Have a run go on that ended."),
    "request-changes": Named(at=f"{_OURS}.deeds:request_changes", line="Start a new round on a run's pull request."),
    "cancel": Named(at=f"{_OURS}.deeds:cancel", line="Stop a run; its work is kept on its branch."),
    "promote": Named(at=f"{_OURS}.deeds:promote", line="Squash-merge exactly what the gates judged."),
    "halt": Named(at=f"{_OURS}.halt:halt", line="Stop all spending at once, until resume."),
    "resume": Named(
        at=f"{_OURS}.halt:resume", line="Let spending go on after a halt; what it held up goes on by itself."
    ),
    "gc": Named(
        at=f"{_OURS}.house:gc", line="Put away what is kept no longer: clones, layers, mirrors, history, old images."
    ),
    "ledger": Named(
        at=f"{_OURS}.house:ledger", line="Tell what runs came to and what they cost, by repository and tier."
    ),
    "backup": Named(
        at=f"{_OURS}.backup:backup",
        line="Copy records, local forge, clones and secrets to a new DIRECTORY; a daemon may be at work.",
    ),
    "restore": Named(
        at=f"{_OURS}.backup:restore",
        line="Have the state directory, which must be new or empty, as the backup in DIRECTORY has it.",
    ),
    "demo": Named(
        at=f"{_OURS}.demo:demo",
        line="Run the main job on the shipped repository, with a scripted model, on this machine alone.",
    ),
    "doctor": Named(at=f"{_OURS}.health:doctor", line="Examine this host: each line ok, warn or fail, with the cure."),
    "images": Named(at=f"{_OURS}.health:images", line="Build the sandbox images, once."),
    "forge": Named(at=f"{_OURS}.forge:app", line="The built-in local forge."),
    "token": Named(at=f"{_OURS}.token:app", line="Bearer tokens for callers of the daemon."),
    "egress": Named(at=f"{_OURS}.egress:app", line="See where set-ups may go."),
    "gates": Named(at=f"{_OURS}.gates:app", line="The gates of a repository."),
    "receipts": Named(at=f"{_OURS}.receipts:app", line="What was done with credentials, and each verdict."),
}


class People(Lazily):
    """The commands, each of which leaves quietly when nobody reads on."""

    named: ClassVar[Mapping[str, Named]] = _NAMED

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


@app.callback()
def _people(version: Version = False) -> None:
    """Dispatch sealed coding agents; merge what the gates judged."""


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
    _guarded(lambda: typer.run(loaded(_SERVE)))
