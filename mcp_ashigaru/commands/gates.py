"""`mcp-ashigaru gates …`: what people do with gates. None of it needs a daemon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import typer

from mcp_ashigaru.commands.lazily import Lazily, Named

_FILE: Final = "mcp_ashigaru.commands.gates_file"
_JUDGE: Final = "mcp_ashigaru.commands.gates_judge"
_NAMED: Final = {
    "init": Named(
        at=f"{_FILE}:init",
        line="Write a gate file with what the repository's files show; one that is there is left alone.",
    ),
    "lint": Named(
        at=f"{_FILE}:lint",
        line="Check a repository's gate file, offline: ok, or what is wrong with it, and what to think of.",
    ),
    "schema": Named(at=f"{_FILE}:schema", line="Print the JSON schema of gate files, for editors."),
    "judge": Named(
        at=f"{_JUDGE}:judge",
        line="Judge a commit of any local repository as a run's would be, sealed, with no daemon and no forge.",
    ),
}


class Gates(Lazily):
    """What writes and reads a gate file loads nothing of what judges."""

    named: ClassVar[Mapping[str, Named]] = _NAMED


app = typer.Typer(cls=Gates, no_args_is_help=True, rich_markup_mode=None, help="The gates of a repository.")


@app.callback()
def _gates() -> None:
    """The gates of a repository."""
