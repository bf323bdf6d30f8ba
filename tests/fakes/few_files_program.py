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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.adapters.sql_engine import probe
from tests.fakes.every_write import every_write, told

_LEFT = (0, 1, 2, 4, 8)


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
    all_of = every_write(state, source)
    before = opened()
    found: dict[int, dict[str, tuple[str, str]]] = {}
    whole: list[str] = []
    for left in _LEFT:
        found[left] = {}
        for kind, write in all_of.writes.items():
            # The records as whenever the pool opens another connection; everything else with one that is open.
            if kind == "records":
                all_of.engine.dispose()
            else:
                probe(all_of.engine)
            with few_files(left):
                found[left][kind] = told(write)
        whole.append(all_of.file.read_text(encoding="utf-8"))
    again = {kind: told(write) for kind, write in all_of.writes.items()}
    files = sorted(path.name for path in all_of.tree.rglob("*") if path.is_file())
    leaked = _left_open(before)
    sys.stdout.write(
        json.dumps({"few": found, "whole": whole, "again": again, "files": files, "leaked": leaked}) + "\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
