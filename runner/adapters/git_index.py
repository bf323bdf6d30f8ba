"""Trees made in a throw-away index of a bare clone: nothing is checked out, and no filter is run."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from runner.adapters.git_command import checked_oid
from runner.adapters.git_plumbing import BareRepository
from runner.adapters.tree_listing import SYMLINK, TreeEntry
from runner.adapters.tree_write import is_plain
from runner.changes import ChangeKind, FileChange
from runner.errors import CheckoutFault

_MODES: Final = frozenset({"100644", "100755", SYMLINK})


def changed_tree(clone: BareRepository, base: str, changes: Sequence[FileChange]) -> str:
    """The id of the tree of `base` with the changes applied. Raises CheckoutFault."""
    # Below the clone: what a crash leaves goes when the clone goes.
    with tempfile.TemporaryDirectory(prefix="index-", dir=clone.place) as scratch:
        lines = _lines(clone, changes, Path(scratch), width=len(base))
        return _written(clone, base, lines, Path(scratch))


def grafted_tree(clone: BareRepository, onto: str, paths: Collection[bytes], entries: Sequence[TreeEntry]) -> str:
    """The id of the tree of `onto` with `entries` at those paths, and nothing at the others. Raises CheckoutFault."""
    gone = b"".join(b"0 %s\t%s\0" % (b"0" * len(onto), path) for path in sorted(paths))
    there = b"".join(b"%s %s\t%s\0" % (one.mode.encode(), one.oid.encode(), one.path) for one in entries)
    with tempfile.TemporaryDirectory(prefix="index-", dir=clone.place) as scratch:
        return _written(clone, onto, gone + there, Path(scratch))


def _written(clone: BareRepository, base: str, lines: bytes, scratch: Path) -> str:
    index = {"GIT_INDEX_FILE": f"{scratch}/index"}
    clone.ask("read-tree", checked_oid(base), deed="read the base commit", variables=index)
    applied = clone.ask("update-index", "-z", "--index-info", deed="apply the changes", feed=lines, variables=index)
    # Git skips a path that it finds unsafe and calls that a success.
    if applied.err.strip():
        raise CheckoutFault("Git would not take every changed path; the policy must refuse them.")
    return clone.ask("write-tree", deed="write the new tree", variables=index).text()


def _lines(clone: BareRepository, changes: Sequence[FileChange], scratch: Path, *, width: int) -> bytes:
    lines, written, files = [], [], []
    for number, change in enumerate(changes):
        path = change.path.encode("utf-8", "surrogateescape")
        if not is_plain(path):
            raise CheckoutFault("A changed path is not one inside the repository; the policy must refuse it.")
        if change.kind is ChangeKind.DELETE:
            lines.append(b"0 %s\t%s\0" % (b"0" * width, path))
            continue
        if change.content is None or change.mode not in _MODES:
            raise CheckoutFault("A change is neither a file nor a symlink; the policy must refuse it.")
        file = scratch / f"blob-{number}"
        file.write_bytes(change.content)
        files.append(f"{file}\n")
        written.append((change.mode, path))
    feed = "".join(files).encode()
    deed = "store the changed files"
    hashed = clone.ask("hash-object", "-w", "--no-filters", "--stdin-paths", deed=deed, feed=feed)
    oids = hashed.text().split()
    # Deletions first: a directory may have become a file.
    lines.extend(
        b"%s %s\t%s\0" % (mode.encode(), oid.encode(), path) for (mode, path), oid in zip(written, oids, strict=True)
    )
    return b"".join(lines)
