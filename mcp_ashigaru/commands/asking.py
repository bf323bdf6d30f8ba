"""What the commands that ask the daemon share: one session, one JSON value or one record a line, one exit status.

Standard output holds what was asked for and nothing else; every remark and every refusal goes beside it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Annotated, Any, Final

import typer

from mcp_ashigaru.client import Caller, CallRefused, DaemonAway, connect
from mcp_ashigaru.commands.live import fruitless, headline
from mcp_ashigaru.settings import load_settings

FRUITLESS: Final = 1
REFUSED: Final = 2
INTERRUPTED: Final = 130
"""As a shell tells of a program that Ctrl-C ended."""
UNREAD: Final = 141
"""As a shell tells of a program whose reader went away."""
_HEEDED_S: Final = 0.2
_MAX_ASKED: Final = 25

Json = Annotated[bool, typer.Option("--json", help="Print the whole answer as one JSON value.")]
Follow = Annotated[bool, typer.Option("--follow", help="Stay, and show what happens; Ctrl-C leaves the run alone.")]


def ask(job: Callable[[Caller], Awaitable[None]], *, following: str | None = None) -> None:
    """Do the job with a caller of the running daemon. following: what to say if Ctrl-C ends it."""
    settings = load_settings()

    async def session() -> None:
        async with connect(settings.local_url, settings.bearer) as caller:
            await job(caller)

    try:
        asyncio.run(until_interrupted(session()))
    except (CallRefused, DaemonAway) as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(REFUSED) from None
    except KeyboardInterrupt:
        if following is not None:
            typer.echo(following, err=True)
        raise typer.Exit(INTERRUPTED) from None


async def until_interrupted(job: Coroutine[None, None, None]) -> None:
    """Do the job to its end, or until SIGINT, which raises KeyboardInterrupt once the job has let go.

    A cancellation that comes at a bad moment can be taken by a library for that of a timeout of its own, and the job
    goes on as if nothing had been said; so it is cancelled again until it heeds.
    """
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()
    doing, told = loop.create_task(job), loop.create_task(interrupted.wait())
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    try:
        await asyncio.wait({doing, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        told.cancel()
    if doing.done():
        return doing.result()
    for _ in range(_MAX_ASKED):
        doing.cancel()
        if (await asyncio.wait({doing}, timeout=_HEEDED_S))[0]:
            break
    # Looked at, so that a job that ended by an error of its own meanwhile is not reported as forgotten.
    _ = doing.done() and not doing.cancelled() and doing.exception()
    raise KeyboardInterrupt


def goes_on(run_id: str) -> str:
    """What is said to who stops following a run."""
    return f"The run goes on; `mcp-ashigaru status {run_id} --follow` shows it again."


def ended(told: dict[str, Any], *, as_json: bool) -> None:
    """Say where a run came to rest; exit FRUITLESS where there is nothing to review."""
    say(told) if as_json else typer.echo(headline(told))
    if fruitless(told):
        raise typer.Exit(FRUITLESS)


def say(value: object) -> None:
    """Print one JSON value."""
    typer.echo(json.dumps(value, indent=2))


def record(fields: Sequence[object], widths: Sequence[int]) -> str:
    """One record as a line: aligned to be read on a terminal, separated by tabs to be cut by another program."""
    texts = ["" if field is None else str(field).replace("\t", " ").replace("\n", " ") for field in fields]
    if not sys.stdout.isatty():
        return "\t".join(texts)
    return "  ".join(f"{text:<{width}}" for text, width in zip(texts, [*widths, 0], strict=True)).rstrip()
