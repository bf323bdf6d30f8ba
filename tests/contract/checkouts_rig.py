"""A repository that is served over HTTP, and the checkouts that are tried on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.git_http import git_http_app
from runner.changes import ChangeKind, FileChange
from runner.model import Candidate, Remote
from runner.ports import Checkouts
from tests.git_rig import SECRET, commit_all, git, make_repository, served, write

APP = b"print('one')\r\n"
FILES: dict[str, str | bytes] = {
    "README.md": "hello\n",
    "src/app.py": APP,
    "bin/run": "#!/bin/sh\n",
    "data.bin": bytes(range(256)),
}


@dataclass(frozen=True, kw_only=True)
class Rig:
    """One repository served over HTTP, a work tree that a person pushes from, and the checkouts under test."""

    checkouts: Checkouts
    root: Path
    remote: Remote
    bare: Path
    work: Path
    first: str

    def prepare(self, run_id: str = "run-1") -> str:
        """Refresh and clone; the head of main."""
        self.checkouts.refresh("acme/widgets", self.remote)
        self.checkouts.clone(run_id, "acme/widgets")
        head = self.checkouts.branch_head("acme/widgets", "main")
        assert head is not None
        return head

    def push_by_hand(self, branch: str = "main") -> str:
        """A person's commit on `branch` of the remote."""
        write(self.work, {"by-hand.txt": f"{branch}\n"})
        sha = commit_all(self.work, "by hand")
        git(self.work, "push", "--quiet", str(self.bare), f"HEAD:refs/heads/{branch}")
        return sha


@contextmanager
def opened(tmp_path: Path) -> Iterator[Rig]:
    """One in that directory."""
    work = tmp_path / "work"
    write(work, {})
    first = make_repository(work, FILES)
    (work / "bin/run").chmod(0o755)
    (work / "link").symlink_to("src/app.py")
    first = commit_all(work, "modes")
    bare = tmp_path / "served" / "acme" / "widgets.git"
    git(tmp_path, "clone", "--quiet", "--bare", "--template=", str(work), str(bare))
    root = tmp_path / "checkouts"
    checkouts = GitCheckouts(root, name="Ashigaru", email="ashigaru@example.org", timeout_s=60)
    with served(git_http_app(tmp_path / "served", SECRET)) as url:
        remote = Remote(url=f"{url}/forge/acme/widgets.git", username="ashigaru", password=SECRET)
        yield Rig(checkouts=checkouts, root=root, remote=remote, bare=bare, work=work, first=first)


def a_write(path: str, content: bytes, mode: str = "100644") -> FileChange:
    return FileChange(kind=ChangeKind.WRITE, path=path, mode=mode, content=content)


def a_delete(path: str) -> FileChange:
    return FileChange(kind=ChangeKind.DELETE, path=path)


def committed(rig: Rig, base: str, *changes: FileChange, message: str = "work") -> Candidate:
    return rig.checkouts.commit("run-1", base, base, changes, message)
