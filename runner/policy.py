"""What an agent's changes may be. Pure: a snapshot in, a decision out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Final, TypeAlias

from runner.changes import ChangeKind, FileChange, Snapshot

MAX_REASONS: Final = 20
MAX_REASON_CHARS: Final = 300
_MAX_SHOWN: Final = 120
_MAX_PATH_BYTES: Final = 1000
_MAX_NAME_BYTES: Final = 255
_MAX_TARGET_BYTES: Final = 1000
_MODES: Final = frozenset({"100644", "100755", "120000"})
_SYMLINK: Final = "120000"

# HFS+ drops these when it compares names, so `.g\u200cit` opens `.git` there; git's own list.
_IGNORED_BY_HFS: Final = frozenset(
    [*map(chr, range(0x200C, 0x2010)), *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x206A, 0x2070)), "\ufeff"]
)
_NTFS_SHORT_GIT: Final = re.compile(r"git~[0-9]+")
# The names that NTFS gives beside long ones: the first letters and a number; where many begin alike, two letters and a
# hash, of which git itself knows these for `.gitmodules` and `.gitattributes`.
_NTFS_SHORT: Final = re.compile(r"([^.~]{1,6})~[0-9]+(\.[^.]{0,3})?")
_NTFS_HASHED: Final = re.compile(r"(gi7eba|gi7d29)~[0-9]+")
_LFS_POINTER: Final = re.compile(rb"version https?://(git-lfs\.github\.com|hawser\.github\.com|git-media\.io)/")
_LFS_MAX: Final = 1024

_AT_ROOT: Final = (
    ".github",
    ".gitlab-ci.yml",
    ".ashigaru.toml",
    "codeowners",
    "docs/codeowners",
    ".husky",
    ".githooks",
    ".pre-commit-config.yaml",
    ".pre-commit-config.yml",
)
_ANYWHERE: Final = ("claude.md", "claude.local.md", "agents.md", ".claude", ".claude.json", ".mcp.json")
_PROGRAM_STARTERS: Final = frozenset({".gitmodules", ".gitattributes", ".gitconfig"})
_SHORT_STEMS: Final = frozenset(name.lstrip(".")[:6] for name in _PROGRAM_STARTERS)
_HARMLESS_GIT_FILES: Final = frozenset({".gitignore", ".gitkeep"})


@dataclass(frozen=True, kw_only=True)
class ChangeLimits:
    """How much one attempt may change, and where it may not. Sizes in bytes.

    protected_paths: paths from the root, and everything below them; protected_names: names at any depth, and
    everything below them. Both in lower case, compared without case. Names that begin with `.git` are always
    protected, but for `.gitignore` and `.gitkeep`.
    """

    files: int = 300
    file_bytes: int = 4 * 1024 * 1024
    total_bytes: int = 16 * 1024 * 1024
    protected_paths: tuple[str, ...] = _AT_ROOT
    protected_names: tuple[str, ...] = _ANYWHERE


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """Every change may be committed."""

    changes: tuple[FileChange, ...]


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Nothing is to be committed. reasons: sentences, at most 20, of at most 300 printable characters each."""

    reasons: tuple[str, ...]


Decision: TypeAlias = Allowed | Refused


def judge_changes(snapshot: Snapshot, limits: ChangeLimits, existing: Collection[str] = ()) -> Decision:
    """Whether the changes may be committed, all of them or none.

    existing: the paths of the commit they apply to, so that a new name can be compared with those that stay.
    """
    reasons = [_bounded(reason) for reason in islice(_objections(snapshot, limits, existing), MAX_REASONS)]
    return Refused(reasons=tuple(reasons)) if reasons else Allowed(changes=snapshot.changes)


def is_dot_git(name: str) -> bool:
    """Whether some file system or some git takes this name for `.git`."""
    plain = "".join(ch for ch in name if ch not in _IGNORED_BY_HFS)
    # NTFS drops trailing dots and blanks, and takes what follows a colon for a stream of the file.
    plain = unicodedata.normalize("NFKC", plain).casefold().split(":", 1)[0].rstrip(". ")
    return plain == ".git" or _NTFS_SHORT_GIT.fullmatch(plain) is not None


def is_protected(path: str, limits: ChangeLimits) -> bool:
    """Whether an agent may not touch this path."""
    folded = _folded(path)
    parts = folded.split("/")
    inside = any(folded == root or folded.startswith(f"{root}/") for root in limits.protected_paths)
    if inside or any(part in limits.protected_names or _is_git_file(part) for part in parts):
        return True
    return any(_is_short_for(part, limits) for part in parts)


def _is_short_for(part: str, limits: ChangeLimits) -> bool:
    """Whether NTFS may take this name for a protected one."""
    found = _NTFS_SHORT.fullmatch(part)
    if found is None:
        return False
    longs = (*limits.protected_names, *(path.rsplit("/", 1)[-1] for path in limits.protected_paths))
    stems = {long.lstrip(".").split(".")[0].replace(" ", "")[:6] for long in longs}
    return found[1] in stems | _SHORT_STEMS or _NTFS_HASHED.fullmatch(part) is not None


def _is_git_file(part: str) -> bool:
    return part.startswith(".git") and part not in _HARMLESS_GIT_FILES


def _folded(path: str) -> str:
    visible = "".join(ch for ch in path if ch not in _IGNORED_BY_HFS)
    return "/".join(part.rstrip(". ") or part for part in unicodedata.normalize("NFKC", visible).casefold().split("/"))


def _objections(snapshot: Snapshot, limits: ChangeLimits, existing: Collection[str]) -> Iterator[str]:
    yield from _too_much(snapshot.changes, limits)
    for path, why in snapshot.odd:
        yield f"{_shown(path)} cannot be taken: {_printable(why)}; remove it."
    for change in snapshot.changes:
        if objection := _of_path(change.path) or _of_place(change, limits) or _of_content(change, limits):
            yield objection
    yield from _twins(snapshot.changes, existing)
    yield from _nested(snapshot.changes)
    yield from _bare_repositories(snapshot.changes, existing)


def _too_much(changes: Sequence[FileChange], limits: ChangeLimits) -> Iterator[str]:
    if len(changes) > limits.files:
        yield f"{len(changes)} files are changed, and {limits.files} are allowed; make a smaller change."
    total = sum(len(change.content or b"") for change in changes)
    if total > limits.total_bytes:
        yield f"The changed files hold {total} bytes, and {limits.total_bytes} are allowed; make a smaller change."


def _of_path(path: str) -> str | None:
    parts = path.split("/")
    if not path or path.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        return f"{_shown(path)} is not a path inside the repository; use a plain relative one."
    if "\\" in path or not path.isprintable():
        return f"{_shown(path)} holds a backslash or an invisible character; rename it."
    sizes = [len(part.encode()) for part in parts]
    if max(sizes) > _MAX_NAME_BYTES or len(path.encode()) > _MAX_PATH_BYTES:
        return f"{_shown(path)} is too long a path; shorten it."
    if any(is_dot_git(part) for part in parts):
        return f"{_shown(path)} would be git's own directory, or a repository inside the repository; remove it."
    return None


def _of_place(change: FileChange, limits: ChangeLimits) -> str | None:
    if not is_protected(change.path, limits):
        return None
    if _folded(change.path).rsplit("/", 1)[-1] in _PROGRAM_STARTERS:
        why = "it can make git run programs or fetch other repositories"
    else:
        why = "it steers the gates, the reviewers or the agents"
    return f"{_shown(change.path)} is protected, because {why}; leave it as it is."


def _of_content(change: FileChange, limits: ChangeLimits) -> str | None:
    if change.kind is ChangeKind.DELETE:
        return None
    if change.mode not in _MODES or change.content is None:
        return f"{_shown(change.path)} is neither a plain file nor a symlink; replace it by one."
    if change.mode == _SYMLINK:
        return _of_target(change.path, change.content)
    if len(change.content) > limits.file_bytes:
        size = len(change.content)
        return f"{_shown(change.path)} holds {size} bytes, and {limits.file_bytes} are allowed; make it smaller."
    if len(change.content) <= _LFS_MAX and _LFS_POINTER.match(change.content):
        return f"{_shown(change.path)} would be a pointer to content that nobody here sees; write the content itself."
    return None


def _of_target(path: str, content: bytes) -> str | None:
    try:
        target = content.decode("utf-8")
    except UnicodeDecodeError:
        return f"{_shown(path)} is a symlink to a name that is not UTF-8; remove it."
    blunt = not target or len(content) > _MAX_TARGET_BYTES or "\\" in target or not target.isprintable()
    if blunt or target.startswith("/"):
        return f"{_shown(path)} is a symlink to an absolute or unusable target; make it relative."
    steps = [step for step in target.split("/") if step not in {"", "."}]
    climbs = len(list(takewhile(lambda step: step == "..", steps)))
    # A climb after a name may start from wherever another symlink leads, so only leading ones can be counted.
    if climbs > path.count("/") or ".." in steps[climbs:]:
        return f"{_shown(path)} is a symlink that leaves the repository or may; point it inside, climbing first."
    if any(is_dot_git(step) for step in steps):
        return f"{_shown(path)} is a symlink into git's own directory; remove it."
    return None


def _twins(changes: Sequence[FileChange], existing: Collection[str]) -> Iterator[str]:
    written = [change.path for change in changes if change.kind is ChangeKind.WRITE]
    gone = {change.path for change in changes if change.kind is ChangeKind.DELETE}
    staying = {place for path in existing if path not in gone for place in _places(path)}
    spellings: dict[str, set[str]] = {}
    for place in staying:
        spellings.setdefault(_folded(place), set()).add(place)
    told: set[str] = set()
    for place in (place for path in written for place in _places(path)):
        known = spellings.setdefault(_folded(place), set())
        known.add(place)
        twins = sorted(known - {place})
        # Twins that the commit itself holds are the repository's own affair.
        if twins and place not in staying and place not in told:
            told.add(place)
            yield f"{_shown(place)} and {_shown(twins[0])} are one name on some file systems; rename one of them."


def _nested(changes: Sequence[FileChange]) -> Iterator[str]:
    modes = {_folded(change.path): change.mode for change in changes if change.kind is ChangeKind.WRITE}
    seen: set[str] = set()
    for change in changes:
        if change.path in seen:
            yield f"{_shown(change.path)} is changed twice; change it once."
        seen.add(change.path)
        if change.kind is ChangeKind.DELETE:
            continue
        parents = [modes[place] for place in map(_folded, _places(change.path)[:-1]) if place in modes]
        if _SYMLINK in parents:
            yield f"{_shown(change.path)} would be written through a symlink; write to the real place."
        elif parents:
            yield f"{_shown(change.path)} lies below a path that is a file; remove one of them."


def _bare_repositories(changes: Sequence[FileChange], existing: Collection[str]) -> Iterator[str]:
    """Folders that git would take for a repository, and run the hooks and settings of for whoever steps inside."""
    written = [change.path for change in changes if change.kind is ChangeKind.WRITE]
    gone = {change.path for change in changes if change.kind is ChangeKind.DELETE}
    found: dict[str, set[str]] = {}
    for path in (*written, *(path for path in existing if path not in gone)):
        *above, last = _folded(path).split("/")
        if last == "head":
            found.setdefault("/".join(above), set()).add(last)
        for depth, part in enumerate(above):
            if part in {"objects", "refs"}:
                found.setdefault("/".join(above[:depth]), set()).add(part)
    bare = sorted(folder for folder, marks in found.items() if len(marks) == 3)
    for folder in bare:
        if any(not folder or _folded(path).startswith(f"{folder}/") for path in written):
            yield f"{_shown(folder or '.')} would be a repository inside the repository; rename something in it."


def _places(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _printable(text: str) -> str:
    return "".join(ch if ch.isprintable() else "?" for ch in text)


def _shown(path: str) -> str:
    text = _printable(path[: _MAX_SHOWN + 1])
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…")


def _bounded(reason: str) -> str:
    return reason if len(reason) <= MAX_REASON_CHARS else f"{reason[: MAX_REASON_CHARS - 1]}…"
