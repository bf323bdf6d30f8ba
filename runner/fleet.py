"""What the operator sets for each repository: where its set-up may go, what may be changed, and what judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gates.plan import CiOnly, GatePlan
from runner.admission import RepoLimits
from runner.egress_rules import Egress
from runner.fair_queue import Priority
from runner.policy import ChangeLimits


@dataclass(frozen=True, kw_only=True)
class RepoRules:
    """For one repository. The defaults allow nothing.

    gates: how it is judged, whatever its own gate file says; None: as that says. priority: of tickets that name none.
    runs: how many there may be.
    """

    egress: Egress = field(default_factory=Egress)
    limits: ChangeLimits = field(default_factory=ChangeLimits)
    gates: GatePlan | CiOnly | None = None
    priority: Priority = Priority.NORMAL
    runs: RepoLimits = field(default_factory=RepoLimits)


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """For all of them. repos: by name in lower case; default: for those that are not there."""

    default: RepoRules = field(default_factory=RepoRules)
    repos: Mapping[str, RepoRules] = field(default_factory=dict)

    def of(self, repo: str) -> RepoRules:
        """The repository's rules, however it is spelled."""
        return self.repos.get(repo.lower(), self.default)

    def limits(self, repo: str) -> ChangeLimits:
        """What an agent's changes to the repository may be."""
        return self.of(repo).limits
