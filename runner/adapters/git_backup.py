"""Copies a bare repository whole, while others push to it and pack it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from runner.adapters.git_copying import copy_objects
from runner.adapters.git_plumbing import BareRepository
from runner.errors import CheckoutFault

_TRIES: Final = 5


def copy_repository(source: BareRepository, target: Path) -> None:
    """Have a repository at `target` with every ref of `source`, each at a commit that it was at. Raises CheckoutFault.

    What is pushed meanwhile may be there or not.
    """
    copy = BareRepository(git=source.git, place=target)
    copy.create()
    # The refs first: whatever they name is in the objects, which are only added to.
    listed = source.ask("for-each-ref", "--format=%(objectname) %(refname)", deed="list what is to be copied").out
    head = (source.place / "HEAD").read_bytes()
    for left in reversed(range(_TRIES)):
        try:
            copy_objects(source.place, target)
            break
        except OSError as exc:
            # A pack that was listed and then replaced by another.
            if not left:
                raise CheckoutFault(f"{source.place} cannot be copied ({exc}); check both disks.") from exc
    pairs = (line.split(b" ", 1) for line in listed.splitlines())
    feed = b"".join(b"update %b\0%b\0\0" % (name, oid) for oid, name in pairs)
    if feed:
        copy.ask("update-ref", "--no-deref", "--stdin", "-z", deed="write down what was copied", feed=feed)
    (target / "HEAD").write_bytes(head)
