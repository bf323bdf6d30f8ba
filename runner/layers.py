"""Who uses which shared set-up layer: told by whoever hands one out, asked before one goes.

Both hold the same lock, so that no layer goes between being handed out and being marked as in use. It is held for
microseconds, and the kernel frees it when its holder dies. All raise SandboxFault where it is held for ever.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from runner.errors import SandboxFault
from runner.files import remove_tree
from runner.layout import Layout

_FINISHED: Final = "finished"
_USERS: Final = "users"
_GONE: Final = ".gone-"
_MOST_USERS: Final = 200
_TRIES: Final = 400
_PAUSE_S: Final = 0.025


def in_use(layout: Layout, root: Path, run_id: str) -> bool:
    """Whether the layer is whole; if so it is marked as the run's, now."""
    with _alone(layout):
        if not (root / _FINISHED).exists():
            return False
        users = root / _USERS
        users.mkdir(exist_ok=True)
        (users / run_id).touch()
        for oldest in sorted(users.iterdir(), key=_touched)[:-_MOST_USERS]:
            oldest.unlink(missing_ok=True)
        return True


def users_of(root: Path) -> frozenset[str]:
    """The runs that have used the layer of late."""
    try:
        return frozenset(one.name for one in (root / _USERS).iterdir())
    except OSError:
        return frozenset()


def used_at(root: Path) -> float:
    """When it was last used, made, or begun; UTC seconds."""
    marks = [root, root / "started", root / _FINISHED]
    marks += [root / _USERS / name for name in users_of(root)]
    return max(_touched(mark) for mark in marks)


def put_away(layout: Layout, root: Path, seen_at: float) -> bool:
    """The layer is gone, unless it was used after `seen_at`; `left_behind` tells what a cut-off deletion leaves."""
    gone = root.with_name(f"{_GONE}{root.name}")
    remove_tree(gone)
    with _alone(layout):
        if not root.exists() or used_at(root) > seen_at:
            return False
        root.rename(gone)
    remove_tree(gone)
    return True


def left_behind(layout: Layout) -> tuple[Path, ...]:
    """What deletions that were cut off have left of their layers."""
    return tuple(sorted(layout.environments.glob(f"{_GONE}*")))


def layers(layout: Layout) -> tuple[Path, ...]:
    """The layers there are, whole or begun."""
    try:
        return tuple(sorted(one for one in layout.environments.iterdir() if not one.name.startswith(_GONE)))
    except FileNotFoundError:
        return ()


def _touched(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    layout.state_dir.mkdir(parents=True, exist_ok=True)
    fd = os.open(layout.state_dir / "environments.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        for left in reversed(range(_TRIES)):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if not left:
                    raise SandboxFault("The set-up layers are held by another command; see what it does.") from exc
                time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(fd)
