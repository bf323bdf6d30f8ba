"""How many runs there may be, of a repository and of a caller: more are refused when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from runner.callers import OPERATOR_NAME
from runner.errors import NotPossible
from runner.slots import Counted, SlotBook

_CURE: Final = "wait until some are done, or cancel one"


@dataclass(frozen=True, kw_only=True)
class RunLimits:
    """How many runs there may be at once; 0: no bound. Live are all from queued to under review, queued those that
    wait for a slot. The operator's own tickets count for their repository, and for no caller.
    """

    repo_live: int = 0
    repo_queued: int = 0
    caller_live: int = 200
    caller_queued: int = 100


@dataclass(frozen=True, kw_only=True)
class RepoLimits:
    """The same of one repository; None: as `RunLimits` says."""

    live: int | None = None
    queued: int | None = None


def refusal(whose: str, counted: Counted, *, live: int, queued: int, where: str) -> str | None:
    """Why there may not be one more, in a sentence; None where there may. where: what the operator would raise."""
    if live and counted.live >= live:
        return f"{whose} {counted.live} live runs of at most {live}; {_CURE}, or have the operator raise {where}_live."
    if queued and counted.queued >= queued:
        return (
            f"{whose} {counted.queued} runs in the queue of at most {queued}; {_CURE}, "
            f"or have the operator raise {where}_queued."
        )
    return None


@dataclass(frozen=True, kw_only=True)
class AdmissionControl:
    """Counts, and refuses. of_repo: what the operator sets for that repository."""

    book: SlotBook
    limits: RunLimits
    of_repo: Callable[[str], RepoLimits]

    def admit(self, repo: str, owner: str) -> None:
        """Nothing, where one more run of that repository and owner may be. Raises NotPossible, RecordsFault."""
        own = self.of_repo(repo)
        live = self.limits.repo_live if own.live is None else own.live
        queued = self.limits.repo_queued if own.queued is None else own.queued
        refused = None
        if live or queued:
            counted = self.book.counted(repo=repo)
            refused = refusal(f"{repo} has", counted, live=live, queued=queued, where="repo")
        if refused is None and owner != OPERATOR_NAME:
            counted = self.book.counted(owner=owner)
            bounds = {"live": self.limits.caller_live, "queued": self.limits.caller_queued}
            refused = refusal("Your token has", counted, **bounds, where="caller")
        if refused is not None:
            raise NotPossible(refused)
