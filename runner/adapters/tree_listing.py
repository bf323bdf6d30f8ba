"""What `git ls-tree` says, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runner.errors import CheckoutFault

LS_TREE: Final = ("ls-tree", "-r", "-z", "-l", "--full-tree")
SYMLINK: Final = "120000"
GITLINK: Final = "160000"
MAX_ENTRIES: Final = 200_000


@dataclass(frozen=True, kw_only=True)
class TreeEntry:
    """One path of a commit's tree. mode: "100644", "100755", "120000" or "160000"; size in bytes, 0 for a submodule."""

    path: bytes
    mode: str
    oid: str
    size: int


def parse_listing(out: bytes) -> tuple[TreeEntry, ...]:
    """The entries of `LS_TREE`'s output, in its order. Raises CheckoutFault on anything else."""
    return tuple(_entry(record) for record in out.split(b"\0") if record)


def _entry(record: bytes) -> TreeEntry:
    meta, tab, path = record.partition(b"\t")
    fields = meta.decode("ascii", "replace").split()
    if not tab or len(fields) != 4:
        raise CheckoutFault("Git listed a tree in an unknown form; install git 2.38 or newer.")
    mode, kind, oid, size = fields
    if kind == "blob" and mode != SYMLINK:
        # Trees of old tools hold 100664 and the like; git itself knows two modes.
        mode = "100755" if int(mode, 8) & 0o100 else "100644"
    return TreeEntry(path=path, mode=mode, oid=oid, size=0 if size == "-" else int(size))
