"""What the operator allows callers, and sets for every run."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.ci import CiPolicy
from runner.errors import RepoNotAllowed
from runner.fair_queue import Priority
from runner.fleet import Fleet
from runner.model import Bounds, Tier


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the operator allows. repos empty: every repository of the forge.

    review_settle_s: how long after a reviewer's last remark the round that takes it up begins. start_where_cheapest: a
    ticket that names no tier starts where `runner.start_tier` says. fleet: what the operator sets for each repository.
    """

    repos: frozenset[str]
    ladder: tuple[Tier, ...]
    bounds: Bounds
    ci: CiPolicy
    review_settle_s: float = 30.0
    start_where_cheapest: bool = False
    fleet: Fleet = field(default_factory=Fleet)

    def priority(self, repo: str) -> Priority:
        """How urgent the repository's tickets are where they do not say."""
        return self.fleet.of(repo).priority

    def allow(self, repo: str) -> None:
        """Nothing, if something may be written to the repository, however it is spelled. Raises RepoNotAllowed.

        Asked at every deed: an operator who takes a repository off the list wants no more of them.
        """
        if self.repos and repo.lower() not in {one.lower() for one in self.repos}:
            raise RepoNotAllowed(f"{repo} is not on the allow-list; ask the operator to add it to ASHIGARU_REPOS.")


@dataclass(frozen=True, kw_only=True)
class FollowPolicy:
    """Whose checks count, how rounds that nobody called for are climbed and bounded, and how long remarks settle."""

    ci: CiPolicy
    ladder: tuple[Tier, ...]
    bounds: Bounds
    settle_s: float
