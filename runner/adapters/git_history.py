"""`runner.reverts.History` in the mirrors, by git commands that only read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.git_command import checked_oid
from runner.adapters.git_plumbing import BareRepository, branch_ref
from runner.reverts import Commit

_MESSAGE_CHARS: Final = 20_000
_MOST_FILES: Final = 5000
_UNKNOWN: Final = frozenset({0, 128})


@dataclass(frozen=True, kw_only=True)
class GitHistory:
    """The history that the mirrors of `checkouts` have."""

    checkouts: GitCheckouts

    def since(self, repo: str, branch: str, limit: int) -> tuple[Commit, ...]:
        """See `History.since`."""
        mirror = self.checkouts.mirror(repo)
        if not mirror.exists or mirror.head(branch) is None:
            return ()
        told = ("log", "--first-parent", "-z", f"--max-count={limit}", "--no-show-signature", "--format=%H%n%B")
        said = mirror.ask(*told, branch_ref(branch), deed="read a branch's history").out
        found = [_commit(one.decode("utf-8", "replace")) for one in said.split(b"\0") if one.strip()]
        return tuple(reversed(found))

    def went_back(self, repo: str, branch: str, sha: str) -> bool:
        """See `History.went_back`; never for a commit of more than 5000 files."""
        mirror = self.checkouts.mirror(repo)
        before = _before(mirror, checked_oid(sha)) if mirror.exists else set()
        if not before or len(before) > _MOST_FILES:
            return False
        listed = mirror.ask(
            "diff-tree", "-r", "-z", "--no-renames", "--name-only", f"{sha}^", branch_ref(branch), deed="compare trees"
        )
        # What differs between now and before the commit: none of what it changed may be among it.
        return not before & set(listed.out.split(b"\0"))


def _before(mirror: BareRepository, sha: str) -> set[bytes]:
    """The paths that the commit changed."""
    asked = ("diff-tree", "-r", "-z", "--no-renames", "--name-only", "--no-commit-id", sha)
    return {path for path in mirror.ask(*asked, deed="read a commit", statuses=_UNKNOWN).out.split(b"\0") if path}


def _commit(text: str) -> Commit:
    sha, _, message = text.strip("\n").partition("\n")
    return Commit(sha=sha, subject=message.partition("\n")[0], message=message[:_MESSAGE_CHARS])
