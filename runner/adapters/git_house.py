"""The git repositories below the state directory, as things that the house keeps: clones, mirrors, copies, packs.

Each is only ever touched under the lock that whoever else uses it holds too, by commands that have no transport.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from runner.adapters.file_lock import held
from runner.adapters.git_command import GitCommand
from runner.adapters.git_plumbing import BareRepository
from runner.errors import CheckoutFault
from runner.house_files import entries_of, size_of, touched
from runner.ports import Checkouts
from runner.records import Records
from runner.retention import Kind, Thing

_PACKING_S: Final = 240.0
_CUT: Final = 100
_UNREACHABLE: Final = "2.weeks.ago"
"""As long as that git keeps what no branch reaches any more: somebody may be about to point a branch at it."""
_LITTLE: Final = ("-c", "pack.threads=1", "-c", "pack.windowMemory=64m", "-c", "pack.deltaCacheSize=32m")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Bare repositories in one folder. lock_of: the lock that guards one. repo_of: whose it is, where that is known."""

    folder: Path
    lock_of: Callable[[Path], Path]
    repo_of: Callable[[Path], str | None]

    def repositories(self) -> Iterator[Path]:
        """Those there are."""
        return (one for one in entries_of(self.folder) if one.suffix == ".git")

    def used_at(self, repository: Path) -> float:
        """When something last came into it; UTC seconds. 0 for what a deletion that was cut off has left."""
        if not (repository / "HEAD").exists():
            return 0.0
        heads = repository / "refs" / "heads"
        return touched(repository, repository / "objects", repository / "objects" / "pack", heads)


def mirrors(root: Path) -> Place:
    """The mirrors of the checkouts at `root`."""
    return Place(
        folder=root / "mirrors",
        lock_of=lambda place: root / "locks" / f"mirrors-{place.name}.lock",
        repo_of=_mirrored,
    )


def _mirrored(place: Path) -> str | None:
    """As mirrors are named: the repository, quoted and cut, and a digest. None where it may have been cut."""
    quoted = place.name.removesuffix(".git").rpartition("-")[0]
    return unquote(quoted) if 0 < len(quoted) < _CUT else None


def copies(root: Path) -> Place:
    """The copies of this host's own repositories at `root`."""
    return Place(
        folder=root / "taken", lock_of=lambda place: root / "locks" / f"{place.name}.lock", repo_of=lambda _: None
    )


@dataclass(frozen=True, kw_only=True)
class Clones:
    """The clean clones of runs."""

    root: Path
    checkouts: Checkouts
    records: Records
    kind: Kind = Kind.CLONE

    def things(self) -> Iterator[Thing]:
        """See `Stock.things`."""
        for place in entries_of(self.root / "clones"):
            run_id = place.name.removesuffix(".git")
            run = self.records.run(run_id)
            ended = 0.0 if run is None else run.updated_at
            used = touched(place, place / "objects", place / "refs" / "heads")
            yield Thing(
                kind=self.kind,
                name=run_id,
                used_at=max(ended, used) if (place / "HEAD").exists() else 0.0,
                bytes=size_of(place),
                runs=frozenset({run_id}),
            )

    def put_away(self, thing: Thing) -> bool:
        """See `Stock.put_away`."""
        self.checkouts.remove(thing.name)
        return True


@dataclass(frozen=True, kw_only=True)
class Repositories:
    """Repositories that can be fetched anew: mirrors, and copies of this host's own."""

    place: Place
    kind: Kind
    patience_s: float = 5.0
    """How long whoever is at the repository is waited for."""

    def things(self) -> Iterator[Thing]:
        """See `Stock.things`."""
        for one in self.place.repositories():
            repo = self.place.repo_of(one)
            yield Thing(
                kind=self.kind,
                name=one.name,
                used_at=self.place.used_at(one),
                bytes=size_of(one),
                repo=repo,
                needed="nobody can tell whose it is" if self.kind is Kind.MIRROR and repo is None else None,
            )

    def put_away(self, thing: Thing) -> bool:
        """See `Stock.put_away`."""
        place = self.place.folder / thing.name
        with held(self.place.lock_of(place), timeout_s=self.patience_s):
            if self.place.used_at(place) > thing.used_at:
                return False
            if place.exists():
                # Without a HEAD it is none any more, whatever a crash leaves of the rest: it is made anew.
                (place / "HEAD").unlink(missing_ok=True)
                shutil.rmtree(place)
        return True


@dataclass(frozen=True, kw_only=True)
class Packs:
    """Repositories in many pieces, to be packed: nothing in them goes but what no branch has reached for weeks.

    loose, packs: with so many objects by themselves, about, or so many packs, it is slow to read and to copy.
    """

    places: tuple[Place, ...]
    home: Path
    loose: int = 1000
    packs: int = 12
    patience_s: float = 5.0
    kind: Kind = Kind.PACKS

    def things(self) -> Iterator[Thing]:
        """See `Stock.things`."""
        for number, place in enumerate(self.places):
            for one in place.repositories():
                if self._in_pieces(one):
                    # Nobody's: a busy repository is the one that comes to be in pieces, and packing takes nothing.
                    yield Thing(kind=self.kind, name=f"{number}/{one.name}", used_at=0.0, bytes=0)

    def put_away(self, thing: Thing) -> bool:
        """See `Stock.put_away`; whoever needs the repository meanwhile waits, at most four minutes."""
        number, _, name = thing.name.partition("/")
        place = self.places[int(number)]
        repository = BareRepository(git=GitCommand(self.home, timeout_s=_PACKING_S), place=place.folder / name)
        with held(place.lock_of(repository.place), timeout_s=self.patience_s):
            if not repository.exists:
                return False
            repository.clear_stale_locks()
            repository.clear_halves()
            # What no branch reaches goes into a pack of its own: in files by themselves it would be many pieces again.
            kept = ("--cruft", f"--cruft-expiration={_UNREACHABLE}")
            repository.ask(*_LITTLE, "repack", *kept, "-d", "-l", "-q", deed="pack a repository")
            repository.ask("prune", f"--expire={_UNREACHABLE}", deed="drop what no branch reaches")
        if self._in_pieces(repository.place):
            raise CheckoutFault(f"{name} is in many pieces after it was packed; look at it with `git count-objects`.")
        return True

    def _in_pieces(self, repository: Path) -> bool:
        if sum(1 for _ in (repository / "objects" / "pack").glob("pack-*.pack")) > self.packs:
            return True
        # As git guesses it: ids are even, so one folder of 256 tells of all.
        return sum(1 for _ in (repository / "objects" / "17").glob("*")) * 256 > self.loose
