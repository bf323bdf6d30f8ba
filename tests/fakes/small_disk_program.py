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
from contextlib import suppress
from pathlib import Path

from tests.fakes.every_write import every_write, told

_SIZE = 6 * 1024 * 1024


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
    all_of = every_write(disk, source)
    fill(disk, how)
    full = {kind: told(write) for kind, write in all_of.writes.items()}
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    (disk / "ballast").unlink(missing_ok=True)
    freed = {kind: told(write) for kind, write in all_of.writes.items()}
    sys.stdout.write(json.dumps({"full": full, "freed": freed}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
