"""What was tried, what came of it and what it cost, by repository and tier. Pure.

A *pass* is an attempt on which the gates' last word let it be shown (passed, needs a person, or judged by CI alone). A
*trial* is an attempt whose outcome says something of its tier: it ended by itself, and what became of it is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from runner.endings import ENDINGS, Reaction
from runner.model import DONE_PHASES, LIVE_PHASES, Ending, Phase

PASSING: Final = frozenset({"passed", "needs_human", "unjudged"})
_SAID: Final = frozenset({Reaction.COLLECT, Reaction.COLLECT_LAST})
MAX_RUNS: Final = 10_000
"""Of the runs that are asked for the newest so many are told of."""


@dataclass(frozen=True, kw_only=True)
class AttemptLine:
    """One attempt, as the ledger needs it. Times are UTC seconds.

    asked_at: when its round was asked for; None where it is not its round's first attempt. outcome: the kind of the
    gates' last word on what it left, said at judged_at.
    """

    attempt: int
    tier: str
    started_at: float
    asked_at: float | None = None
    ended_at: float | None = None
    ending: str | None = None
    micro_usd: int = 0
    outcome: str | None = None
    judged_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run with its attempts, in order. reverted_at: when its merge was found to be taken back."""

    run_id: str
    repo: str
    phase: Phase
    attempts: tuple[AttemptLine, ...] = ()
    reverted_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Landed:
    """A run whose work is on the base branch as `sha`, and whether it is known to have been taken back since."""

    run_id: str
    repo: str
    branch: str
    sha: str
    reverted_by: str | None = None


class Ledger(Protocol):
    """The records, as the ledger reads them. Raises RecordsFault."""

    def lines(self, *, since: float, repo: str | None = None, owner: str | None = None, limit: int) -> list[RunLine]:
        """The newest `limit` runs that were asked for at or after `since`, newest first."""

    def landed(self, since: float, limit: int) -> list[Landed]:
        """The newest `limit` runs that were merged at or after `since`, newest first."""

    def reverted(self, run_id: str, by: str | None, at: float) -> None:
        """The run's merge was taken back by that commit ("" where none says so), found at `at`; None: it is not, after
        all. The same again changes nothing.
        """


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What the attempts at one tier came to in one repository; tier None: of all its tiers together.

    merged, reverted: runs, counted where their last attempt was. Seconds: agent_s at work; gate_s from an agent's end
    to the gates' last word on what it left; queue_s from a round's being asked for to its first agent's start, waits
    for quota among it.
    """

    repo: str
    tier: str | None
    runs: int = 0
    attempts: int = 0
    passes: int = 0
    merged: int = 0
    reverted: int = 0
    micro_usd: int = 0
    agent_s: float = 0.0
    gate_s: float = 0.0
    queue_s: float = 0.0

    @property
    def micro_usd_per_merge(self) -> int | None:
        """Money for each merge that stood; None where none did."""
        stood = self.merged - self.reverted
        return self.micro_usd // stood if stood > 0 else None

    def plus(self, other: Tally) -> Tally:
        """Both together, under this one's name."""
        counted = {name: value + getattr(other, name) for name, value in vars(self).items() if name not in _NAMES}
        return replace(self, **counted)


_NAMES: Final = frozenset({"repo", "tier"})


def tallies(runs: Iterable[RunLine]) -> tuple[Tally, ...]:
    """By repository, however it is spelled, and tier, in order; each repository's sum comes after its tiers."""
    by_tier: dict[tuple[str, str], Tally] = {}
    sums: dict[str, Tally] = {}
    for run in runs:
        repo = run.repo.lower()
        whole = Tally(repo=repo, tier=None, runs=1)
        for one in _of_run(run, repo):
            key = (repo, one.tier or "")
            by_tier[key] = by_tier[key].plus(one) if key in by_tier else one
            whole = whole.plus(replace(one, runs=0))
        sums[repo] = sums[repo].plus(whole) if repo in sums else whole
    told: list[Tally] = []
    for repo in sorted(sums):
        told += [by_tier[key] for key in sorted(by_tier) if key[0] == repo]
        told.append(sums[repo])
    return tuple(told)


def _of_run(run: RunLine, repo: str) -> Iterator[Tally]:
    """The run's share in each of its tiers, one for each."""
    shares: dict[str, Tally] = {}
    for one in run.attempts:
        share = Tally(
            repo=repo,
            tier=one.tier,
            attempts=1,
            passes=int(one.outcome in PASSING),
            micro_usd=one.micro_usd,
            agent_s=_between(one.started_at, one.ended_at),
            gate_s=_between(one.ended_at, one.judged_at),
            queue_s=_between(one.asked_at, one.started_at),
        )
        shares[one.tier] = shares[one.tier].plus(share) if one.tier in shares else share
    if run.attempts and run.phase in DONE_PHASES:
        last = run.attempts[-1].tier
        shares[last] = replace(shares[last], merged=1, reverted=int(run.reverted_at is not None))
    for share in shares.values():
        yield replace(share, runs=1)


def _between(begin: float | None, end: float | None) -> float:
    """Seconds; a clock that was set back in between counts for nothing."""
    return 0.0 if begin is None or end is None else max(0.0, end - begin)


@dataclass(frozen=True, kw_only=True)
class Trials:
    """How often a tier was tried with an outcome, how often the work was merged and stood, and what all of it cost."""

    trials: int = 0
    successes: int = 0
    micro_usd: int = 0


def trials(runs: Iterable[RunLine]) -> dict[str, Trials]:
    """By tier. An attempt that was shown and then worked on again costs money, and is no trial."""
    found: dict[str, Trials] = {}
    for run in runs:
        said = [one for one in run.attempts if _says_something(one.ending)]
        for one in said:
            counted = _outcome(run, one, last=one is said[-1])
            if counted is None and (run.phase in LIVE_PHASES or run.phase is Phase.CANCELLED):
                continue
            before = found.get(one.tier, Trials())
            found[one.tier] = Trials(
                trials=before.trials + (counted is not None),
                successes=before.successes + bool(counted),
                micro_usd=before.micro_usd + one.micro_usd,
            )
    return found


def _says_something(ending: str | None) -> bool:
    """An attempt that quota, the network or a person ended says nothing of its tier."""
    return ending is not None and ending in set(Ending) and ENDINGS[Ending(ending)] in _SAID


def _outcome(run: RunLine, one: AttemptLine, *, last: bool) -> bool | None:
    """Whether the attempt came to something; None where that is not known."""
    if not last:
        return None if one.outcome in PASSING else False
    if run.phase in DONE_PHASES:
        return run.reverted_at is None
    return None if run.phase in LIVE_PHASES or run.phase is Phase.CANCELLED else False
