"""The commands by which a person examines the receipts. They need no daemon and change nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from mcp_ashigaru.commands.telling import Json, record, say
from mcp_ashigaru.settings import load_settings
from mcp_ashigaru.stores import open_receipts
from runner.errors import BadIntent
from runner.receipts import Broken, Head, Link
from runner.receipts_check import export_line, exported, head_of, verified

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What was done with credentials, and each verdict.")

_MAX_LINE: Final = 64 * 1024
_SHOWN: Final = 10_000


@app.command()
def verify(
    file: Annotated[Path | None, typer.Option("--file", help="An export, instead of this host's records.")] = None,
    head: Annotated[
        list[str] | None, typer.Option("--head", help="NUMBER:HASH that must be in it, for example a pull request's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell whether the chain is what it was; exit status 1 and the place where it is not."""
    settings = load_settings()
    told = tuple(_head(one) for one in head or ())
    if file is None:
        with open_receipts(settings) as receipts:
            anchors = receipts.anchors()
            found = verified(settings.host_id, receipts.links(), (*anchors, *told))
    else:
        anchors = ()
        with _lines(file) as lines:
            links = exported(lines)
            first = next(links, None)
            host = settings.host_id if first is None else first.host
            found = verified(host, _again(first, links), told)
    _tell(found, len(anchors) + len(told), as_json=as_json)
    if isinstance(found, Broken):
        raise typer.Exit(1)


@app.command()
def show(run_id: str, as_json: Json = False) -> None:
    """List a run's receipts, the oldest first.

    A line each: number, time, what was done, how it went, to what.
    """
    with open_receipts(load_settings()) as receipts:
        links = [one for one, _ in zip(receipts.links(run_id=run_id), range(_SHOWN), strict=False)]
    entries = [_said(one) for one in links]
    if as_json:
        say([entry | {"hash": one.hash} for entry, one in zip(entries, links, strict=True)])
        return
    for entry in entries:
        at = datetime.fromtimestamp(entry.get("at_ms", 0) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        details = " ".join(f"{name}={value}" for name, value in entry.get("detail", {}).items())
        fields = (entry.get("number"), at, entry.get("kind"), entry.get("stage"), details)
        typer.echo(record(fields, (8, 20, 10, 8)))


@app.command()
def export(file: Path) -> None:
    """Write the whole chain to a new FILE, a JSON value a line; `verify --file` examines it."""
    with open_receipts(load_settings()) as receipts:
        try:
            fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise BadIntent(f"{file} cannot be written: {exc.strerror}; name a new file.") from exc
        count = 0
        with os.fdopen(fd, "w", encoding="utf-8", newline="\n") as out:
            for one in receipts.links():
                out.write(export_line(one) + "\n")
                count += 1
    typer.echo(f"{count} entries")


def _tell(found: Head | Broken, anchors: int, *, as_json: bool) -> None:
    match found:
        case Head(number=number, hash=hashed):
            if as_json:
                say({"ok": True, "entries": number, "head": f"{number}:{hashed}", "anchors": anchors})
            else:
                typer.echo(f"ok: {number} entries, {anchors} anchors met, head {number}:{hashed}")
        case Broken(number=number, what=what):
            if as_json:
                say({"ok": False, "entry": number, "what": what})
            else:
                typer.echo(f"broken at entry {number}: {what}")


def _head(text: str) -> Head:
    told = head_of(text)
    if told is None:
        raise BadIntent("--head takes NUMBER:HASH as a pull request tells it, for example 41:9f86d0….")
    return told


def _again(first: Link | None, rest: Iterator[Link]) -> Iterator[Link]:
    if first is not None:
        yield first
        yield from rest


@contextmanager
def _lines(file: Path) -> Iterator[Iterator[str]]:
    """The file's lines without their newlines; one that is too long is cut, and so is no entry."""
    try:
        with file.open("rb") as lines:
            yield (
                line.removesuffix(b"\n").decode("utf-8", "replace")
                for line in iter(lambda: lines.readline(_MAX_LINE), b"")
            )
    except OSError as exc:
        raise BadIntent(f"{file} cannot be read: {exc.strerror}; name an export.") from exc


def _said(one: Link) -> dict[str, Any]:
    try:
        said = json.loads(one.body)
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {"number": one.number, "kind": "unreadable"}
