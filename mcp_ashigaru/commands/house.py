"""The command by which a person keeps the house. It needs no daemon and does not disturb one that runs."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from mcp_ashigaru.commands.asking import Json, record, say
from mcp_ashigaru.settings import Settings, load_settings
from mcp_ashigaru.stores import open_housekeeping
from mcp_ashigaru.walls import own_podman
from runner.errors import EngineDown, NotPossible
from runner.housekeeping import Swept, held_words
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
