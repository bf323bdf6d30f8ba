"""Group D: what an agent plants in its tree, for git and for whoever walks, writes or empties such a tree."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from runner.adapters import git_checkouts, tree_walk, tree_write
from runner.changes import Snapshot
from runner.errors import CheckoutFault, ForgeDown
from runner.policy import ChangeLimits, Refused, judge_changes
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.git_world import REPO, RUN, GitWorld, careless_look, git_world, planted_repository
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out, out_everywhere, replaced
from tests.git_rig import git, write


def _case(defence: str, vector: str, tried: str, attempt: Attempt, deadline_s: float = 60.0) -> Case:
    return Case(group="D", defence=defence, vector=vector, tried=tried, attempt=attempt, deadline_s=deadline_s)


def _fired(world: GitWorld) -> Outcome:
    if world.fired.exists():
        return Through(what="the planted program was run")
    return Stopped(by="no git ran in the tree: files were read, and nothing was executed")


def _planted(settings: Mapping[str, str], hooks: tuple[str, ...], attributes: str, ground: Ground) -> Outcome:
    world = git_world(ground)
    planted = planted_repository(world, world.tree, settings)
    for hook in hooks:
        (planted / "hooks").mkdir(exist_ok=True)
        (planted / "hooks" / hook).symlink_to(world.canary)
    if attributes:
        (world.tree / ".gitattributes").write_text(attributes, encoding="utf-8")
    (world.tree / "a.txt").write_text("two\n", encoding="utf-8")
    world.looked_at()
    return _fired(world)


def _planted_nested(ground: Ground) -> Outcome:
    world = git_world(ground)
    planted_repository(world, world.tree, {})
    inner = world.tree / "vendor" / "lib"
    inner.mkdir(parents=True)
    planted_repository(world, inner, {"core.fsmonitor": "CANARY"})
    world.looked_at()
    return _fired(world)


_NOT_IN_THE_TREE = tuple(
    _case(
        "no-git-in-the-tree",
        vector,
        f"plant {vector} in the checkout's own .git",
        partial(_planted, settings, hooks, attributes),
    )
    for vector, settings, hooks, attributes in (
        ("core.fsmonitor", {"core.fsmonitor": "CANARY"}, (), ""),
        ("hooks", {}, ("pre-commit", "post-index-change"), ""),
        ("core.hooksPath", {"core.hooksPath": ".git/hooks"}, ("commit-msg",), ""),
        ("filter.clean", {"filter.x.clean": "CANARY"}, (), "*.txt filter=x\n"),
        ("diff.external", {"diff.external": "CANARY"}, (), ""),
        ("textconv", {"diff.x.textconv": "CANARY"}, (), "*.txt diff=x\n"),
        ("gpg.program", {"gpg.program": "CANARY", "commit.gpgSign": "true"}, (), ""),
        (
            "core.sshCommand",
            {"core.sshCommand": "CANARY", "remote.origin.url": "ssh://127.0.0.1/x", "protocol.ssh.allow": "always"},
            (),
            "",
        ),
        (
            "ext-transport",
            {"remote.origin.url": "ext::CANARY", "protocol.ext.allow": "always"},
            (),
            "",
        ),
    )
)


def _odd(plant: Callable[[GitWorld], object], ground: Ground) -> Outcome:
    world = git_world(ground)
    plant(world)
    decision = judge_changes(world.looked_at(), ChangeLimits(), ())
    if isinstance(decision, Refused):
        return Stopped(by=decision.reasons[0])
    return Through(what="the attempt was taken, and what it holds besides was passed over")


def _a_socket(world: GitWorld) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(world.tree / "s"))


def _a_sparse_file(world: GitWorld) -> None:
    with (world.tree / "disk.img").open("wb") as handle:
        handle.truncate(1024**4)


def _deep(world: GitWorld) -> None:
    deep = world.tree.joinpath(*("d" for _ in range(120)))
    deep.mkdir(parents=True)
    (deep / "x").write_text("x", encoding="utf-8")


def _no_utf8(world: GitWorld) -> None:
    with open(os.path.join(os.fsencode(world.tree), b"\xff\xfe"), "wb"):  # noqa: PTH118, PTH123 - not a str path
        pass


_ODD = tuple(
    _case("nothing-passed-over", vector, f"leave {tried} in the tree", partial(_odd, plant))
    for vector, tried, plant in (
        ("nested-repository", "a repository of its own", lambda world: planted_repository(world, world.tree, {})),
        ("git-file", "a .git file", lambda world: write(world.tree, {"lib/.git": "gitdir: /root/x\n"})),
        ("short-name-of-git", "a GIT~1 folder", lambda world: write(world.tree, {"GIT~1/config": "x"})),
        ("fifo", "a FIFO", lambda world: os.mkfifo(world.tree / "pipe")),
        ("socket", "a socket", _a_socket),
        ("sparse-terabyte", "a sparse file of a terabyte", _a_sparse_file),
        ("depth", "120 directories in one another", _deep),
        ("name-no-text", "a name that is not UTF-8", _no_utf8),
    )
)


def _without_odd() -> Any:
    real = tree_walk._Walker.snapshot
    return replaced((tree_walk._Walker, "snapshot", lambda self: Snapshot(changes=real(self).changes)))


def _followed(plant: Callable[[GitWorld, Path], object], ground: Ground) -> Outcome:
    world = git_world(ground)
    secret = world.home / "secrets"
    write(secret, {"token": "the daemon's token"})
    plant(world, secret)
    try:
        seen = world.looked_at()
    except CheckoutFault as fault:
        return Stopped(by=str(fault))
    taken = [change.path for change in seen.changes if change.content and b"daemon's token" in change.content]
    if taken:
        return Through(what=f"{taken[0]} would be committed with a file of the daemon's in it")
    return Stopped(by="a symlink is taken as a symlink, never as what it leads to")


def _root_replaced(world: GitWorld, secret: Path) -> None:
    world.tree.rename(world.home / "moved")
    world.tree.symlink_to(secret)


_SYMLINKS = tuple(
    _case("no-symlink-followed", vector, f"have {tried} lead to the daemon's secrets", partial(_followed, plant))
    for vector, tried, plant in (
        ("file", "a file", lambda world, secret: (world.tree / "notes").symlink_to(secret / "token")),
        ("directory", "a directory", lambda world, secret: (world.tree / "docs").symlink_to(secret)),
        ("relative", "a climbing link", lambda world, _: (world.tree / "src" / "l").symlink_to("../../secrets/token")),
        ("the-tree-itself", "the tree itself", _root_replaced),
    )
)


def _following() -> Any:
    eyes = {name: getattr(os, name) for name in dir(os)}
    eyes["stat"] = lambda name, *, dir_fd, follow_symlinks: os.stat(name, dir_fd=dir_fd)  # noqa: ARG005
    return replaced(
        (tree_walk, "os", SimpleNamespace(**eyes)),
        (tree_walk, "_DIRECTORY", os.O_RDONLY | os.O_DIRECTORY),
        (tree_walk, "_FILE", os.O_RDONLY),
    )


def _exported(name: str, ground: Ground) -> Outcome:
    world = git_world(ground)
    blob = git(world.work, "hash-object", "-w", "--stdin", feed=b"[core]\n\tfsmonitor = evil\n")
    inner = git(world.work, "mktree", feed=f"100644 blob {blob}\tconfig\n".encode())
    top = git(world.work, "mktree", feed=f"040000 tree {inner}\t{name}\n".encode())
    commit = git(world.work, "commit-tree", top, "-m", "crafted")
    git(world.work, "update-ref", "refs/heads/main", commit)
    place = world.home / "written"
    try:
        world.checkouts.refresh(REPO, world.remote)
        world.checkouts.clone("attack-2", REPO)
        world.checkouts.export("attack-2", commit, place)
    except (CheckoutFault, ForgeDown) as fault:
        return Stopped(by=str(fault))
    return Through(what=f"{name}/config was written: {(place / name / 'config').is_file()}")


def _through_a_link(ground: Ground) -> Outcome:
    world = git_world(ground)
    victim = world.home / "victim"
    victim.mkdir()
    link = git(world.work, "hash-object", "-w", "--stdin", feed=str(victim).encode())
    blob = git(world.work, "hash-object", "-w", "--stdin", feed=b"planted")
    inner = git(world.work, "mktree", feed=f"100644 blob {blob}\tx\n".encode())
    entries = f"120000 blob {link}\td\n040000 tree {inner}\td\n"
    top = git(world.work, "mktree", feed=entries.encode())
    commit = git(world.work, "commit-tree", top, "-m", "crafted")
    git(world.work, "update-ref", "refs/heads/main", commit)
    try:
        world.checkouts.refresh(REPO, world.remote)
        world.checkouts.clone("attack-2", REPO)
        world.checkouts.export("attack-2", commit, world.home / "written")
    except (CheckoutFault, ForgeDown) as fault:
        return Stopped(by=str(fault))
    return Through(what=f"written outside: {(victim / 'x').exists()}")


def _links_first() -> Any:
    def order(entries: Any) -> Any:
        return tuple(sorted(entries, key=lambda entry: entry.mode != "120000"))

    def folder(root: bytes, name: bytes, made: set[bytes]) -> None:
        if name not in made:
            os.makedirs(b"%s/%s" % (root, name), exist_ok=True)  # noqa: PTH103 - bytes
            made.add(name)

    return replaced((git_checkouts, "in_writing_order", order), (tree_write, "_have_folder", folder))


def _emptied(ground: Ground) -> Outcome:
    world = git_world(ground)
    victim = world.home / "victim"
    write(victim, {"precious": "x"})
    place = world.home / "swapped"
    place.symlink_to(victim)
    try:
        world.checkouts.export(RUN, world.base, place)
    except CheckoutFault as fault:
        return Stopped(by=str(fault))
    return Through(what=f"the other directory was emptied: {not (victim / 'precious').exists()}")


def _empty_carelessly(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for inner in directory.iterdir():
        inner.unlink()


_DEFENCES = (
    Defence(
        name="no-git-in-the-tree",
        sentence="The daemon's git never runs in a tree that an agent could write.",
        without=out(git_checkouts, "walk", careless_look),
    ),
    Defence(
        name="nothing-passed-over",
        sentence="What is no plain file, directory or symlink in a tree is told, and refused.",
        without=_without_odd,
    ),
    Defence(
        name="no-symlink-followed",
        sentence="A tree is read without following any symlink in it, or in its place.",
        without=_following,
    ),
    Defence(
        name="plain-tree-paths",
        sentence="No commit's path is written out that leads into a .git of any spelling.",
        without=out_everywhere(tree_write.is_plain, answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="folders-of-our-own",
        sentence="A file of a commit is written into a folder that we made, and symlinks come last.",
        without=_links_first,
    ),
    Defence(
        name="no-swapped-directory",
        sentence="A directory that was replaced by a symlink is not emptied or written.",
        without=out_everywhere(tree_write.empty_directory, _empty_carelessly),
    ),
)

_CASES = (
    *_NOT_IN_THE_TREE,
    _case("no-git-in-the-tree", "nested-fsmonitor", "plant core.fsmonitor in a repository inside", _planted_nested),
    *_ODD,
    *_SYMLINKS,
    *(
        _case("plain-tree-paths", vector, f"commit a folder {name}", partial(_exported, name))
        for vector, name in (("git", ".git"), ("other-case", ".GIT"), ("short-name", "git~1"), ("blank", ".git "))
    ),
    _case("folders-of-our-own", "link-and-folder", "commit a symlink and a folder of one name", _through_a_link),
    _case("no-swapped-directory", "symlink-in-its-place", "swap the tree for a symlink before it is filled", _emptied),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
