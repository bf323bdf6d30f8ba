"""What a hostile agent leaves in its files, on a real file system: refused as a whole, or harmless."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.adapters.tree_listing import TreeEntry
from runner.adapters.tree_walk import WalkLimits, walk
from runner.changes import Snapshot
from runner.policy import Allowed, ChangeLimits, Decision, Refused, judge_changes

KEPT = b"total = 0\n"
LIMITS = ChangeLimits()


def entry(path: str, content: bytes, mode: str = "100644") -> TreeEntry:
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return TreeEntry(path=path.encode(), mode=mode, oid=oid, size=len(content))


BASE = {one.path: one for one in (entry("total.py", KEPT), entry("README.md", b"Totals.\n"))}


@pytest.fixture
def tree() -> Iterator[Path]:
    """A short path, for a socket in it; the base's files in it."""
    with tempfile.TemporaryDirectory(prefix="ash", ignore_cleanup_errors=True) as place:
        root = Path(place) / "t"
        root.mkdir()
        (root / "total.py").write_bytes(KEPT)
        (root / "README.md").write_bytes(b"Totals.\n")
        yield root


def seen(tree: Path, limits: WalkLimits = WalkLimits()) -> Snapshot:  # noqa: B008 - a value
    return walk(tree, BASE, limits)


def judged(tree: Path) -> Decision:
    return judge_changes(seen(tree), LIMITS, [path.decode() for path in BASE])


def put(tree: Path, path: str, content: bytes = b"x") -> None:
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_bytes(content)


def fifo(tree: Path) -> None:
    os.mkfifo(tree / "pipe")


def fifo_in_place_of_a_file(tree: Path) -> None:
    (tree / "total.py").unlink()
    os.mkfifo(tree / "total.py")


def listening_socket(tree: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tree / "sock"))


def sparse_terabyte(tree: Path) -> None:
    with (tree / "sparse").open("wb") as file:
        file.truncate(1024**4)


def sparse_in_place_of_a_file(tree: Path) -> None:
    with (tree / "total.py").open("r+b") as file:
        file.truncate(1024**4)


def many_files(tree: Path) -> None:
    for folder in range(4):
        (tree / str(folder)).mkdir()
        for number in range(100):
            (tree / str(folder) / str(number)).touch()


def two_unicode_forms(tree: Path) -> None:
    for form in ("NFC", "NFD"):
        put(tree, unicodedata.normalize(form, "caf\u00e9.py"))


def two_cases(tree: Path) -> None:
    put(tree, "readme.MD")


def folder_of_another_case(tree: Path) -> None:
    put(tree, "src/a")
    put(tree, "SRC/b")


def not_utf8(tree: Path) -> None:
    put(tree, os.fsdecode(b"bad-\xff"))


def nested_repository(tree: Path) -> None:
    put(tree, "vendor/lib/.git/config", b"[core]\n\tfsmonitor = touch /tmp/owned\n")


def git_file(tree: Path) -> None:
    put(tree, "vendor/lib/.git", b"gitdir: /elsewhere\n")


def bare_repository(tree: Path) -> None:
    for path in ("HEAD", "config", "objects/x", "refs/heads/main", "hooks/post-checkout"):
        put(tree, f"fixtures/repo/{path}")


def deep(tree: Path) -> None:
    put(tree, "/".join(["d"] * 150) + "/x")


def unreadable_file(tree: Path) -> None:
    put(tree, "secretive")
    (tree / "secretive").chmod(0)
    if os.geteuid() == 0:  # to whom everything is readable
        fifo(tree)


def symlink_out(tree: Path) -> None:
    (tree / "way").symlink_to("/etc/passwd")


def symlink_up(tree: Path) -> None:
    (tree / "way").symlink_to("../../..")


def symlink_in_place_of_a_folder(tree: Path) -> None:
    (tree / "docs").symlink_to("/etc")


def pointer(tree: Path) -> None:
    put(tree, "model.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n")


def filters(tree: Path) -> None:
    put(tree, "sub/.gitattributes", b"* filter=owned diff=owned merge=owned\n")


def submodule(tree: Path) -> None:
    put(tree, ".gitmodules", b'[submodule "x"]\n\tpath = x\n\turl = ext::sh -c owned\n')


HOSTILE = (
    *(fifo, fifo_in_place_of_a_file, listening_socket, sparse_terabyte, sparse_in_place_of_a_file, many_files),
    *(two_unicode_forms, two_cases, folder_of_another_case, not_utf8, nested_repository, git_file, bare_repository),
    *(deep, unreadable_file, symlink_out, symlink_up, symlink_in_place_of_a_folder, pointer, filters, submodule),
)


@pytest.mark.parametrize("leaves", HOSTILE, ids=lambda leaves: str(leaves.__name__))
def test_a_hostile_tree_is_refused_as_a_whole(tree: Path, leaves: Callable[[Path], None]) -> None:
    put(tree, "honest.py", b"fine = True\n")
    assert isinstance(judged(tree), Allowed)
    leaves(tree)
    assert isinstance(judged(tree), Refused)


@pytest.mark.parametrize(
    "name",
    [
        ".git",
        ".GIT",
        ".git ",
        ".git.",
        ".git . .",
        "git~1",
        "GIT~2",
        ".git::$INDEX_ALLOCATION",
        ".g\u200cit",
        ".\uff27it",
    ],
)
@pytest.mark.parametrize("folder", [False, True])
def test_git_s_directory_is_refused_in_every_spelling_and_never_looked_into(
    tree: Path, name: str, *, folder: bool
) -> None:
    put(tree, f"a/{name}/config" if folder else f"a/{name}", b"[core]")
    snapshot = seen(tree)
    assert snapshot.changes == ()
    assert [path for path, _ in snapshot.odd] == [f"a/{name}"]
    assert isinstance(judge_changes(snapshot, LIMITS), Refused)


def test_a_hundred_thousand_files_are_walked_within_bounds(tree: Path) -> None:
    many_files(tree)
    snapshot = seen(tree, WalkLimits(entries=100))
    assert ("." in dict(snapshot.odd)) is True
    assert len(snapshot.changes) <= 100
    assert isinstance(judge_changes(snapshot, LIMITS), Refused)


def test_of_modes_only_the_executable_bit_is_kept(tree: Path) -> None:
    for name, mode in (("plain", 0o666), ("shared", 0o1666), ("root", 0o6777), ("group", 0o2755)):
        put(tree, name)
        (tree / name).chmod(mode)
    decision = judged(tree)
    assert isinstance(decision, Allowed)
    kept = {change.path: change.mode for change in decision.changes}
    assert kept == {"plain": "100644", "shared": "100644", "root": "100755", "group": "100755"}


def test_a_hard_link_is_a_copy(tree: Path) -> None:
    (tree / "copy.py").hardlink_to(tree / "total.py")
    decision = judged(tree)
    assert isinstance(decision, Allowed)
    assert [(change.path, change.content) for change in decision.changes] == [("copy.py", KEPT)]


def test_extended_attributes_and_empty_folders_are_left_behind(tree: Path) -> None:
    (tree / "empty").mkdir()
    (tree / "total.py").chmod(0o600)
    assert judged(tree) == Allowed(changes=())


def test_nothing_on_the_host_is_changed_by_a_walk(tree: Path) -> None:
    put(tree, "x")
    (tree / "x").chmod(0o400)
    before = {path: path.lstat().st_mode for path in tree.rglob("*")}
    seen(tree)
    assert {path: path.lstat().st_mode for path in tree.rglob("*")} == before
    assert stat.S_ISREG((tree / "x").lstat().st_mode)
