"""Every kind of write in a process that may open no more files. Run by a test.

Arguments: a directory to write in, and a repository to copy. Prints one JSON object: for each number of files that may
still be opened, by kind of write the fault's name and its sentence ("" for none); and the same when all may be again.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.sql_engine import migrate, open_engine, probe
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.system_clock import SystemClock
from runner.errors import RunnerError
from runner.files import write_whole
from runner.host_words import refusal
from runner.model import Remote
from runner.receipts import Deed, Kind

_LEFT = (0, 1, 2, 4, 8)


def told(write: Callable[[], object]) -> list[str]:
    """The fault that the write ends with, in the words that a run is told of it in."""
    try:
        write()
    except RunnerError as exc:
        return [type(exc).__name__, str(exc)]
    except OSError as exc:
        return [type(exc).__name__, refusal(exc)]
    return ["", ""]


def opened() -> int:
    """How many files this process has open, the one it looks with included."""
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def few_files(left: int) -> Iterator[None]:
    """This process may open so many more files while the block lasts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    taken = [os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC) for _ in range(256 - opened() + 1)]
    for one in taken[:left]:
        os.close(one)
    try:
        yield
    finally:
        for one in taken[left:]:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _left_open(before: int) -> int:
    """How many more files are open than before, once what ends beside us has had the time to."""
    tick = threading.Event()
    for _ in range(500):
        gc.collect()
        if opened() <= before:
            break
        tick.wait(0.01)
    return opened() - before


def main(state: Path, source: Path) -> None:
    """See the module."""
    engine = open_engine(f"sqlite:///{state}/ashigaru.db")
    migrate(engine)
    checkouts = GitCheckouts(state / "git", name="t", email="t@localhost")
    remote = Remote(url=f"file://{source}")
    checkouts.refresh("widgets", remote)
    head = checkouts.branch_head("widgets", "main") or ""
    checkouts.clone("r-1", "widgets")
    receipts = SqlReceipts(engine, SystemClock(), host="here", anchors=state / "anchors")
    receipts.record(Deed(kind=Kind.VERDICT, key="k", run_id="r-1", detail={}))
    (state / "tree").mkdir()
    write_whole(state / "launch.json", b"old")

    writes: dict[str, Callable[[], object]] = {
        "records": lambda: probe(engine),
        "mirror": lambda: checkouts.refresh("gadgets", remote),
        "clone": lambda: checkouts.clone("r-2", "widgets"),
        "export": lambda: checkouts.export("r-1", head, state / "tree"),
        "commit": lambda: checkouts.commit("r-1", head, head, (), "more"),
        "file": lambda: write_whole(state / "launch.json", b"{}"),
        "anchor": receipts.anchor,
    }
    before = opened()
    found: dict[int, dict[str, list[str]]] = {}
    whole: list[str] = []
    for left in _LEFT:
        found[left] = {}
        for kind, write in writes.items():
            # The records as whenever the pool opens another connection; everything else with one that is open.
            if kind == "records":
                engine.dispose()
            else:
                probe(engine)
            with few_files(left):
                found[left][kind] = told(write)
        whole.append((state / "launch.json").read_text(encoding="utf-8"))
    again = {kind: told(write) for kind, write in writes.items()}
    files = sorted(path.name for path in (state / "tree").rglob("*") if path.is_file())
    leaked = _left_open(before)
    sys.stdout.write(
        json.dumps({"few": found, "whole": whole, "again": again, "files": files, "leaked": leaked}) + "\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
