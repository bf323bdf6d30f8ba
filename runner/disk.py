"""The disk: how much one sandbox may write to the host's directories, and how much of the host's is left alone.

No container engine bounds a directory that is mounted into a sandbox, so it is looked at while the sandbox runs. A look
at the file system as a whole costs microseconds and is taken at every poll; the files themselves are counted now and
then, within bounds, and at once when the file system has lost more room than the sandbox has left.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.errors import DiskLow
from runner.ports import Clock
from runner.sandboxes import SandboxSpec

_MIB: Final = 1024 * 1024
_EVERY_S: Final = 1.0
_SHARE: Final = 20
"""Counting may take one part in that many of the time."""
_BLOCK: Final = 512  # the unit of st_blocks (stat(2))


@dataclass(frozen=True, kw_only=True)
class DiskLimits:
    """What one sandbox may write, in bytes on disk and in files and directories; and the bytes to be left free.

    No round starts with less than `floor` bytes free, and every sandbox is stopped at half of that.
    """

    written: int = 4096 * _MIB
    entries: int = 500_000
    floor: int = 2048 * _MIB


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a file system has left for this account, in bytes and in files; files None where it does not count them."""

    free: int
    files: int | None


@dataclass(frozen=True, kw_only=True)
class Use:
    """What directories hold: bytes on disk (a sparse file holds few) and entries.

    cut: counting ended early. hidden: there are directories that could not be looked into.
    """

    written: int
    entries: int
    cut: bool = False
    hidden: bool = False


def room_at(path: Path) -> Room:
    """The room where `path` lies, or its nearest parent that is there. Raises OSError."""
    try:
        found = os.statvfs(path)
    except (FileNotFoundError, NotADirectoryError):
        found = os.statvfs(next(parent for parent in path.absolute().parents if parent.exists()))
    return Room(free=found.f_bavail * found.f_frsize, files=found.f_favail if found.f_files else None)


def use_of(places: Iterable[Path], limits: DiskLimits) -> Use:
    """What lies below `places`, counted no further than past the limits; nothing is followed and nothing opened."""
    written = entries = 0
    hidden = False
    linked: set[tuple[int, int]] = set()
    waiting = [os.fspath(place) for place in places]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    entries += 1
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(entry.path)
                    elif status.st_nlink > 1:
                        # Its bytes are there once, by however many names.
                        if (status.st_dev, status.st_ino) in linked:
                            continue
                        linked.add((status.st_dev, status.st_ino))
                    written += status.st_blocks * _BLOCK
                    if entries > limits.entries or written > limits.written:
                        return Use(written=written, entries=entries, cut=True, hidden=hidden)
        except FileNotFoundError:
            continue  # it went away meanwhile
        except OSError:
            hidden = True
    return Use(written=written, entries=entries, hidden=hidden)


def too_much(use: Use, lost: int, limits: DiskLimits) -> str | None:
    """Why the sandbox has written too much, fit to follow its name; None while it has not.

    lost: bytes of room that the file system has lost since the sandbox began, whoever took them.
    """
    if use.written > limits.written:
        return f"wrote more than {limits.written // _MIB} MiB to its disk"
    if use.entries > limits.entries:
        return f"made more than {limits.entries} files and directories"
    if use.hidden and lost > limits.written:
        return "keeps files where they cannot be counted, and the disk fills"
    return None


def writable_by(spec: SandboxSpec) -> tuple[Path, ...]:
    """The host's directories that the sandbox may write to."""
    return tuple(Path(mount.source) for mount in spec.mounts if not mount.read_only)


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The host's disk at `state_dir`, with its limits. room: how it is looked at.

    relief: puts away what may go, where there is no room for a round; what it has to say, "" for nothing.
    """

    state_dir: Path
    clock: Clock
    limits: DiskLimits = DiskLimits()
    room: Callable[[Path], Room] = room_at
    relief: Callable[[], str] | None = None

    def fit_for_a_round(self) -> None:
        """Nothing while there is room for one, or room was made. Raises DiskLow."""
        try:
            self._at_least(self.limits.floor)
        except DiskLow:
            if self.relief is None:
                raise
            said = self.relief()
            self._at_least(self.limits.floor, f" ({said})" if said else "")

    def fit_to_go_on(self) -> Room:
        """The room there is, while running sandboxes may go on. Raises DiskLow."""
        return self._at_least(self.limits.floor // 2)

    def watch(self, places: tuple[Path, ...]) -> DiskWatch:
        """Begin to watch what a sandbox writes to those directories."""
        return DiskWatch(self, places)

    def _at_least(self, floor: int, said: str = "") -> Room:
        left = self.room(self.state_dir)
        if left.free < floor:
            raise DiskLow(
                f"The host's disk has {left.free // _MIB} MiB free, less than the {floor // _MIB} that are kept{said}; "
                "free some space, or lower ASHIGARU_DISK_FLOOR"
            )
        if left.files is not None and left.files < min(self.limits.entries, _FEW_FILES):
            raise DiskLow(f"The host's disk has room for {left.files} more files only{said}; remove some")
        return left


_FEW_FILES: Final = 20_000


class DiskWatch:
    """What one sandbox writes, watched. Cheap enough to be asked at every poll; used by one thread."""

    def __init__(self, disk: Disk, places: tuple[Path, ...]) -> None:
        """Begin now: whatever the places hold by now is counted at the first look."""
        self._disk = disk
        self._places = places
        self._begun = disk.room(disk.state_dir).free
        self._rested = disk.clock.monotonic()
        self._due = self._rested + _EVERY_S
        self._enough = self._begun - disk.limits.written
        """While the file system has that much room, the sandbox cannot have passed its limit alone."""

    def over(self, *, at_end: bool = False) -> str | None:
        """Why the sandbox has to be stopped, as a person may be told; None while it may go on.

        at_end: it has ended, so that only what the file system shows gives a reason to count. Raises DiskLow.
        """
        disk = self._disk
        left = disk.room(disk.state_dir) if at_end else disk.fit_to_go_on()
        now = disk.clock.monotonic()
        lost_much = left.free < self._enough and (at_end or now >= self._rested)
        if not lost_much and (at_end or now < self._due):
            return None
        use = use_of(self._places, disk.limits)
        took = disk.clock.monotonic() - now
        self._rested = now + took + took * _SHARE
        self._due = max(self._rested, now + _EVERY_S)
        self._enough = left.free - max(0, disk.limits.written - use.written)
        return too_much(use, self._begun - left.free, disk.limits)
