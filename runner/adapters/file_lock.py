"""One holder at a time, across threads and processes, for something on disk."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from runner.errors import CheckoutFault

_PAUSE_S: Final = 0.02


@contextmanager
def held(path: Path, *, timeout_s: float) -> Iterator[None]:
    """The lock of that name is ours inside the block. The kernel frees it when its holder dies.

    Raises CheckoutFault when it is still somebody else's after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = _take(path, deadline)
    try:
        yield
    finally:
        os.close(fd)


def _take(path: Path, deadline: float) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if _locked(fd) and _still_named(path, fd):
            return fd
        os.close(fd)
        if time.monotonic() >= deadline:
            raise CheckoutFault(f"{path.name} was held by another command for too long; try again later.")
        time.sleep(_PAUSE_S)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _still_named(path: Path, fd: int) -> bool:
    # A holder may remove the file with what it guards; a lock on a file without a name guards nothing.
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return named.st_ino == os.fstat(fd).st_ino
