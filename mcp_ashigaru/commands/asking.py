"""What the commands that ask the daemon share: one session, one exit status."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import typer

from mcp_ashigaru.client import Caller, CallRefused, DaemonAway, connect
from mcp_ashigaru.commands.live import fruitless, headline
from mcp_ashigaru.commands.telling import FRUITLESS, INTERRUPTED, REFUSED, say
from mcp_ashigaru.settings import load_settings

_HEEDED_S: Final = 0.2
_MAX_ASKED: Final = 25


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
