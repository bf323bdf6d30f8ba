"""`mcp-ashigaru gates judge`: the daemon's judge on a repository of this host."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, assert_never

import typer

from gates.text import clean, plain
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Unjudged, Verdict
from mcp_ashigaru.commands.telling import FRUITLESS, Json, say
from mcp_ashigaru.judging_here import Judged, TreeJudged, judge_here
from mcp_ashigaru.settings import load_settings
from runner.intents import repo_name
from runner.rounds import Interrupted

SILENT: Final = 4
"""The gates could not be made to say anything: neither a no nor a fault of ours."""
_SIGNALLED: Final = 128
"""As a shell tells of a program that a signal ended: this and the signal's number."""
_MAX_LINE: Final = 400

Repo = Annotated[Path, typer.Option(help="A git repository of this host; nothing in it is changed.")]
Base = Annotated[str, typer.Option(help="Branch, tag or commit that is judged first; its gates are the ones asked.")]
Head = Annotated[str, typer.Option(help="Branch, tag or commit to be judged.")]
Name = Annotated[str | None, typer.Option(help="What fleet.toml calls the repository [one that it does not name].")]


def judge(base: Base, head: Head = "HEAD", repo: Repo = Path(), name: Name = None, as_json: Json = False) -> None:
    """Judge a commit of any local repository as a run's would be, sealed, with no daemon and no forge.

    Exit status 0 passed, 1 failed or needs a person, 4 inconclusive. What is not committed is not judged.
    """
    # It is nobody's forge: what the daemon on this host needs of one is not asked for.
    settings = load_settings(forge="local")
    called = None if name is None else repo_name(name)
    with (
        _heeding_signals() as stopping,
        judge_here(settings, name=called, told=_beside, stopping=stopping) as judged_by,
    ):
        judged = judged_by(repo, base, head)
    say(value(judged)) if as_json else typer.echo("\n".join(page(judged)))
    if code := exit_code(judged.verdict):
        raise typer.Exit(code)


def exit_code(verdict: Verdict) -> int:
    """What the shell is told."""
    match verdict:
        case Passed():
            return 0
        case Failed() | NeedsHuman():
            return FRUITLESS
        case Inconclusive() | Unjudged():
            return SILENT
        case _:
            assert_never(verdict)


def value(judged: Judged) -> dict[str, Any]:
    """The one JSON value; docs/gates.md says what is in it."""
    return {
        "repository": str(judged.repository.absolute()),
        "verdict": judged.verdict.kind,
        "of": "base" if judged.head is None else "head",
        "gates": [
            {
                "name": gate.name,
                "run": gate.run,
                "junit": gate.junit,
                "required": gate.required,
                "timeout_s": gate.timeout_s,
            }
            for gate in judged.gates
        ],
        "base": _told(judged.base),
        "head": None if judged.head is None else _told(judged.head),
        "notices": list(judged.notices),
    }


def _told(one: TreeJudged) -> dict[str, Any]:
    return {
        "commit": one.commit,
        "tree": one.tree,
        "verdict": one.verdict.kind,
        "summary": summary(one.verdict),
        "findings": list(one.verdict.findings) if isinstance(one.verdict, NeedsHuman) else [],
        "shown": list(one.verdict.shown) if isinstance(one.verdict, Passed | NeedsHuman) else [],
        "report": one.verdict.report if isinstance(one.verdict, Failed) else "",
        "tests": {
            "ran": one.counts.ran,
            "passed": one.counts.passed,
            "failed": one.counts.failed,
            "skipped": one.counts.skipped,
        },
        "image": one.image,
        "takes": one.takes,
        "seconds": round(one.seconds, 1),
    }


def summary(verdict: Verdict) -> str:
    """Its one line."""
    return verdict.reason if isinstance(verdict, Inconclusive) else verdict.summary


def page(judged: Judged) -> Iterator[str]:
    """The lines for a person: the verdict first, then what each tree said, the evidence last."""
    verdict = judged.verdict
    yield f"{_WORDS[verdict.kind]}: {_line(summary(verdict))}"
    if judged.head is None:
        yield "That is the base; a head is judged only on a base that is green."
    for gate in judged.gates:
        yield f"gate  {gate.name}: {_line(gate.run)}{'' if gate.required else ' (advisory)'}"
    for what, one in (("base", judged.base), ("head", judged.head)):
        if one is not None:
            yield f"{what}  {one.commit[:12]}  {_WORDS[one.verdict.kind]}, {_counted(one)}, {one.seconds:.1f} s"
    if isinstance(verdict, NeedsHuman):
        yield from _listed("For a person to decide:", verdict.findings)
    if isinstance(verdict, Passed | NeedsHuman):
        yield from _listed("Worth a look:", verdict.shown)
    yield from _listed("Beside it:", judged.notices)
    if isinstance(verdict, Failed):
        yield ""
        yield plain(verdict.report, keep_newlines=True)


_WORDS: Final = {
    "passed": "passed",
    "failed": "failed",
    "needs_human": "needs a person",
    "inconclusive": "inconclusive",
    "unjudged": "unjudged",
}


def _counted(one: TreeJudged) -> str:
    counts = one.counts
    if not counts.tests:
        return "no test counted"
    return f"{counts.ran} ran, {counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped"


def _listed(title: str, lines: tuple[str, ...]) -> Iterator[str]:
    if lines:
        yield title
        yield from (f"  {_line(line)}" for line in lines)


def _line(text: str) -> str:
    return clean(text, _MAX_LINE)


def _beside(line: str) -> None:
    typer.echo(line, err=True)


@contextmanager
def _heeding_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that no sandbox is left; the second one does not wait for that."""
    stopping, heard = threading.Event(), []

    def heed(number: int, _frame: object) -> None:
        if stopping.is_set():
            sys.exit(_SIGNALLED + number)
        heard.append(number)
        stopping.set()

    before = [(one, signal.signal(one, heed)) for one in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield stopping
    except Interrupted:
        pass
    finally:
        for one, handler in before:
            signal.signal(one, handler)
    if heard:
        raise typer.Exit(_SIGNALLED + heard[0])
