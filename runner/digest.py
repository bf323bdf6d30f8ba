"""What `status` answers: a run told from its records, for a person with a phone and for a model. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from gates.text import clean, usd, utc
from runner.ci import AWAITED, CiState
from runner.estimate import Place, words
from runner.fair_queue import Priority
from runner.model import WORKING_PHASES, Phase
from runner.phase_words import DOING, NEXT
from runner.spending import Today, day_words

MAX_HEADLINE_CHARS: Final = 600
MAX_ACTIONS: Final = 10
_MAX_LISTED: Final = 30
_MAX_LINE_CHARS: Final = 200
_MAX_NOTICES: Final = 10


@dataclass(frozen=True, kw_only=True)
class TierTried:
    """One agent attempt. ending and verdict are None while they are not known; micro_usd is what it cost so far."""

    tier: str
    attempt: int
    model: str
    ending: str | None
    verdict: str | None
    micro_usd: int


@dataclass(frozen=True, kw_only=True)
class VerdictSeen:
    """The gates' word. what: "base", "head" or "merged". outcome: passed, failed, needs_human or inconclusive."""

    what: str
    tier: str | None
    outcome: str
    summary: str


@dataclass(frozen=True, kw_only=True)
class CheckSeen:
    """One check on the pull request's head, as last seen on the forge."""

    name: str
    state: str


@dataclass(frozen=True, kw_only=True)
class PullSeen:
    """The run's pull request."""

    number: int
    url: str
    state: str


@dataclass(frozen=True, kw_only=True)
class NoticeSeen:
    """Something that happened without anybody having asked. at: UTC seconds."""

    kind: str
    text: str
    at: float


@dataclass(frozen=True, kw_only=True)
class RunView:
    """What the records hold of a run, as plain values. Lists are oldest first; times are UTC seconds.

    budget_micro_usd: what the run may spend. retry_at: when the next try is due, while waiting. slot: the one it has.
    """

    run_id: str
    repo: str
    issue: int
    phase: Phase
    branch: str
    cursor: int
    tier: str | None = None
    attempt: int = 0
    reason: str | None = None
    tiers_tried: tuple[TierTried, ...] = ()
    recent_actions: tuple[str, ...] = ()
    verdicts: tuple[VerdictSeen, ...] = ()
    checks: tuple[CheckSeen, ...] = ()
    checks_as_of: float | None = None
    ci: str | None = None
    ci_rounds: int = 0
    review_rounds: int = 0
    pipeline: str | None = None
    merged_sha: str | None = None
    notices: tuple[NoticeSeen, ...] = ()
    pull: PullSeen | None = None
    head_sha: str | None = None
    last_agent_event_at: float | None = None
    last_harness_event_at: float | None = None
    spent_micro_usd: int = 0
    today: Today | None = None
    budget_micro_usd: int | None = None
    retry_at: float | None = None
    cancel_requested: bool = False
    priority: Priority = Priority.NORMAL
    slot: str | None = None
    place: Place | None = None


class Digest(BaseModel):
    """Where a run is, and what happens next."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    repo: str
    issue: int
    phase: str = Field(
        description="queued, preparing, agent, gate, publishing, waiting, ci, awaiting_review, or how it ended."
    )
    slot: str | None = Field(description="The slot it is at work in, ashigaru-1 and so on.")
    priority: str = Field(description="low, normal or high.")
    place: Place | None = Field(description="While it is queued: its place from 1, and in how many seconds it begins.")
    headline: str = Field(max_length=MAX_HEADLINE_CHARS, description="All of it in a few sentences.")
    next: str = Field(description="What happens next, and who does it.")
    reason: str | None = Field(description="Why it waits or ended, if it does.")
    tier: str | None
    tiers_tried: list[TierTried]
    recent_actions: list[str] = Field(max_length=MAX_ACTIONS, description="The agent's last actions, oldest first.")
    verdicts: list[VerdictSeen]
    checks: list[CheckSeen]
    checks_as_of: float | None = Field(description="UTC seconds at which the checks were last asked for.")
    ci: str | None = Field(
        description="The head's remote checks as a whole: none_yet, running, green, red, stalled, missing or none."
    )
    ci_rounds: int = Field(description="Rounds that red CI has started.")
    review_rounds: int = Field(description="Rounds that reviewers' remarks have started.")
    pipeline: str | None = Field(description="The base branch's checks on the merged commit, in the same words as ci.")
    merged_sha: str | None
    notices: list[NoticeSeen] = Field(description="What happened without anybody having asked, oldest first.")
    pull: PullSeen | None
    head_sha: str | None = Field(description="The commit that was judged and pushed: the one promote merges.")
    last_agent_event_at: float | None
    last_harness_event_at: float | None
    spent_micro_usd: int
    spent_usd: str
    day_micro_usd: int = Field(description="What all runs together have cost since midnight UTC.")
    repo_day_micro_usd: int = Field(description="What of it this repository's runs have cost.")
    halted: str | None = Field(description="Why the operator has halted all spending, if so.")
    standstill: str | None = Field(description="Why the daemon can write nothing down just now, if it cannot.")
    cursor: int = Field(description="Pass it as `since` to learn what is new.")


def describe(view: RunView, *, standstill: str | None = None) -> Digest:
    """The run told from what is given alone. standstill: why the daemon can write nothing down just now, if so."""
    return Digest(
        run_id=view.run_id,
        repo=view.repo,
        issue=view.issue,
        phase=view.phase.value,
        slot=view.slot,
        priority=view.priority.value,
        place=view.place,
        headline=_headline(view, standstill),
        next=_next(view) if standstill is None else "Nothing is lost; it goes on by itself.",
        reason=None if view.reason is None else clean(view.reason, 500),
        tier=view.tier,
        tiers_tried=list(view.tiers_tried[-_MAX_LISTED:]),
        recent_actions=[clean(action, _MAX_LINE_CHARS) for action in view.recent_actions[-MAX_ACTIONS:]],
        verdicts=[_shown(verdict) for verdict in view.verdicts[-_MAX_LISTED:]],
        checks=list(view.checks[:_MAX_LISTED]),
        checks_as_of=view.checks_as_of,
        ci=view.ci,
        ci_rounds=view.ci_rounds,
        review_rounds=view.review_rounds,
        pipeline=view.pipeline,
        merged_sha=view.merged_sha,
        notices=[
            NoticeSeen(kind=one.kind, text=clean(one.text, _MAX_LINE_CHARS), at=one.at)
            for one in view.notices[-_MAX_NOTICES:]
        ],
        pull=view.pull,
        head_sha=view.head_sha,
        last_agent_event_at=view.last_agent_event_at,
        last_harness_event_at=view.last_harness_event_at,
        spent_micro_usd=view.spent_micro_usd,
        spent_usd=usd(view.spent_micro_usd),
        day_micro_usd=0 if view.today is None else view.today.spent,
        repo_day_micro_usd=0 if view.today is None else view.today.repo_spent,
        halted=_halted(view),
        standstill=None if standstill is None else clean(standstill, 300),
        cursor=view.cursor,
    )


def _shown(verdict: VerdictSeen) -> VerdictSeen:
    return VerdictSeen(
        what=verdict.what,
        tier=verdict.tier,
        outcome=verdict.outcome,
        summary=clean(verdict.summary, _MAX_LINE_CHARS),
    )


def _headline(view: RunView, standstill: str | None) -> str:
    doing = DOING.get(view.phase, f"is worked on by tier {view.tier or '?'}, attempt {view.attempt}")
    parts = [f"{view.repo} #{view.issue} {doing}{'' if view.slot is None else f' in {view.slot}'}."]
    if standstill is not None:
        parts.append(clean(standstill, 200))
    elif view.phase is Phase.QUEUED and view.place is not None:
        parts.append(words(view.place))
    if view.pull is not None:
        parts.append(f"Pull request #{view.pull.number}: {view.pull.url}")
    if view.reason:
        parts.append(clean(view.reason, 240))
    elif view.phase is Phase.AGENT and view.recent_actions:
        parts.append(f"Last: {clean(view.recent_actions[-1], 80)}.")
    stopped = [one.text for one in view.notices if one.kind == "watchdog" and view.phase in WORKING_PHASES]
    parts.extend(clean(text, 160) for text in stopped[-1:])
    if red := [verdict for verdict in view.verdicts if verdict.what == "head" and verdict.outcome == "failed"]:
        parts.append(f"The gates refused {red[-1].tier or 'a candidate'}: {clean(red[-1].summary, 100)}.")
    of = "" if view.budget_micro_usd is None else f" of {usd(view.budget_micro_usd)}"
    parts.append(f"{usd(view.spent_micro_usd)}{of} spent.")
    if view.today is not None:
        parts.append(day_words(view.today))
    return clean(" ".join(parts), MAX_HEADLINE_CHARS)


def _halted(view: RunView) -> str | None:
    if view.today is None or view.today.halt is None:
        return None
    return clean(view.today.halt.reason, 300)


def _next(view: RunView) -> str:
    if view.cancel_requested and view.phase in WORKING_PHASES:
        return "It is being cancelled; its work is kept on its branch."
    match view.phase:
        case Phase.WAITING if _halted(view) is not None:
            return "It goes on when the operator has said `mcp-ashigaru resume`; cancel stops it."
        case Phase.WAITING:
            when = "" if view.retry_at is None else f" at {utc(view.retry_at)}"
            return f"It tries again by itself{when}; cancel stops it."
        case Phase.AWAITING_REVIEW:
            return _next_in_review(view)
        case Phase.CI:
            return "When the checks are green it awaits your review; a red one starts a round that repairs it."
        case Phase.MERGED:
            return _next_when_merged(view)
        case Phase.ESCALATED:
            return f"A person has to look at branch {view.branch}; request_changes starts a new round."
        case _:
            return NEXT[view.phase]


def _next_in_review(view: RunView) -> str:
    if view.ci in {CiState.RED, CiState.STALLED, CiState.MISSING}:
        red = next((check.name for check in view.checks if check.state == "failed"), None)
        which = "CI has no green verdict" if red is None else f"Check {clean(red, 60)} is red"
        return f"{which}: look at it on the forge, or ask for changes with request_changes."
    return "Review the pull request, then promote merges exactly that head, or request_changes sends it back."


def _next_when_merged(view: RunView) -> str:
    if view.pipeline in AWAITED:
        return "The base branch's own checks of that commit are followed."
    if view.pipeline in {None, CiState.NONE}:
        return "Nothing; the work is done."
    return "Look at the base branch's checks: the work is merged, and they are not green with it."
