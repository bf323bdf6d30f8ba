"""Group D: files of a sandbox's that the daemon reads or removes: reports, exit records, pull request texts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from runner import files
from tests.attack.case import Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.taking_out import out_everywhere
from tests.git_rig import write

_LIMIT = 4096
_SECRET = b"the daemon's own token"


def _read(plant: Callable[[Path, Path], object], ground: Ground) -> Outcome:
    home = ground.directory()
    write(home, {"state/token": _SECRET})
    report = home / "report.json"
    plant(report, home / "state" / "token")
    data = files.read_untrusted(report, limit=_LIMIT)
    if data is None:
        return Stopped(by="it is no plain file, so it is none")
    if _SECRET in data:
        return Through(what="a file of the daemon's was read as a sandbox's report")
    return (
        Through(what=f"{len(data)} bytes were read") if len(data) > _LIMIT else Stopped(by=f"{len(data)} bytes of it")
    )


def _sparse(report: Path, _secret: Path) -> None:
    with report.open("wb") as handle:
        handle.truncate(64 * 1024 * 1024)


def _careless_read(path: Path, *, offset: int = 0, limit: int) -> bytes | None:  # noqa: ARG001 - the signature
    return path.read_bytes()[offset:] if path.exists() else None


def _removed(plant: Callable[[Path, Path], object], ground: Ground) -> Outcome:
    home = ground.directory()
    write(home, {"state/token": _SECRET, "tree/a": "x"})
    plant(home / "tree", home / "state")
    files.remove_tree(home / "tree")
    if not (home / "state" / "token").exists():
        return Through(what="what a symlink led to was removed")
    if (home / "tree").exists():
        return Through(what="it is still there, and fills the disk")
    return Stopped(by="the tree is gone, and nothing that it led to")


def _locked(tree: Path, _state: Path) -> None:
    write(tree, {"locked/x": "x"})
    (tree / "locked").chmod(0)


def _careless_remove(path: Path) -> None:
    """Follows what it finds, and leaves what it cannot open."""
    for inner in list(path.iterdir()):
        if not inner.is_dir():
            inner.unlink()
        elif os.access(inner, os.X_OK) and inner.stat().st_mode & 0o700:
            _careless_remove(inner)
            shutil.rmtree(inner, ignore_errors=True)


_DEFENCES = (
    Defence(
        name="untrusted-reading",
        sentence="A file of a sandbox's is read as a plain file, up to a limit, or not at all.",
        without=out_everywhere(files.read_untrusted, _careless_read),
    ),
    Defence(
        name="untrusted-removing",
        sentence="A tree of a sandbox's is removed whole, and nothing beside it.",
        without=out_everywhere(files.remove_tree, _careless_remove),
    ),
)

_CASES = (
    *(
        Case(
            group="D",
            defence="untrusted-reading",
            vector=vector,
            tried=f"leave {tried} as a report",
            attempt=partial(_read, plant),
            deadline_s=3.0,
        )
        for vector, tried, plant in (
            ("symlink", "a symlink to the daemon's token", lambda report, secret: report.symlink_to(secret)),
            ("fifo", "a FIFO that nobody writes to", lambda report, _: os.mkfifo(report)),
            ("huge", "64 MiB", _sparse),
        )
    ),
    *(
        Case(
            group="D",
            defence="untrusted-removing",
            vector=vector,
            tried=f"leave {tried} in a tree to be removed",
            attempt=partial(_removed, plant),
        )
        for vector, tried, plant in (
            ("symlink", "a symlink to the daemon's files", lambda tree, state: (tree / "l").symlink_to(state)),
            ("locked-folder", "a folder that nobody may open", _locked),
        )
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
