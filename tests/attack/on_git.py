"""Group D: what a repository, a host or a caller plants for the daemon's own git."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from runner.adapters import git_checkouts, git_command, git_plumbing, git_push
from runner.adapters.git_command import GitCommand
from runner.adapters.git_plumbing import Identity
from runner.errors import CheckoutFault, ForgeDown, PushRejected
from runner.model import Remote
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.git_world import REPO, RUN, git_world
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out, out_everywhere, replaced
from tests.git_rig import commit_all, git, write

_PASSWORD = "pass-of-the-forge"


def _case(defence: str, vector: str, tried: str, attempt: Attempt, deadline_s: float = 60.0) -> Case:
    return Case(group="D", defence=defence, vector=vector, tried=tried, attempt=attempt, deadline_s=deadline_s)


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
