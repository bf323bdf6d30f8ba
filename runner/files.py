"""Small files of our own, written whole or not at all; files of an agent's or a gate's, read with care."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path
from typing import IO, Final

_PIECE: Final = 64 * 1024


def write_whole(path: Path, data: bytes) -> None:
    """Have `path` hold exactly `data`; a crash leaves the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)


def read_untrusted(path: Path, *, offset: int = 0, limit: int) -> bytes | None:
    """At most `limit` bytes of a plain file that a sandbox may have made; None for anything else.

    A symlink is not followed, a FIFO does not block, a device is not opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as handle:
        handle.seek(offset)
        return read_at_most(handle, limit)


def read_at_most(stream: IO[bytes], limit: int) -> bytes:
    """What is left of the stream, of that at most `limit` bytes.

    `stream.read(limit)` has all of `limit` allocated for whatever there is.
    """
    pieces: list[bytes] = []
    while limit and (piece := stream.read(min(limit, _PIECE))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def longer_than(path: Path, size: int) -> bool:
    """Whether what is at `path` may have more than `size` bytes; it is not opened for that, so may be anything."""
    try:
        return os.lstat(path).st_size > size
    except OSError:
        return False


def tail_untrusted(path: Path, *, limit: int) -> bytes | None:
    """The last `limit` bytes of such a file; None as for `read_untrusted`."""
    try:
        size = path.lstat().st_size
    except OSError:
        return None
    return read_untrusted(path, offset=max(0, size - limit), limit=limit)


def remove_tree(path: Path) -> None:
    """Nothing is left at `path`. Directories that were made unreadable by their owner are opened first.

    Raises OSError, as the host gave it, where something stays all the same.
    """
    refused: list[OSError] = []

    def unlock(_function: object, name: str, error: tuple[type[BaseException], BaseException, object]) -> None:
        if isinstance(error[1], OSError):
            refused.append(error[1])
        with contextlib.suppress(OSError):
            parent = Path(name).parent
            parent.chmod(0o700)
            if Path(name).is_dir() and not Path(name).is_symlink():
                Path(name).chmod(0o700)
                shutil.rmtree(name, ignore_errors=True)
            else:
                Path(name).unlink()

    if path.is_symlink() or path.exists():
        shutil.rmtree(path, onerror=unlock)
    if refused and os.path.lexists(path):
        raise refused[0]
