"""The commands by which a person keeps the house, and its books: gc, ledger. They need no daemon and disturb none."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

import typer

from mcp_ashigaru.commands.telling import Json, record, say
from mcp_ashigaru.house import open_housekeeping, open_ledger
from mcp_ashigaru.settings import Settings, load_settings
from mcp_ashigaru.toolsets.ledger import answer_of, checked_days, since
from mcp_ashigaru.walls import own_podman
from runner.errors import EngineDown, NotPossible
from runner.housekeeping import Swept, held_words
from runner.intents import repo_name
from runner.ledger import MAX_RUNS
from runner.retention import told_bytes

_WITHIN_S: Final = 3600.0


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Put away what is kept no longer: clones, layers, mirrors, history, old images.

    A line each: what it is, its name, bytes, why. Nothing goes that a live run has a use for.
    """
    settings = load_settings()
    with open_housekeeping(settings, _podman(settings)) as house:
        swept = house.sweep(dry_run=dry_run, within_s=_WITHIN_S)
    if swept.busy:
        raise NotPossible("The house is being kept just now, by the daemon or another command; try again in a minute.")
    if as_json:
        say(_told(swept, dry_run=dry_run))
    else:
        for going in swept.gone:
            thing = going.thing
            typer.echo(record((thing.kind.value, thing.name, thing.bytes, going.why), (10, 44, 12)))
        freed = f"{len(swept.gone)} things, {told_bytes(swept.freed)}"
        kept = held_words(swept)
        typer.echo(f"{freed} {'would go' if dry_run else 'put away'}{f'; kept: {kept}' if kept else ''}", err=True)
        for fault in swept.faults:
            typer.echo(fault, err=True)
    if swept.faults:
        raise typer.Exit(1)


def ledger(
    repo: Annotated[str | None, typer.Option(help="Only this repository's.")] = None,
    days: Annotated[int, typer.Option(help="Runs asked for in so many days.")] = 30,
    as_json: Json = False,
) -> None:
    """Tell what runs came to and what they cost, by repository and tier.

    A line each: repository, tier (- is all of them), runs, attempts, passes, merged, reverted, money, money for each
    merge that stood, minutes of agents, of gates, of waiting.
    """
    wanted = None if repo is None else repo_name(repo)
    begin = since(time.time(), checked_days(days))
    with open_ledger(load_settings()) as book:
        told = answer_of(book.lines(since=begin, repo=wanted, limit=MAX_RUNS), days)
    if as_json:
        say(told.model_dump(mode="json"))
        return
    for one in told.rows:
        counts = (one.runs, one.attempts, one.passes, one.merged, one.reverted)
        minutes = (one.agent_minutes, one.gate_minutes, one.queue_minutes)
        fields = (one.repo, one.tier or "-", *counts, one.usd, one.usd_per_merge or "-", *minutes)
        typer.echo(record(fields, (30, 10, 5, 5, 5, 5, 5, 10, 10, 8, 8)))
    if told.truncated:
        typer.echo("There is more than is told; name a repository with --repo, or fewer --days.", err=True)


def _podman(settings: Settings) -> tuple[str, ...]:
    try:
        return own_podman(settings)
    except EngineDown as exc:
        typer.echo(f"Images are left alone: {exc}", err=True)
        return ()


def _told(swept: Swept, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "gone": [
            {
                "kind": going.thing.kind.value,
                "name": going.thing.name,
                "bytes": going.thing.bytes,
                "used_at": going.thing.used_at,
                "why": going.why,
            }
            for going in swept.gone
        ],
        "freed_bytes": swept.freed,
        "left": swept.left,
        "kept": [{"kind": kind.value, "things": count, "bytes": size} for kind, count, size in swept.kept],
        "faults": list(swept.faults),
    }
