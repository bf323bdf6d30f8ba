"""Every kind of write there is, in a state directory, for a program that takes away what they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import Engine

from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.sql_engine import migrate, open_engine, probe
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.system_clock import SystemClock
from runner.errors import RunnerError
from runner.files import write_whole
from runner.host_words import refusal
from runner.model import Remote
from runner.receipts import Deed, Kind

Write = Callable[[], object]


def told(write: Write) -> tuple[str, str]:
    """The fault that the write ends with, in the words that a run is told of it in; ("", "") for none."""
    try:
        write()
    except RunnerError as exc:
        return type(exc).__name__, str(exc)
    except OSError as exc:
        return type(exc).__name__, refusal(exc)
    return "", ""


@dataclass(frozen=True, kw_only=True)
class EveryWrite:
    """A state directory that every kind of write was done in once. writes: each of them, by its kind; safe twice."""

    engine: Engine
    tree: Path
    file: Path
    writes: dict[str, Write]


def every_write(state: Path, source: Path) -> EveryWrite:
    """Have one in `state`, with a mirror and a clone of `source` in it, a file that holds "old", and a receipt."""
    engine = open_engine(f"sqlite:///{state}/ashigaru.db")
    migrate(engine)
    checkouts = GitCheckouts(state / "git", name="t", email="t@localhost")
    remote = Remote(url=f"file://{source}")
    checkouts.refresh("widgets", remote)
    head = checkouts.branch_head("widgets", "main") or ""
    checkouts.clone("r-1", "widgets")
    receipts = SqlReceipts(engine, SystemClock(), host="here", anchors=state / "anchors")
    receipts.record(Deed(kind=Kind.VERDICT, key="k", run_id="r-1", detail={}))
    tree, file = state / "tree", state / "launch.json"
    tree.mkdir()
    write_whole(file, b"old")
    writes: dict[str, Write] = {
        "records": lambda: probe(engine),
        "mirror": lambda: checkouts.refresh("gadgets", remote),
        "clone": lambda: checkouts.clone("r-2", "widgets"),
        "export": lambda: checkouts.export("r-1", head, tree),
        "commit": lambda: checkouts.commit("r-1", head, head, (), "more"),
        "file": lambda: write_whole(file, b"{}"),
        "anchor": receipts.anchor,
    }
    return EveryWrite(engine=engine, tree=tree, file=file, writes=writes)
