"""What the house keeps as files of the daemon's own below the state directory: of runs, of sockets, and layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner import layers
from runner.disk import DiskLimits, use_of
from runner.files import remove_tree
from runner.layout import Layout, short
from runner.model import LIVE_PHASES
from runner.records import Records
from runner.retention import Kind, Thing

_COUNTED: Final = DiskLimits(written=2**62, entries=200_000)
_MOST: Final = 10_000
_LAYER: Final = "layer/"
_MOST_LIVE: Final = 100_000


def size_of(path: Path) -> int:
    """Bytes on disk below `path`; of very many files the first 200,000's."""
    return use_of((path,), _COUNTED).written


def entries_of(folder: Path) -> Iterator[Path]:
    """What is in the folder, by name, the first 10,000; nothing where there is none."""
    try:
        yield from sorted(folder.iterdir())[:_MOST]
    except FileNotFoundError:
        return


def touched(*paths: Path) -> float:
    """When the latest of them was changed, UTC seconds; 0 where none is there."""
    found = [0.0]
    for path in paths:
        try:
            found.append(path.lstat().st_mtime)
        except OSError:
            continue
    return max(found)


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """What a close that was cut off has left of a run's files, and a sweep that was of a layer's."""

    layout: Layout
    kind: Kind = Kind.RUN_FILES

    def things(self) -> Iterator[Thing]:
        """See `Stock.things`."""
        for root in entries_of(self.layout.runs):
            changed = touched(root, *entries_of(root))
            yield Thing(
                kind=self.kind, name=root.name, used_at=changed, bytes=size_of(root), runs=frozenset({root.name})
            )
        for root in layers.left_behind(self.layout):
            yield Thing(kind=self.kind, name=f"{_LAYER}{root.name}", used_at=0.0, bytes=size_of(root))

    def put_away(self, thing: Thing) -> bool:
        """See `Stock.put_away`."""
        name = thing.name.removeprefix(_LAYER)
        remove_tree((self.layout.runs if name == thing.name else self.layout.environments) / name)
        return True


@dataclass(frozen=True, kw_only=True)
class Sockets:
    """Directories for sockets whose sandbox is gone."""

    layout: Layout
    records: Records
    kind: Kind = Kind.SOCKETS

    def things(self) -> Iterator[Thing]:
        """See `Stock.things`."""
        live = self.records.runs(phases=LIVE_PHASES, limit=_MOST_LIVE)
        owner = {short(f"{run.run_id}/{run.attempt + more}"): run.run_id for run in live for more in (0, 1)}
        for root in entries_of(self.layout.all_sockets):
            runs = frozenset({owner[root.name]} if root.name in owner else ())
            yield Thing(kind=self.kind, name=root.name, used_at=touched(root), bytes=0, runs=runs)

    def put_away(self, thing: Thing) -> bool:
        """See `Stock.put_away`."""
        remove_tree(self.layout.all_sockets / thing.name)
        return True


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Set-up layers that judgements share."""

    layout: Layout
    kind: Kind = Kind.LAYER

    def things(self) -> Iterator[Thing]:
        """See `Stock.things`."""
        for root in layers.layers(self.layout)[:_MOST]:
            yield Thing(
                kind=self.kind,
                name=root.name,
                used_at=layers.used_at(root),
                bytes=size_of(root),
                runs=layers.users_of(root),
            )

    def put_away(self, thing: Thing) -> bool:
        """See `Stock.put_away`."""
        return layers.put_away(self.layout, self.layout.environments / thing.name, thing.used_at)
