"""A mirror that lost what it held, as a power cut may leave it, is made anew: it is a copy of what the forge has."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable

from runner.adapters.git_plumbing import BareRepository
from runner.adapters.git_process import GitTask
from runner.errors import CheckoutFault, ForgeDown
from runner.model import Remote

_LOG = logging.getLogger(__name__)
_OF_FSCK = frozenset({*range(64), 128})
"""What `git fsck` ends with when it looked: bits of what it found, or 128 where there is no repository any more."""


def fetch_or_mend(mirror: BareRepository, remote: Remote, fetch: Callable[[], None]) -> None:
    """Fetch into the mirror; into a new one where the forge answers and the mirror is what is broken.

    Only for the one who holds the mirror's lock. Raises what `fetch` raises.
    """
    try:
        fetch()
    except ForgeDown:
        # Looked at only now: it takes as long as the repository is large.
        if not _answers(mirror, remote) or _sound(mirror):
            raise
        _LOG.warning("a mirror is broken and is made anew: %s", mirror.place.name)
        try:
            shutil.rmtree(mirror.place)
        except OSError as exc:
            raise CheckoutFault("A broken mirror cannot be removed; check the disk and the state directory.") from exc
        mirror.create()
        fetch()


def _answers(mirror: BareRepository, remote: Remote) -> bool:
    task = GitTask(
        arguments=("ls-remote", "--heads", remote.url), deed="ask the remote for its branches", remote=remote
    )
    try:
        mirror.git.run(task)
    except ForgeDown:
        return False
    return True


def _sound(mirror: BareRepository) -> bool:
    try:
        found = mirror.ask(
            "fsck",
            "--connectivity-only",
            "--no-dangling",
            "--no-progress",
            deed="look a mirror through",
            statuses=_OF_FSCK,
        )
    except CheckoutFault:
        # It took too long, or could not be started: no proof that anything is broken, and much to fetch again.
        return True
    return found.status == 0
