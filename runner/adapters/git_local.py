"""Takes two commits of somebody's own repository on this host into one of ours, and touches nothing there.

The repository is not trusted: what it configures is read by git commands that run no hook, no filter, no monitor and no
pager, fetch nothing that is missing, and have no transport but the one that copies objects from its directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from runner.adapters.file_lock import held
from runner.adapters.git_command import GitCommand
from runner.adapters.git_plumbing import BareRepository
from runner.adapters.git_process import GitTask
from runner.errors import BadIntent, CheckoutFault, ForgeDown
from runner.layout import short
from runner.model import Remote

_MAX_NAME: Final = 200
# A person named this path, whoever owns it: git's ownership check has nothing to add.
_TRUST: Final = ("-c", "safe.directory=*")
_UPLOAD_PACK: Final = "--upload-pack=git -c safe.directory=* upload-pack"
_NOT_FOUND: Final = frozenset({0, 1, 128})
_WHO: Final = {
    f"GIT_{who}_{what}": said
    for who in ("AUTHOR", "COMMITTER")
    for what, said in (("NAME", "mcp-ashigaru"), ("EMAIL", "ashigaru@localhost"), ("DATE", "@0 +0000"))
}


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Two trees, as commits of ours: `head` on top of `base`, `base` on top of nothing. remote: where they are."""

    remote: Remote
    base: str
    head: str


class LocalRepositories:
    """Copies below `root`, which belongs to us alone. Safe to use from several threads and processes."""

    def __init__(self, root: Path, *, timeout_s: float = 300.0) -> None:
        """No git command takes longer than `timeout_s`."""
        self._root = root.absolute()
        self._timeout_s = timeout_s
        self._git = GitCommand(self._root / "home", timeout_s=timeout_s)

    def find(self, path: Path) -> Path:
        """The git directory of the repository that `path` is in. Raises BadIntent where there is none."""
        there = path.expanduser().absolute()
        said = self._ask(there, "rev-parse", "--path-format=absolute", "--git-common-dir") if there.is_dir() else None
        if not said:
            raise BadIntent("That is not a git repository on this host; name its directory with --repo.")
        return Path(said)

    def commit(self, path: Path, revision: str) -> str:
        """The id of the commit that `revision` names in the repository at `path`. Raises BadIntent."""
        plain = 0 < len(revision) <= _MAX_NAME and revision.isprintable()
        asked = ("rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        said = self._ask(path.expanduser().absolute(), *asked) if plain else None
        if not said:
            shown = revision[:_MAX_NAME] if plain else "That"
            raise BadIntent(f"{shown} names no commit of that repository; name a branch, a tag or a commit id.")
        return said

    def descends(self, path: Path, base: str, head: str) -> bool:
        """Whether the commit `head` is `base` or came after it, as far as the repository's history goes."""
        return self._ask(path.expanduser().absolute(), "merge-base", "--is-ancestor", base, head) is not None

    def take(self, git_dir: Path, base: str, head: str) -> Taken:
        """Have the two commits' trees in a repository of ours. Raises CheckoutFault.

        Their history stays behind, so a shallow clone will do and a long history costs nothing; the commits are ours,
        and the same for the same trees.
        """
        ours = BareRepository(git=self._git, place=self._root / "taken" / f"{short(str(git_dir))}.git")
        with held(self._root / "locks" / f"{ours.place.name}.lock", timeout_s=self._timeout_s):
            ours.clear_stale_locks()
            ours.create()
            lacking = sorted({commit for commit in (base, head) if not ours.holds(commit)})
            if lacking:
                self._fetch(git_dir, ours, lacking)
            below = self._plain(ours, base, None)
            above = self._plain(ours, head, below)
        return Taken(remote=Remote(url=f"file://{quote(str(ours.place))}"), base=below, head=above)

    def _fetch(self, git_dir: Path, ours: BareRepository, commits: list[str]) -> None:
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--depth=1")
        remote = Remote(url=f"file://{quote(str(git_dir))}")
        task = GitTask(
            arguments=("fetch", *quiet, _UPLOAD_PACK, remote.url, *commits),
            deed="copy the commits",
            repository=ours.place,
            remote=remote,
        )
        try:
            self._git.run(task)
        except ForgeDown as exc:
            why = str(exc).partition(": ")[2].rpartition("; ")[0]
            raise CheckoutFault(f"The repository's commits could not be copied: {why}; see `git fsck` there.") from exc

    def _plain(self, ours: BareRepository, commit: str, parent: str | None) -> str:
        """A commit of ours with that commit's tree, on a branch of its own."""
        below = () if parent is None else ("-p", parent)
        made = ours.ask(
            "commit-tree", ours.tree_of(commit), *below, "-m", "To be judged", deed="commit a tree", variables=_WHO
        ).text()
        ours.point(f"refs/heads/{made}", made)
        return made

    def _ask(self, there: Path, *arguments: str) -> str | None:
        """What git says of the repository at that place; None where it has no answer."""
        task = GitTask(
            arguments=(*_TRUST, "-C", str(there), *arguments),
            deed="read the repository",
            statuses=_NOT_FOUND,
        )
        reply = self._git.run(task)
        return reply.text() if reply.status == 0 else None
