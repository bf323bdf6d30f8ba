"""`mcp-ashigaru egress`: where set-ups may go, and where that was read."""

from __future__ import annotations

from typing import Annotated

import typer

from gates.text import clean
from mcp_ashigaru.fleet_file import Said, read_fleet
from mcp_ashigaru.presets import Presets
from mcp_ashigaru.settings import environment_with, load_settings

app = typer.Typer(no_args_is_help=True, help="See where set-ups may go.")


@app.callback()
def _egress() -> None:
    """See where set-ups may go."""


@app.command()
def show(
    repo: Annotated[
        str | None, typer.Option(help="The repository; left out: those that fleet.toml has no table for.")
    ] = None,
) -> None:
    """Print each host:port that a set-up may reach, and where that was read."""
    said = read_fleet(load_settings()).of(repo)
    typer.echo("\n".join(page(said, Presets.of(environment_with({})))))


def page(said: Said, presets: Presets) -> list[str]:
    """The lines: each host:port with all of its places, then what is private, then what to know of the presets."""
    places: dict[str, list[str]] = {target: ["egress"] for target in said.egress}
    notes: list[str] = []
    for tool in said.tools():
        sources = presets.sources(tool)
        if not sources:
            notes.append(f"preset {tool}: nothing is set on this host")
        for one in sources:
            where = clean(one.where, 160)
            if one.target is not None:
                places.setdefault(one.target, []).append(f"preset {tool}: {where}")
            if one.note:
                notes.append(f"preset {tool}: {where}: {clean(one.note, 160)}")
    width = max((len(target) for target in places), default=0)
    lines = [f"{target:<{width}}  {'; '.join(dict.fromkeys(read))}" for target, read in sorted(places.items())]
    lines += [f"may be private: {host}" for host in said.private]
    return [*(lines or ["nothing: set-ups have no network"]), *dict.fromkeys(notes)]
