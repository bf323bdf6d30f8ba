"""How the commands tell: one JSON value or one record a line, and an exit status.

Standard output holds what was asked for and nothing else; every remark and every refusal goes beside it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

FRUITLESS: Final = 1
REFUSED: Final = 2
INTERRUPTED: Final = 130
"""As a shell tells of a program that Ctrl-C ended."""
UNREAD: Final = 141
"""As a shell tells of a program whose reader went away."""

Json = Annotated[bool, typer.Option("--json", help="Print the whole answer as one JSON value.")]
Follow = Annotated[bool, typer.Option("--follow", help="Stay, and show what happens; Ctrl-C leaves the run alone.")]


def say(value: object) -> None:
    """Print one JSON value."""
    typer.echo(json.dumps(value, indent=2))


def record(fields: Sequence[object], widths: Sequence[int]) -> str:
    """One record as a line: aligned to be read on a terminal, separated by tabs to be cut by another program."""
    texts = ["" if field is None else str(field).replace("\t", " ").replace("\n", " ") for field in fields]
    if not sys.stdout.isatty():
        return "\t".join(texts)
    return "  ".join(f"{text:<{width}}" for text, width in zip(texts, [*widths, 0], strict=True)).rstrip()
