"""Real bare repositories on disk, and the few things the double does to them itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ENVIRONMENT = {
    "PATH": os.defpath,
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
}
_TIMEOUT_S = 60
ZERO = "0" * 40


class GitFailed(Exception):
    """Git said no."""


class GitStore:
    """Bare repositories by the id of the repository."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, repo: int) -> Path:
        return self.root / f"{repo}.git"

    def create(self, repo: int, source: Path | None, branch: str) -> None:
        """A bare repository with the branches and tags of `source`, if given."""
        where = self.path(repo)
        _git("init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", str(where))
        for key, value in (("receive.hideRefs", "refs/pull"), ("gc.auto", "0"), ("http.receivepack", "true")):
            self.run(repo, "config", key, value)
        if source is not None:
            self.run(repo, "fetch", "--quiet", str(source), "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")

    def remove(self, repo: int) -> None:
        shutil.rmtree(self.path(repo), ignore_errors=True)

    def run(self, repo: int, *arguments: str, text: str | None = None, env: dict[str, str] | None = None) -> str:
        return _git("-C", str(self.path(repo)), *arguments, text=text, env=env)

    def refs(self, repo: int) -> dict[str, str]:
        lines = self.run(repo, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def resolve(self, repo: int, name: str) -> str | None:
        """The commit that a branch, tag or (abbreviated) id names."""
        for spelling in (f"refs/heads/{name}", f"refs/tags/{name}", name):
            try:
                return self.run(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{spelling}^{{commit}}")
            except GitFailed:
                continue
        return None

    def set_ref(self, repo: int, ref: str, sha: str | None, *, old: str | None = None) -> None:
        if sha is None:
            self.run(repo, "update-ref", "-d", ref, *([old] if old else []))
        else:
            self.run(repo, "update-ref", ref, sha, *([old] if old else []))

    def bring(self, repo: int, from_repo: int, ref: str, to: str) -> None:
        """Have the ref of another repository here, under `to`."""
        self.run(repo, "fetch", "--quiet", str(self.path(from_repo)), f"+{ref}:{to}")

    def is_ancestor(self, repo: int, old: str, new: str) -> bool:
        try:
            self.run(repo, "merge-base", "--is-ancestor", old, new)
        except GitFailed:
            return False
        return True

    def merged_tree(self, repo: int, base: str, head: str) -> str | None:
        """The tree of the merge, None on a conflict."""
        try:
            return self.run(repo, "merge-tree", "--write-tree", base, head).splitlines()[0]
        except GitFailed:
            return None

    def commit(self, repo: int, tree: str, parents: tuple[str, ...], message: str, author: tuple[str, str]) -> str:
        """A commit as GitHub's own merges are: the author's name, GitHub as committer."""
        people = {
            "GIT_AUTHOR_NAME": author[0],
            "GIT_AUTHOR_EMAIL": author[1],
            "GIT_COMMITTER_NAME": "GitHub",
            "GIT_COMMITTER_EMAIL": "noreply@github.com",
        }
        flags = [word for one in parents for word in ("-p", one)]
        return self.run(repo, "commit-tree", tree, *flags, text=message, env=people)


def _git(*arguments: str, text: str | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ["git", *arguments],
        env=ENVIRONMENT | (env or {}),
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise GitFailed(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()
