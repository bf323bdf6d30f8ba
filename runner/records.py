"""What is remembered of runs: the values, and the port that keeps them.

Times are UTC seconds since the epoch. `cursor` grows by one with every change that a person would want to see.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypedDict

from gates.observed import Counts
from gates.verdict import Verdict
from runner.callers import OPERATOR_NAME
from runner.cancel_board import CancelBook
from runner.fair_queue import Priority
from runner.model import Check, Phase, ReviewedHead, RoundInput
from runner.remarks import TakenUp
from runner.transcript import Event, Kinds, Transcript
from runner.watched import WatchBook


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run: a ticket, its branch and its pull request.

    tier: name of the rung it is on or last was. base_sha, head_sha, head_tree: what was judged and pushed, once it
    was. waits: consecutive rounds that ended waiting. retry_at: when the next try is due, while waiting. published_at:
    when the head there is was pushed. ci, pipeline: a `runner.ci.CiState`, of the head and of the merged commit.
    ci_rounds, review_rounds: how many of them there were. ci_repaired: the last head that a round was to repair.
    fruitless: rounds of review in a row that changed nothing. owner: who dispatched it. queued_at: ready for a slot.
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
    published_at: float | None = None
    ci: str | None = None
    ci_rounds: int = 0
    ci_repaired: str | None = None
    review_rounds: int = 0
    fruitless: int = 0
    pipeline: str | None = None
    merged_at: float | None = None
    owner: str = OPERATOR_NAME
    quarantined: str | None = None
    priority: Priority = Priority.NORMAL
    queued_at: float | None = None
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
    published_at: float | None
    ci: str | None
    ci_rounds: int
    ci_repaired: str | None
    review_rounds: int
    fruitless: int
    pipeline: str | None
    merged_at: float | None
    quarantined: str | None
    queued_at: float | None


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
    `base_sha` to make `commit`; else `commit` itself. image: the id of the image that its gates ran in; None: none.
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
    image: str | None = None


@dataclass(frozen=True, kw_only=True)
class SeenEvent:
    """One thing an agent did, in the order seen; `id` grows."""

    id: int
    attempt: int
    kind: str
    summary: str
    tool: str | None
    at: float


class NoticeKind(StrEnum):
    """What a person would want to be told of without asking."""

    CI_GREEN = "ci_green"
    CI_RED = "ci_red"
    CI_STOPPED = "ci_stopped"
    REVIEW = "review"
    MERGED = "merged"
    CLOSED = "closed"
    SHIPPED = "shipped"
    PIPELINE_RED = "pipeline_red"
    QUARANTINED = "quarantined"
    BUDGET = "budget"
    WATCHDOG = "watchdog"
    EGRESS = "egress"  # a set-up asked for a place that it may not go to
    START = "start"
    RESTORED = "restored"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that happened to a run while nobody asked, in one sentence; `id` grows."""

    id: int
    kind: NoticeKind
    text: str
    at: float


class Records(CancelBook, WatchBook, Protocol):
    """The daemon's memory. Every method is one transaction. Raises RecordsFault."""

    def one_look(self) -> AbstractContextManager[None]:
        """All that this thread reads inside, from any book of the same database, is of one moment."""

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
        self,
        *,
        repo: str | None = None,
        phases: frozenset[Phase] | None = None,
        owner: str | None = None,
        limit: int = 50,
    ) -> list[RunRecord]:
        """Newest first, at most `limit`; only those of a repository, in some phases, of an owner, where given."""

    def change(self, run_id: str, change: RunChange, at: float) -> None:
        """Write the fields given and advance the cursor. A phase that is an end gives the run's claim up as well."""

    def touch(self, run_id: str, at: float) -> None:
        """The harness did something for the run at `at`; the cursor stays."""

    def save_round(self, round_input: RoundInput, at: float) -> None:
        """Remember the round's input; a second time changes nothing once the run is at that round.

        Of one that never began what was asked for last counts, and remarks that only the earlier one was to take up
        are taken up by nobody.
        """

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
        """Remember events read up to byte `offset`, each once however often it is given; the harness did so at `at`."""

    def end_attempt(
        self, run_id: str, attempt: int, *, ending: str, detail: str, retry_at: float | None, at: float
    ) -> None:
        """Remember how the attempt ended."""

    def events(
        self, run_id: str, *, attempt: int | None = None, after: int | None = None, kinds: Kinds = (), limit: int = 20
    ) -> list[SeenEvent]:
        """The run's last events, oldest first; with `after` the first of greater id. attempt, kinds: these alone."""

    def spent(self, run_id: str) -> int:
        """Micro-dollars metered for the run, with what is promised to questions under way."""

    def judged(self, key: str) -> Judgement | None:
        """A conclusive judgement remembered under this key, of whichever run, or None."""

    def save_judgement(self, judgement: Judgement) -> None:
        """Remember a verdict under its key and for its run; a second time changes nothing."""

    def judgements(self, run_id: str) -> list[Judgement]:
        """Every judgement of the run, in order."""

    def save_checks(self, run_id: str, seen: tuple[Check, ...], at: float) -> None:
        """Remember the head's checks, one a (source, workflow, name), the last; only news moves the cursor."""

    def checks(self, run_id: str) -> tuple[Check, ...]:
        """The checks as last seen."""

    def merge_begun(self, run_id: str) -> ReviewedHead | None:
        """What the last merge that was begun for the run was of, by its receipt; None: none was begun."""

    def notify(self, run_id: str, key: str, kind: NoticeKind, text: str, at: float) -> bool:
        """Remember a notice under a key of the run's; False, and nothing changes, where the key is known."""

    def notices(self, run_id: str, *, limit: int = 20) -> list[Notice]:
        """The run's last notices, oldest first."""

    def take_up(self, run_id: str, number: int, remarks_told: tuple[tuple[str, float], ...]) -> None:
        """Remember that round `number` is told of these remarks (id, last edit), in this order; twice is once."""

    def taken_up(self, run_id: str) -> list[TakenUp]:
        """Every remark that a round was told of, the latest round of each, in order of round and number."""

    def answered(self, run_id: str, remark: str, at: float) -> None:
        """The remark has its answer on the forge."""
