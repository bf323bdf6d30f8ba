"""Group D: what an agent plants for git, and what a repository or a caller plants for the daemon's own git."""

from __future__ import annotations

import base64
import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from runner.adapters import git_checkouts, git_command, git_plumbing, git_push, tree_walk, tree_write
from runner.adapters.git_command import GitCommand
from runner.adapters.git_plumbing import Identity
from runner.changes import Snapshot
from runner.errors import CheckoutFault, ForgeDown, PushRejected
from runner.model import Remote
from runner.policy import ChangeLimits, Refused, judge_changes
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.git_world import REPO, RUN, GitWorld, careless_look, git_world, planted_repository
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out, out_everywhere, replaced
from tests.git_rig import commit_all, git, write

_PASSWORD = "pass-of-the-forge"


def _case(defence: str, vector: str, tried: str, attempt: Attempt, deadline_s: float = 60.0) -> Case:
    return Case(group="D", defence=defence, vector=vector, tried=tried, attempt=attempt, deadline_s=deadline_s)


# --- what an agent plants in its tree --------------------------------------------------------------------------


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


# --- what is no plain file in its tree -------------------------------------------------------------------------


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


# --- symlinks in the way of the walk ---------------------------------------------------------------------------


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


# --- what a repository holds that is written out ---------------------------------------------------------------


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


# --- the daemon's own git --------------------------------------------------------------------------------------


@contextmanager
def _host_environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _traced(ground: Ground) -> Outcome:
    world = git_world(ground)
    trace = world.home / "trace"
    with _host_environment(GIT_TRACE=str(trace)):
        world.checkouts.refresh(REPO, world.remote)
    return Through(what="git obeyed it") if trace.exists() else Stopped(by="git starts from an empty environment")


def _redirected_by_home(ground: Ground) -> Outcome:
    world = git_world(ground)
    other = world.home / "other"
    other.mkdir()
    git(other, "init", "--quiet", "--template=", "--initial-branch=main")
    write(other, {"evil.txt": "x"})
    evil = commit_all(other)
    settings = world.home / ".gitconfig"
    settings.write_text(f'[url "file://{other}/.git"]\n\tinsteadOf = file://{world.work}/.git\n', encoding="utf-8")
    with _host_environment(HOME=str(world.home)):
        world.checkouts.refresh(REPO, world.remote)
    if world.checkouts.branch_head(REPO, "main") == evil:
        return Through(what="another repository was fetched in its place")
    return Stopped(by="no configuration of the host's or the user's is read")


def _inherited() -> Any:
    real = GitCommand._argv

    def argv(self: GitCommand, *arguments: Any) -> list[str]:
        whole = real(self, *arguments)
        return whole[whole.index("git") :]

    return replaced((GitCommand, "_argv", argv))


def _address(url: str, ground: Ground) -> Outcome:
    world = git_world(ground)
    try:
        world.checkouts.refresh(REPO, Remote(url=url.replace("CANARY", str(world.canary))))
    except CheckoutFault as fault:
        return Stopped(by=str(fault))
    except ForgeDown:
        pass
    return Through(what="the planted program was run" if world.fired.exists() else "git was started with it")


def _branch(name: str, ground: Ground) -> Outcome:
    world = git_world(ground)
    try:
        world.checkouts.push(RUN, world.remote, world.base, name)
    except CheckoutFault as fault:
        if "branch name" in str(fault):
            return Stopped(by=str(fault))
        return Through(what=f"git was given it: {fault}")
    except (ForgeDown, PushRejected) as fault:
        return Through(what=f"git was given it: {fault}")
    return Through(what="it was pushed")


def _shown_to_others(where: str, ground: Ground) -> Outcome:
    """Whether the password can be read in the process table while git runs."""
    world = git_world(ground)
    folder, record = world.home / "bin", world.home / "record"
    folder.mkdir()
    spy = folder / "git"
    spy.write_text(f'#!/bin/sh\ncat /proc/$$/{where} >> {record}\nexec /usr/bin/git "$@"\n', encoding="utf-8")
    spy.chmod(0o755)
    path = f"{folder}:{git_command.SYSTEM_PATH}"
    watched = GitCommand(world.home / "state" / "home", timeout_s=20, path=path)
    with replaced((world.checkouts, "_git", watched)):
        secret = Remote(url=f"file://{world.work}/.git", username="daemon", password=_PASSWORD)
        world.checkouts.refresh(REPO, secret)
    told = record.read_bytes().decode("utf-8", "replace")
    coded = base64.b64encode(f"daemon:{_PASSWORD}".encode()).decode()
    if _PASSWORD in told or coded in told:
        return Through(what=f"the credential is in /proc/<pid>/{where}")
    return Stopped(by="it travels in an anonymous memory file that only that process has")


def _password_in_argv() -> Any:
    real = GitCommand._argv

    def argv(self: GitCommand, task: Any, config: list[str]) -> list[str]:
        if task.remote is None or task.remote.password is None:
            return real(self, task, config)
        coded = base64.b64encode(f"{task.remote.username}:{task.remote.password}".encode()).decode()
        whole = real(self, task, [*config, f"http.extraHeader=Authorization: Basic {coded}"])
        return [*whole[:2], f"GIT_PASSWORD={task.remote.password}", *whole[2:]]

    return replaced((GitCommand, "_argv", argv))


def _foreign_commit(ground: Ground) -> Outcome:
    world = git_world(ground)
    git(world.work, "checkout", "--quiet", "-b", "ashigaru/1")
    write(world.work, {"theirs.txt": "a person's work\n"})
    theirs = commit_all(world.work)
    git(world.work, "checkout", "--quiet", "main")
    ours = world.checkouts.commit(RUN, world.base, world.base, (), "ours")
    world.checkouts.refresh(REPO, world.remote)
    world.checkouts.clone(RUN, REPO)
    try:
        world.checkouts.push(RUN, world.remote, ours.commit, "ashigaru/1")
    except PushRejected as refusal:
        return Stopped(by=str(refusal))
    now = git(world.work, "rev-parse", "ashigaru/1")
    return Through(what="a person's commit was pushed over") if now != theirs else Stopped(by="it is still there")


def _shared(ground: Ground) -> Outcome:
    world = git_world(ground)
    root = world.home / "state"
    linked = [path for path in root.rglob("*") if path.is_file() and path.stat().st_nlink > 1]
    borrowed = list(root.rglob("objects/info/alternates"))
    if linked or borrowed:
        return Through(what=f"{(linked + borrowed)[0].name} is shared between the mirror and a clone")
    return Stopped(by="a clone has copies of its own, no link and no alternates")


def _link_objects(mirror: Path, clone: Path) -> None:
    for path in (mirror / "objects").rglob("*"):
        place = clone / "objects" / path.relative_to(mirror / "objects")
        if stat.S_ISDIR(path.stat().st_mode):
            place.mkdir(exist_ok=True)
        elif not place.exists():
            place.hardlink_to(path)


def _identity(name: str, _ground: Ground) -> Outcome:
    try:
        Identity(name=name, email="daemon@example.org")
    except CheckoutFault as fault:
        return Stopped(by=str(fault))
    return Through(what="a commit would be made in that name")


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
    Defence(
        name="git-environment",
        sentence="Git starts from an empty environment and reads no configuration of the host's.",
        without=_inherited,
    ),
    Defence(
        name="git-addresses",
        sentence="A remote is an http(s) or file address without a credential.",
        without=out_everywhere(git_command.checked_origin, answering("http://127.0.0.1")),
    ),
    Defence(
        name="branch-names",
        sentence="No branch name is an option, a revision or a path.",
        without=out_everywhere(git_plumbing.branch_ref, lambda branch: f"refs/heads/{branch}"),
    ),
    Defence(
        name="credential-in-memory",
        sentence="A password is in no command line and no environment.",
        without=_password_in_argv,
    ),
    Defence(
        name="nobodys-work-lost",
        sentence="A branch is moved only where all that would be lost is the run's own.",
        without=out(git_push, "_is_ours_to_move", answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="clean-clones",
        sentence="A run's clone shares no file with the mirror.",
        without=out(git_checkouts, "copy_objects", _link_objects),
    ),
    Defence(
        name="sound-identity",
        sentence="A commit's author is one name and one address.",
        without=out(Identity, "__post_init__", answering(None)),
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
    _case("git-environment", "variable", "leave GIT_TRACE in the daemon's environment", _traced),
    _case("git-environment", "home", "leave url.insteadOf in the daemon's ~/.gitconfig", _redirected_by_home),
    *(
        _case("git-addresses", vector, f"name {url} as the remote", partial(_address, url))
        for vector, url in (
            ("ext-transport", "ext::CANARY"),
            ("credential-in-address", "http://u:p@127.0.0.1:9/x"),
            ("no-path", "http://127.0.0.1:9"),
            ("relative-path", "../other"),
        )
    ),
    *(
        _case("branch-names", vector, f"push to {name}", partial(_branch, name))
        for vector, name in (
            ("option", "-f"),
            ("revision", "@{-1}"),
            ("range", "a..b"),
            ("wildcard", "*"),
            ("lock", "a.lock"),
            ("part-with-a-dot", "a/.b"),
        )
    ),
    *(
        _case("credential-in-memory", where, f"read /proc/<pid>/{where} of git", partial(_shown_to_others, where))
        for where in ("cmdline", "environ")
    ),
    _case("nobodys-work-lost", "foreign-commit", "have the run push over a person's commit", _foreign_commit),
    _case("clean-clones", "shared-objects", "reach the mirror's objects through a clone", _shared),
    *(
        _case("sound-identity", vector, f"commit as {name!a}", partial(_identity, name))
        for vector, name in (("line-break", "x\ncommitter y"), ("address-in-name", "A <a@b>"), ("blank", " "))
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
