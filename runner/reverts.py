"""Which merges were taken back later: read from the base branch's history, as the mirror has it.

A merge is taken back by a commit that says so in git's own words, or when every file that it changed is on the branch
as it was before. One that was brought back since is not taken back.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from runner.errors import RunnerError
from runner.ledger import Landed, Ledger
from runner.ports import Checkouts, Clock, Forge

_LOG: Final = logging.getLogger(__name__)
_SAYS: Final = re.compile(r"This reverts commit ([0-9a-f]{7,64})\b")
_LOOKED_BACK_S: Final = 90 * 86_400.0
_MOST_LANDED: Final = 500
_MOST_REPOS: Final = 50
MAX_COMMITS: Final = 2000


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit of the base branch's. subject: its message's first line; message: all of it, bounded."""

    sha: str
    subject: str
    message: str


class History(Protocol):
    """What a mirror knows of a branch's past. Both raise CheckoutFault."""

    def since(self, repo: str, branch: str, limit: int) -> tuple[Commit, ...]:
        """The branch's last `limit` commits along its first parents, oldest first; () where it is not there."""

    def went_back(self, repo: str, branch: str, sha: str) -> bool:
        """Whether each file that the commit changed is on the branch as it was before the commit, at least one."""


def taken_back(landed: Landed, commits: Sequence[Commit]) -> str | None:
    """The commit after `landed` that says it takes it back, and that no later one takes back; None: there is none.

    commits: of the base branch, oldest first. Pure.
    """
    ours = next((place for place, one in enumerate(commits) if one.sha == landed.sha), None)
    if ours is None:
        return None
    by: Commit | None = None
    for one in commits[ours + 1 :]:
        undone = commits[ours] if by is None else by
        if _undoes(one, undone):
            by = one if by is None else None
        elif by is not None and one.subject == f'Reapply "{commits[ours].subject}"':
            by = None
    return None if by is None else by.sha


def _undoes(one: Commit, undone: Commit) -> bool:
    said = _SAYS.findall(one.message)
    if said:
        # Whoever names a commit means that one, whatever the first line was copied from.
        return any(undone.sha.startswith(sha) for sha in said)
    # Forges squash: the first line has the pull request's number behind it, and none of it is the commit's own id.
    return re.sub(r" \(#\d+\)$", "", one.subject) in {
        f'Revert "{undone.subject}"',
        f'Revert "{re.sub(r" [(]#[0-9]+[)]$", "", undone.subject)}"',
    }


@dataclass(frozen=True, kw_only=True)
class Reverts:
    """Looks for merges that were taken back, once for each state of a branch."""

    ledger: Ledger
    history: History
    checkouts: Checkouts
    forge: Forge
    clock: Clock
    _seen: dict[tuple[str, str], str] = field(default_factory=dict)

    def look(self) -> int:
        """Bring up the mirrors of what was merged in the last 90 days, and look; how many reverts were news.

        A forge that does not answer keeps nothing but its own repository from being looked at. Raises RecordsFault.
        """
        now = self.clock.now()
        of_branch: dict[tuple[str, str], list[Landed]] = defaultdict(list)
        for landed in self.ledger.landed(now - _LOOKED_BACK_S, _MOST_LANDED):
            of_branch[landed.repo, landed.branch].append(landed)
        news = 0
        for (repo, branch), all_landed in list(of_branch.items())[:_MOST_REPOS]:
            try:
                news += self._of_branch(repo, branch, all_landed, now)
            except RunnerError:
                _LOG.warning("%s could not be looked at for reverts", repo, exc_info=True)
        return news

    def _of_branch(self, repo: str, branch: str, all_landed: list[Landed], now: float) -> int:
        tip = self.forge.tip(repo, branch)
        if tip is None or self._seen.get((repo, branch)) == f"{tip} {len(all_landed)}":
            return 0
        self.checkouts.refresh(repo, self.forge.remote(repo))
        commits = self.history.since(repo, branch, MAX_COMMITS)
        news = 0
        for landed in all_landed:
            by = taken_back(landed, commits)
            if by is None and any(one.sha == landed.sha for one in commits):
                by = "" if self.history.went_back(repo, branch, landed.sha) else None
            if by != landed.reverted_by:
                self.ledger.reverted(landed.run_id, by, now)
                news += 1
        if len(self._seen) >= _MOST_LANDED:
            self._seen.clear()
        self._seen[repo, branch] = f"{tip} {len(all_landed)}"
        return news
