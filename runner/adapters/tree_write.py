"""Writes a commit's files where a container will see them: raw blobs, no filter, nothing through a symlink."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

from runner.adapters.tree_listing import GITLINK, SYMLINK, TreeEntry
from runner.errors import CheckoutFault
from runner.policy import is_dot_git

_CHUNK: Final = 1024 * 1024
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def empty_directory(directory: Path) -> None:
    """`directory` is there and holds nothing, whatever modes or symlinks it held. Raises CheckoutFault."""
    try:
        if directory.is_symlink():
            raise CheckoutFault("A directory for a checkout was replaced by a symlink; remove it.")
        # Topdown: a directory is made readable before the walk enters it.
        for root, names, _ in os.walk(directory, followlinks=False):
            for name in names:
                inner = Path(root, name)
                if not inner.is_symlink():
                    inner.chmod(0o700)
        if directory.exists():
            for inner in directory.iterdir():
                shutil.rmtree(inner) if inner.is_dir() and not inner.is_symlink() else inner.unlink()
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise CheckoutFault("A directory for a checkout could not be emptied; check its owner and the disk.") from exc


def in_writing_order(entries: Sequence[TreeEntry]) -> tuple[TreeEntry, ...]:
    """Files first and symlinks last, so that no file is ever written through one. Submodules are left out."""
    blobs = [entry for entry in entries if entry.mode != GITLINK]
    return tuple(sorted(blobs, key=lambda entry: entry.mode == SYMLINK))


def write_tree(entries: Sequence[TreeEntry], blobs: IO[bytes], destination: Path) -> None:
    """Write the entries, in their order, from the output of `git cat-file --batch`.

    Raises CheckoutFault, with part of the files written.
    """
    root = os.fsencode(destination)
    made = {b""}
    try:
        for entry in entries:
            if not is_plain(entry.path):
                raise CheckoutFault("The commit holds a path that no checkout may have; repair the repository.")
            _have_folder(root, entry.path.rpartition(b"/")[0], made)
            _write(entry, blobs, b"%s/%s" % (root, entry.path))
    except OSError as exc:
        raise CheckoutFault("A checkout could not be written; check the disk's free space and rights.") from exc


def is_plain(path: bytes) -> bool:
    """Whether a tree's path leads to one place inside the tree, and not into git's own directory."""
    return b"\0" not in path and all(_is_plain_part(part) for part in path.split(b"/"))


@lru_cache(maxsize=4096)
def _is_plain_part(part: bytes) -> bool:
    return part not in {b"", b".", b".."} and not is_dot_git(part.decode("utf-8", "replace"))


def _have_folder(root: bytes, folder: bytes, made: set[bytes]) -> None:
    """The folder is there, made by us: one that is there already is a file or a symlink of the commit's."""
    if folder not in made:
        _have_folder(root, folder.rpartition(b"/")[0], made)
        os.mkdir(b"%s/%s" % (root, folder))  # noqa: PTH102 - a Path for each of 100,000 files takes longer than writing it
        made.add(folder)


def _write(entry: TreeEntry, blobs: IO[bytes], place: bytes) -> None:
    size = _announced(blobs, entry)
    if entry.mode == SYMLINK:
        os.symlink(_exactly(blobs, size), place)  # noqa: PTH211 - as above
    else:
        file = os.open(place, _NEW, 0o600)
        try:
            while size:
                piece = _exactly(blobs, min(size, _CHUNK))
                size -= len(piece)
                while piece:
                    piece = piece[os.write(file, piece) :]
            os.fchmod(file, 0o755 if entry.mode == "100755" else 0o644)
        finally:
            os.close(file)
    _exactly(blobs, 1)


def _announced(blobs: IO[bytes], entry: TreeEntry) -> int:
    header = blobs.readline(200).split()
    if len(header) != 3 or header[0].decode("ascii", "replace") != entry.oid or header[1] != b"blob":
        raise CheckoutFault("A file of the commit is missing from the clone; refresh and clone again.")
    return int(header[2])


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise CheckoutFault("Git stopped in the middle of a file; try again.")
    return data
