"""The words of the domain, as types. Values only: no behaviour that touches the world.

Money is integer micro-dollars (1 USD = 1_000_000), sizes are bytes, durations seconds, times UTC seconds of the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from runner.watchdogs import Watchdogs

ENGINE_PROTOCOL = 1
"""Bumped by hand whenever the order or the meaning of a round's steps changes."""


class Phase(StrEnum):
    """Where a run is, as a person would say it."""

    QUEUED = "queued"
    PREPARING = "preparing"
    AGENT = "agent"
    GATE = "gate"
    PUBLISHING = "publishing"
    WAITING = "waiting"
    CI = "ci"
    AWAITING_REVIEW = "awaiting_review"
    MERGED = "merged"
    SHIPPED = "shipped"
    ESCALATED = "escalated"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"


LIVE_PHASES = frozenset(
    {
        Phase.QUEUED,
        Phase.PREPARING,
        Phase.AGENT,
        Phase.GATE,
        Phase.PUBLISHING,
        Phase.WAITING,
        Phase.CI,
        Phase.AWAITING_REVIEW,
    }
)
"""A run in one of these holds the claim on its (repo, issue)."""

REVIEW_PHASES = frozenset({Phase.CI, Phase.AWAITING_REVIEW})
"""A run in one of these has an open pull request, which is followed: its checks are awaited, or a person is."""

WORKING_PHASES = LIVE_PHASES - REVIEW_PHASES
"""A run in one of these has a round in flight or due."""

DONE_PHASES = frozenset({Phase.MERGED, Phase.SHIPPED})
"""The work is on the base branch."""


class Ending(StrEnum):
    """How one agent execution ended, read from its exit status, its event stream and our own clocks."""

    COMPLETED = "completed"
    STOPPED_AFTER_RESULT = "stopped_after_result"
    MAX_TURNS = "max_turns"
    TIER_BUDGET = "tier_budget"
    RUN_BUDGET = "run_budget"
    REPO_BUDGET = "repo_budget"
    DAY_BUDGET = "day_budget"
    HALTED = "halted"
    PROMPT_TOO_LONG = "prompt_too_long"
    REFUSED = "refused"
    IDLE_TIMEOUT = "idle_timeout"
    WALL_TIMEOUT = "wall_timeout"
    REPEATED_CALL = "repeated_call"
    ALTERNATING_CALLS = "alternating_calls"
    NO_EDITS = "no_edits"
    DISK_LIMIT = "disk_limit"
    QUOTA = "quota"
    OVERLOADED = "overloaded"
    AUTH = "auth"
    CREDIT = "credit"
    NETWORK = "network"
    MODEL_UNKNOWN = "model_unknown"
    BAD_REQUEST = "bad_request"
    NO_TURNS = "no_turns"
    SESSION_LOST = "session_lost"
    OUT_OF_MEMORY = "out_of_memory"
    KILLED = "killed"
    VANISHED = "vanished"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Tier:
    """One rung: which model at which effort, and what it may use up.

    model: an alias or id that the CLI takes. effort: low, medium, high, xhigh or max.
    """

    name: str
    model: str
    effort: str
    max_turns: int
    max_micro_usd: int
    wall_s: int
    idle_s: int
    watchdogs: Watchdogs = field(default_factory=Watchdogs)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How often a round may try again what was nobody's fault, and how far a run may go by itself.

    run_micro_usd: money for the whole run, all rounds together. max_ci_rounds, max_review_rounds: rounds that red CI
    and reviewers' remarks may start; what a caller asks for by request_changes is not counted.
    """

    infra_retries: int = 2
    gate_retries: int = 2
    policy_warnings: int = 1
    run_micro_usd: int = 20_000_000
    max_ci_rounds: int = 2
    max_review_rounds: int = 5


class Cause(StrEnum):
    """Why a round was started."""

    TICKET = "ticket"
    CHANGES = "changes"
    CI = "ci"
    REVIEW = "review"
    BASE_MOVED = "base_moved"
    RETRY = "retry"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A commit of ours in the clean clone: `tree` is what is judged, `commit` is what is pushed."""

    commit: str
    tree: str


@dataclass(frozen=True, kw_only=True)
class RoundInput:
    """Everything a round needs, frozen when it is enqueued: changed settings cannot change it in flight.

    number: 1 for a run's first round. first_attempt: number of the first agent attempt of this
    round (attempts are numbered through the whole run). start_tier: index into `ladder`.
    start_commit: the commit whose files the agent starts from; None for the base.
    feedback: what the agent is told besides the brief, or None. pull: number of the run's pull request, or None.
    rejudge: judge the start commit merged into today's base, with no agent: the base moved under a pull request.
    candidate: what an earlier round collected and could not have judged or published; it comes first, and an agent
    only if the gates refuse it. diff: the candidate's, for the next tier. remarks: ids of the remarks it answers.
    """

    run_id: str
    number: int
    repo: str
    issue: int
    brief: str
    base_branch: str
    branch: str
    ladder: tuple[Tier, ...]
    bounds: Bounds
    start_tier: int = 0
    first_attempt: int = 1
    start_commit: str | None = None
    feedback: str | None = None
    pull: int | None = None
    rejudge: bool = False
    cause: Cause = Cause.TICKET
    candidate: Candidate | None = None
    diff: str = ""
    remarks: tuple[str, ...] = ()
    protocol: int = ENGINE_PROTOCOL


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Where a repository is fetched from and pushed to.

    url holds no credential. username and password go to git through a credential helper only; None where the
    remote wants none.
    """

    url: str
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        """Never show the password."""
        return f"Remote(url={self.url!r}, username={self.username!r})"


class PullState(StrEnum):
    """Open until merged or closed."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


@dataclass(frozen=True, kw_only=True)
class Pull:
    """A pull request as the forge tells it. mergeable None: the forge has not worked it out yet."""

    repo: str
    number: int
    url: str
    title: str
    body: str
    state: PullState
    draft: bool
    head_branch: str
    head_sha: str
    base_branch: str
    base_sha: str
    mergeable: bool | None
    merged_sha: str | None = None


class CheckState(StrEnum):
    """State of one check on a commit."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"
    STALLED = "stalled"
    """It ended without a word on the change (cancelled, stale, an action is required): a person has to look."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check on a commit, as the forge tells it.

    source: who reports it: an app's slug ("github-actions"), "status:<login>" for a commit status, or "". workflow:
    the path of the workflow file it came from (".github/workflows/ci.yml"), or "". ref: the forge's own id of it.
    """

    name: str
    state: CheckState
    summary: str = ""
    source: str = ""
    workflow: str = ""
    url: str = ""
    ref: str = ""


@dataclass(frozen=True, kw_only=True)
class RequiredCheck:
    """A check that the base branch's protection asks for. source None: whoever reports it."""

    name: str
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class PullDraft:
    """A pull request to be opened. One per (repo, head_branch): opening it again returns the one there is.

    labels: of the labels that begin with "ashigaru" it has these and no others; all other labels stay as they are.
    """

    repo: str
    head_branch: str
    base_branch: str
    title: str
    body: str
    draft: bool
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReviewedHead:
    """Proof that a head was judged: the authority to merge it. Made only by `runner.promotion.review`."""

    repo: str
    pull: int
    head_sha: str
    base_sha: str
    tree: str


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The squash commit on the base branch. as_judged: its tree is the tree that was judged; a forge that cannot pin
    the base may let another commit slip in between, and then says so here.
    """

    sha: str
    as_judged: bool = True


@dataclass(frozen=True, kw_only=True)
class MergeRefused:
    """The forge did not merge; reason is one sentence for a person."""

    reason: str
