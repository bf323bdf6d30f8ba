"""`mcp-ashigaru gates lint`, `init` and `schema`: the gate file of a repository on this host. Nothing is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gates.errors import BadGateSpec
from gates.lint import remarks
from gates.plan import CiOnly, GatePlan, plan
from gates.spec import GATE_FILE, MAX_FILE_BYTES, parse_gate_file, schema_text
from gates.text import clean
from mcp_ashigaru.commands.telling import FRUITLESS, Json, say
from mcp_ashigaru.findings import Finding, Level, healthy, render
from mcp_ashigaru.gate_draft import draft
from mcp_ashigaru.work_tree import WorkTree
from runner.errors import BadIntent
from runner.files import read_untrusted

Place = Annotated[Path, typer.Argument(help="The repository's directory.")]


def lint(
    path: Annotated[Path, typer.Argument(help="The repository's directory, or a gate file.")] = Path(),
    as_json: Json = False,
) -> None:
    """Check a repository's gate file, offline: ok, or what is wrong with it, and what to think of.

    Exit status 0 it can be used, warnings or not; 1 it is wrong. Whether its images are there is not looked at.
    """
    file = path / GATE_FILE if path.is_dir() else path
    data = read_untrusted(file, limit=MAX_FILE_BYTES + 1)
    if data is None:
        raise BadIntent(f"{_named(file)} is no plain file that can be read; `mcp-ashigaru gates init` writes one.")
    # What lies beside a file of another name need not be a repository.
    paths = WorkTree(root=file.parent).paths() if file.name == GATE_FILE else ()
    findings = _findings(data, paths)
    if as_json:
        told = [{"level": one.level.value, "text": one.text} for one in findings]
        say({"file": str(file), "ok": healthy(findings), "findings": told})
    else:
        typer.echo(render(findings))
    if not healthy(findings):
        raise typer.Exit(FRUITLESS)


def init(path: Place = Path()) -> None:
    """Write a gate file with what the repository's files show; one that is there is left alone."""
    tree = WorkTree(root=path)
    if not path.is_dir():
        raise BadIntent(f"{_named(path)} is no directory; name the repository's.")
    found = plan(None, tree.paths(), tree.read)
    if not isinstance(found, GatePlan):
        why = "CI alone judges it" if isinstance(found, CiOnly) else found.reason.rstrip(".")
        raise BadIntent(f"Nothing was written: {clean(why, 200)}.")
    text = draft(found)
    try:
        parse_gate_file(text.encode())
    except BadGateSpec as exc:
        raise BadIntent(f"Nothing was written, for what the files show is too much for a gate file: {exc}") from exc
    file = path / GATE_FILE
    try:
        # Never over one that is there, a link that leads elsewhere among them.
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError as exc:
        raise BadIntent(f"{_named(file)} is there already and was left as it is; check it with `gates lint`.") from exc
    except OSError as exc:
        raise BadIntent(f"{_named(file)} cannot be written: {exc.strerror}; nothing was changed.") from exc
    with os.fdopen(fd, "w", encoding="utf-8", newline="\n") as out:
        out.write(text)
    typer.echo(f"{file}: {', '.join(gate.name for gate in found.gates)}; commit it to the base branch")


def schema() -> None:
    """Print the JSON schema of gate files, for editors."""
    typer.echo(schema_text(), nl=False)


def _findings(data: bytes, paths: tuple[str, ...]) -> list[Finding]:
    try:
        found = plan(data, paths, lambda _path: None)
    except BadGateSpec as exc:
        return [Finding(level=Level.FAIL, subject=GATE_FILE, text=str(exc))]
    match found:
        case GatePlan(gates=gates, reviewers=reviewers):
            told = f"gates: {', '.join(one.name for one in gates)}"
            told += f"; reviewers: {', '.join(one.name for one in reviewers)}" if reviewers else ""
        case CiOnly():
            told = "no gate: CI alone judges"
        case other:
            raise LookupError(f"a gate file came to {other}")
    thoughts = remarks(found, paths)
    return [
        Finding(level=Level.OK, subject=GATE_FILE, text=told),
        *(Finding(level=Level.WARN, subject=GATE_FILE, text=one) for one in thoughts),
    ]


def _named(file: Path) -> str:
    return clean(str(file), 160)
