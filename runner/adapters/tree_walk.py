"""Looks at files that an agent could write: nothing followed, nothing run, everything bounded."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.adapters.tree_listing import GITLINK, MAX_ENTRIES, SYMLINK, TreeEntry
from runner.changes import ChangeKind, FileChange, Snapshot
from runner.errors import CheckoutFault
from runner.policy import is_dot_git

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK: Final = 1024 * 1024
_MAX_ODD: Final = 1000


@dataclass(frozen=True, kw_only=True)
class WalkLimits:
    """How much a walk takes. Sizes in bytes; depth in directories; path_bytes per path."""

    entries: int = MAX_ENTRIES
    file_bytes: int = 32 * 1024 * 1024
    total_bytes: int = 256 * 1024 * 1024
    depth: int = 100
    path_bytes: int = 4000


DEFAULT_LIMITS: Final = WalkLimits()


def walk(tree: Path, base: Mapping[bytes, TreeEntry], limits: WalkLimits = DEFAULT_LIMITS) -> Snapshot:
    """What differs between `base` and the files under `tree`; see `runner.ports.Checkouts.changes`."""
    walker = _Walker(base, limits)
    try:
        root = os.open(tree, _DIRECTORY)
    except OSError as exc:
        raise CheckoutFault("The agent's files cannot be opened; check that its tree still exists.") from exc
    try:
        walker.directory(root, b"", 0)
    finally:
        os.close(root)
    return walker.snapshot()


class _Walker:
    def __init__(self, base: Mapping[bytes, TreeEntry], limits: WalkLimits) -> None:
        self._base = base
        self._limits = limits
        self._changes: list[FileChange] = []
        self._odd: dict[bytes, str] = {}
        self._seen: set[bytes] = set()
        self._entries = 0
        self._taken = 0

    def snapshot(self) -> Snapshot:
        if self._full:
            self._odd[b"."] = f"more than {self._limits.entries} entries; the rest was not looked at"
        else:
            self._changes.extend(self._deletions())
        odd = [(path.decode("utf-8", "backslashreplace"), why) for path, why in sorted(self._odd.items())]
        if len(odd) > _MAX_ODD:
            odd = [*odd[:_MAX_ODD], (".", f"{len(odd) - _MAX_ODD} more entries that cannot be taken")]
        return Snapshot(changes=tuple(sorted(self._changes, key=lambda change: change.path)), odd=tuple(odd))

    def directory(self, fd: int, prefix: bytes, depth: int) -> None:
        for name in self._names(fd):
            self._entry(fd, name, prefix + name, depth)

    @property
    def _full(self) -> bool:
        return self._entries > self._limits.entries

    def _names(self, fd: int) -> list[bytes]:
        names = []
        with os.scandir(fd) as found:
            for entry in found:
                self._entries += 1
                if self._full:
                    break
                names.append(os.fsencode(entry.name))
        return sorted(names)

    def _entry(self, parent: int, name: bytes, path: bytes, depth: int) -> None:
        try:
            mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
            if is_dot_git(name.decode("utf-8", "replace")):
                self._odd[path] = "a git directory or file"
            elif len(path) > self._limits.path_bytes:
                self._odd[path[: self._limits.path_bytes]] = "a path that is too long"
            elif stat.S_ISDIR(mode):
                self._descend(parent, name, path, depth)
            elif self._is_submodule(path):
                self._odd[path] = "something in the place of a submodule"
            elif stat.S_ISLNK(mode):
                self._take(path, SYMLINK, os.readlink(name, dir_fd=parent))
            elif stat.S_ISREG(mode):
                self._file(parent, name, path)
            else:
                self._odd[path] = "not a file, a directory or a symlink"
        except OSError:
            self._odd[path] = "it cannot be read"

    def _is_submodule(self, path: bytes) -> bool:
        known = self._base.get(path)
        return known is not None and known.mode == GITLINK

    def _descend(self, parent: int, name: bytes, path: bytes, depth: int) -> None:
        if depth >= self._limits.depth:
            self._odd[path] = "directories nested too deeply"
            return
        with _opened(name, _DIRECTORY, parent) as fd:
            if self._is_submodule(path):
                if self._names(fd):
                    self._odd[path] = "files inside a submodule"
                return
            self.directory(fd, path + b"/", depth + 1)

    def _file(self, parent: int, name: bytes, path: bytes) -> None:
        with _opened(name, _FILE, parent) as fd:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                self._odd[path] = "not a file, a directory or a symlink"
                return
            mode = "100755" if status.st_mode & 0o100 else "100644"
            known = self._base.get(path)
            if known is not None and known.mode == mode and known.size == status.st_size and _same(fd, known):
                self._seen.add(path)
                return
            if status.st_size > self._limits.file_bytes:
                self._odd[path] = f"larger than {self._limits.file_bytes} bytes"
                return
            content = _content(fd, status.st_size)
            if content is None:
                self._odd[path] = "it changed while it was read"
                return
        self._take(path, mode, content)

    def _take(self, path: bytes, mode: str, content: bytes) -> None:
        known = self._base.get(path)
        if known is not None and known.mode == mode and known.oid == _blob_id(content, known):
            self._seen.add(path)
            return
        try:
            text = path.decode("utf-8")
        except UnicodeDecodeError:
            self._odd[path] = "a name that is not UTF-8"
            return
        if self._taken + len(content) > self._limits.total_bytes:
            self._odd[path] = f"all changes together are larger than {self._limits.total_bytes} bytes"
            return
        self._taken += len(content)
        self._seen.add(path)
        self._changes.append(FileChange(kind=ChangeKind.WRITE, path=text, mode=mode, content=content))

    def _deletions(self) -> Iterator[FileChange]:
        for path, entry in self._base.items():
            if entry.mode == GITLINK or path in self._seen or self._under_odd(path):
                continue
            try:
                yield FileChange(kind=ChangeKind.DELETE, path=path.decode("utf-8"))
            except UnicodeDecodeError:
                self._odd[path] = "a name that is not UTF-8 was removed"

    def _under_odd(self, path: bytes) -> bool:
        parts = path.split(b"/")
        return any(b"/".join(parts[:length]) in self._odd for length in range(1, len(parts) + 1))


@contextmanager
def _opened(name: bytes, flags: int, parent: int) -> Iterator[int]:
    fd = os.open(name, flags, dir_fd=parent)
    try:
        yield fd
    finally:
        os.close(fd)


def _hasher(known: TreeEntry, size: int) -> hashlib._Hash:
    digest = hashlib.new("sha256" if len(known.oid) == 64 else "sha1", usedforsecurity=False)
    digest.update(b"blob %d\0" % size)
    return digest


def _blob_id(content: bytes, known: TreeEntry) -> str:
    digest = _hasher(known, len(content))
    digest.update(content)
    return digest.hexdigest()


def _same(fd: int, known: TreeEntry) -> bool:
    digest = _hasher(known, known.size)
    left = known.size
    while left and (chunk := os.read(fd, min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
    os.lseek(fd, 0, os.SEEK_SET)
    return digest.hexdigest() == known.oid


def _content(fd: int, size: int) -> bytes | None:
    data = bytearray()
    while len(data) <= size and (chunk := os.read(fd, min(_CHUNK, size + 1 - len(data)))):
        data += chunk
    return bytes(data) if len(data) == size else None
