"""Every kind of write on a disk of a few MiB of its own that is full. Run by a test, in a mount namespace of its own.

Arguments: a directory to mount the disk at, a repository to copy, and "mount"; or "limit" where nobody may mount, and
then no file of the process may grow. Prints one JSON object: by kind of write, the
fault's name and its sentence, "" for none.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.sql_engine import migrate, open_engine, probe
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.system_clock import SystemClock
from runner.errors import RunnerError
from runner.files import write_whole
from runner.model import Remote
from runner.receipts import Deed, Kind

_SIZE = 6 * 1024 * 1024


def told(write: Callable[[], object]) -> list[str]:
    """The fault that the write ends with."""
    try:
        write()
    except (RunnerError, OSError) as exc:
        return [type(exc).__name__, str(exc)]
    return ["", ""]


def fill(disk: Path, how: str) -> None:
    """Not a byte is left."""
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        return
    for size in (64 * 1024, 1):
        with suppress(OSError), (disk / "ballast").open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * size)


def main(disk: Path, source: Path, how: str) -> None:
    """See the module."""
    if how == "mount":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(disk)], check=True)
    engine = open_engine(f"sqlite:///{disk}/ashigaru.db")
    migrate(engine)
    checkouts = GitCheckouts(disk / "git", name="t", email="t@localhost")
    remote = Remote(url=f"file://{source}")
    checkouts.refresh("widgets", remote)
    head = checkouts.branch_head("widgets", "main") or ""
    checkouts.clone("r-1", "widgets")
    receipts = SqlReceipts(engine, SystemClock(), host="here", anchors=disk / "anchors")
    receipts.record(Deed(kind=Kind.VERDICT, key="k", run_id="r-1", detail={}))
    (disk / "tree").mkdir()
    fill(disk, how)
    writes: dict[str, Callable[[], object]] = {
        "mirror": lambda: checkouts.refresh("gadgets", remote),
        "clone": lambda: checkouts.clone("r-2", "widgets"),
        "export": lambda: checkouts.export("r-1", head, disk / "tree"),
        "commit": lambda: checkouts.commit("r-1", head, head, (), "more"),
        "file": lambda: write_whole(disk / "launch.json", b"{}"),
        "anchor": receipts.anchor,
    }
    found = {kind: told(write) for kind, write in writes.items()}
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    (disk / "ballast").unlink(missing_ok=True)
    again = {kind: told(write) for kind, write in writes.items()}
    probe(engine)
    sys.stdout.write(json.dumps({"full": found, "freed": again}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
