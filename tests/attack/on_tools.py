"""Group C: the file tools that the agent's image carries, asked for what lies outside the tree."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from runner.images.agent.filetools import Refused, Tree
from tests.attack.case import Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.taking_out import out
from tests.git_rig import write


def _asked(deed: Callable[[Tree, Path], object], ground: Ground) -> Outcome:
    home = ground.directory()
    write(home / "tree", {"a.txt": "a", "src/b.txt": "b", ".git/config": "c"})
    write(home / "outside", {"precious": "p"})
    (home / "tree" / "link").symlink_to("../outside")
    before = _all_of(home / "outside") + _all_of(home / "tree" / ".git")
    try:
        deed(Tree(str(home / "tree")), home)
    except Refused as refusal:
        said = str(refusal)
    except OSError as fault:
        said = f"{type(fault).__name__}: {fault.strerror}"
    else:
        said = "the deed was done, inside"
    if _all_of(home / "outside") + _all_of(home / "tree" / ".git") != before:
        return Through(what="a file that is not the agent's was changed")
    return Stopped(by=said)


def _all_of(place: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_mode) for path in place.rglob("*"))


def _case(defence: str, vector: str, tried: str, deed: Callable[[Tree, Path], object]) -> Case:
    return Case(group="C", defence=defence, vector=vector, tried=tried, attempt=partial(_asked, deed))


def _any_parts(_tree: Tree, path: object) -> tuple[str, ...]:
    return PurePosixPath(str(path)).parts


@contextmanager
def _followed(tree: Tree, parts: tuple[str, ...], *, make: bool = False) -> Iterator[tuple[int, str]]:
    folder = Path(tree._root).joinpath(*parts[:-1])
    if make:
        folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield handle, parts[-1]
    finally:
        os.close(handle)


_DEFENCES = (
    Defence(
        name="tools-in-the-tree",
        sentence="A tool's path is one inside the tree, and not git's.",
        without=out(Tree, "_parts", _any_parts),
    ),
    Defence(
        name="tools-follow-no-link",
        sentence="A tool's path is walked folder by folder, and through no symlink.",
        without=out(Tree, "_parent", _followed),
    ),
)

_CASES = (
    _case(
        "tools-in-the-tree",
        "traversal",
        "delete ../outside/precious",
        lambda tree, _: tree.delete_file("../outside/precious"),
    ),
    _case(
        "tools-in-the-tree",
        "absolute",
        "delete an absolute path",
        lambda tree, home: tree.delete_file(str(home / "outside" / "precious")),
    ),
    _case(
        "tools-in-the-tree",
        "rename-out",
        "rename a file to ../outside/new",
        lambda tree, _: tree.rename_file("a.txt", "../outside/new"),
    ),
    _case(
        "tools-in-the-tree",
        "git-hooks",
        "rename a file to .git/hooks/pre-commit",
        lambda tree, _: tree.rename_file("a.txt", ".git/hooks/pre-commit"),
    ),
    _case(
        "tools-in-the-tree",
        "executable",
        "set the mode of ../outside/precious",
        lambda tree, _: tree.set_executable("../outside/precious", True),  # noqa: FBT003 - as the model gives it
    ),
    _case(
        "tools-follow-no-link",
        "delete",
        "delete through a symlink",
        lambda tree, _: tree.delete_file("link/precious"),
    ),
    _case(
        "tools-follow-no-link",
        "rename",
        "rename through a symlink",
        lambda tree, _: tree.rename_file("a.txt", "link/new"),
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
