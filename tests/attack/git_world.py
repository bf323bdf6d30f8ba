"""Real git for attacks: an origin, the daemon's mirror and clean clone of it, and a tree as an agent was given it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.adapters.git_checkouts import GitCheckouts
from runner.changes import Snapshot
from runner.model import Remote
from tests.attack.ground import Ground
from tests.git_rig import git, make_repository

RUN: Final = "attack-1"
REPO: Final = "acme/widgets"
FILES: Final = {"a.txt": "one\n", "src/app.py": "print('hello')\n"}


@dataclass(frozen=True, kw_only=True)
class GitWorld:
    """home: everything lies in it. canary: a script that, if anybody runs it, leaves `fired`."""

    home: Path
    checkouts: GitCheckouts
    work: Path
    base: str
    tree: Path
    canary: Path
    fired: Path

    @property
    def remote(self) -> Remote:
        return Remote(url=f"file://{self.work}/.git")

    def looked_at(self) -> Snapshot:
        """What the daemon sees in the agent's tree."""
        return self.checkouts.changes(RUN, self.base, self.tree)


def git_world(ground: Ground, files: Mapping[str, str | bytes] = FILES) -> GitWorld:
    """A world of the case's own."""
    home = ground.directory()
    base = make_repository(home / "origin", files)
    canary, fired = home / "canary.sh", home / "fired"
    canary.write_text(f"#!/bin/sh\necho fired > {fired}\nexit 0\n", encoding="utf-8")
    canary.chmod(0o755)
    checkouts = GitCheckouts(home / "state", name="Daemon", email="daemon@example.org", timeout_s=20)
    world = GitWorld(
        home=home,
        checkouts=checkouts,
        work=home / "origin",
        base=base,
        tree=home / "tree",
        canary=canary,
        fired=fired,
    )
    checkouts.refresh(REPO, world.remote)
    checkouts.clone(RUN, REPO)
    checkouts.export(RUN, base, world.tree)
    return world


def planted_repository(world: GitWorld, where: Path, settings: Mapping[str, str]) -> Path:
    """The agent has made a repository of `where`, with settings of its choice; its .git."""
    git(where, "init", "--quiet", "--template=")
    git(where, "config", "user.name", "Agent")
    git(where, "config", "user.email", "agent@example.org")
    git(where, "commit", "--quiet", "--allow-empty", "-m", "planted")
    for name, value in settings.items():
        git(where, "config", name, value.replace("CANARY", str(world.canary)))
    return where / ".git"


def careless_look(tree: Path, *_arguments: object) -> Snapshot:
    """What many a wrapper does with a checkout that an agent could write: runs git in it."""
    for arguments in (
        ("status", "--porcelain"),
        ("add", "-A"),
        ("diff", "HEAD"),
        ("log", "-p", "-1"),
        ("commit", "--quiet", "-m", "work"),
        ("status", "--porcelain"),
        ("fetch", "--quiet"),
    ):
        subprocess.run(
            ["git", *arguments],
            cwd=tree,
            env={"PATH": os.defpath, "HOME": str(tree.parent), "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=20,
        )
    return Snapshot(changes=())
