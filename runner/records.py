"""What is remembered of runs: the values, and the port that keeps them.

Times are UTC seconds since the epoch. `cursor` grows by one with every change of a run that a person would want to
see, so that "what is new since N" has an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypedDict

from gates.judge import Counts
from gates.verdict import Verdict
from runner.model import Check, Phase, RoundInput
from runner.transcript import Event, Transcript


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run: a ticket, its branch and its pull request.

    tier: name of the rung it is on or last was. base_sha, head_sha, head_tree: what was judged and pushed, once it
    was. waits: consecutive rounds that ended waiting. retry_at: when the next try is due, while waiting.
    """

    run_id: str
    repo: str
    issue: int
    brief: str
    model: str | None
    phase: Phase
    base_branch: str
    branch: str
    created_at: float
    updated_at: float
    start_tier: int
    round: int = 1
    tier: str | None = None
    attempt: int = 0
    reason: str | None = None
    base_sha: str | None = None
    head_sha: str | None = None
    head_tree: str | None = None
    pull: int | None = None
    pull_url: str | None = None
    merged_sha: str | None = None
    cancel_requested: bool = False
    waits: int = 0
    retry_at: float | None = None
    agent_at: float | None = None
    harness_at: float | None = None
    checks_as_of: float | None = None
    cursor: int = 1


class RunChange(TypedDict, total=False):
    """The fields of a run that may change."""

    phase: Phase
    round: int
    tier: str | None
    attempt: int
    reason: str | None
    base_sha: str | None
    head_sha: str | None
    head_tree: str | None
    pull: int | None
    pull_url: str | None
    merged_sha: str | None
    cancel_requested: bool
    waits: int
    retry_at: float | None


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """One agent execution. transcript and offset: what was read of its events so far, and up to which byte."""

    run_id: str
    attempt: int
    round: int
    tier: str
    model: str
    effort: str
    from_commit: str
    placeholder: str
    started_at: float
    offset: int = 0
    transcript: Transcript | None = None
    ended_at: float | None = None
    ending: str | None = None
    detail: str | None = None
    retry_at: float | None = None
    micro_usd: int = 0


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a gate said of what.

    what: "base", "head" or "merged"; attempt is 0 for the base. head: for "merged", the head that was merged into
    `base_sha` to make `commit`; else `commit` itself.
    """

    run_id: str
    what: str
    attempt: int
    take: int
    commit: str
    tree: str
    head: str
    base_sha: str
    key: str
    verdict: Verdict
    counts: Counts
    at: float


@dataclass(frozen=True, kw_only=True)
class SeenEvent:
    """One thing an agent did, in the order seen; `id` grows."""

    id: int
    attempt: int
    kind: str
    summary: str
    tool: str | None
    at: float


class Records(Protocol):
    """The daemon's memory. Every method is one transaction. Raises RecordsFault."""

    def claim(self, run: RunRecord) -> RunRecord:
        """Create the run and claim its (repo, issue), or return the live run that holds the claim already."""

    def reclaim(self, run_id: str) -> bool:
        """Claim (repo, issue) again for a run that had released it; False if another run holds it."""

    def release(self, run_id: str) -> None:
        """The run's claim is gone, if it had one."""

    def run(self, run_id: str) -> RunRecord | None:
        """The run, or None."""

    def run_of_pull(self, repo: str, pull: int) -> RunRecord | None:
        """The run that owns the pull request, or None."""

    def runs(
        self, *, repo: str | None = None, phases: frozenset[Phase] | None = None, limit: int = 50
    ) -> list[RunRecord]:
        """Newest first, at most `limit`."""

    def change(self, run_id: str, change: RunChange, at: float) -> None:
        """Write the fields given and advance the cursor."""

    def touch(self, run_id: str, at: float) -> None:
        """The harness did something for the run at `at`; the cursor stays."""

    def save_round(self, round_input: RoundInput, at: float) -> None:
        """Remember the round's input; a second time changes nothing."""

    def round_input(self, run_id: str, number: int) -> RoundInput | None:
        """The input of a round, or None."""

    def begin_attempt(self, attempt: AttemptRecord) -> AttemptRecord:
        """Remember that the attempt is about to start, or return what was remembered before."""

    def attempt(self, run_id: str, attempt: int) -> AttemptRecord | None:
        """The attempt, or None."""

    def attempts(self, run_id: str) -> list[AttemptRecord]:
        """Every attempt of the run, in order."""

    def append_events(
        self, run_id: str, attempt: int, new: tuple[Event, ...], offset: int, transcript: Transcript, at: float
    ) -> None:
        """Remember events read up to byte `offset`, each once however often it is given."""

    def end_attempt(
        self, run_id: str, attempt: int, *, ending: str, detail: str, retry_at: float | None, at: float
    ) -> None:
        """Remember how the attempt ended."""

    def events(self, run_id: str, *, limit: int = 20) -> list[SeenEvent]:
        """The run's last events, oldest first."""

    def spent(self, run_id: str) -> int:
        """Micro-dollars metered for the run."""

    def spend(self, run_id: str, attempt: int, micro_usd: int, at: float) -> None:
        """Add to the run's and the attempt's bill."""

    def judged(self, key: str) -> Judgement | None:
        """A conclusive judgement remembered under this key, of whichever run, or None."""

    def save_judgement(self, judgement: Judgement) -> None:
        """Remember a verdict under its key and for its run; a second time changes nothing."""

    def judgements(self, run_id: str) -> list[Judgement]:
        """Every judgement of the run, in order."""

    def save_checks(self, run_id: str, seen: tuple[Check, ...], at: float) -> None:
        """Remember what the forge said of the head's checks, and when."""

    def checks(self, run_id: str) -> tuple[Check, ...]:
        """The checks as last seen."""
