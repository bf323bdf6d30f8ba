"""What happened, and what to do next, in one round. Both are checkpointed (`runner.facts_json`).

A *step* is carried out by `runner.engine`, which answers with a *fact*; `runner.ladder.advance` folds the fact
into the round's state and names the next step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from gates.verdict import Verdict
from runner.model import Candidate, Ending

# --- facts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The clean clone is there. base_sha: the commit judged and built upon. rejudged: set for a re-judgement only.

    unjudged: no gate judges this repository here; its CI does.
    """

    base_sha: str
    rejudged: Candidate | None = None
    unjudged: bool = False
    kind: Literal["prepared"] = "prepared"


@dataclass(frozen=True, kw_only=True)
class Unworkable:
    """The run cannot go on whatever is tried (bad gate file, branch gone, merge conflict); reason is for a person."""

    reason: str
    kind: Literal["unworkable"] = "unworkable"


@dataclass(frozen=True, kw_only=True)
class AgentEnded:
    """One agent execution ended. detail: one line. retry_at: UTC seconds, where the upstream named a time."""

    ending: Ending
    detail: str = ""
    retry_at: float | None = None
    kind: Literal["agent_ended"] = "agent_ended"


@dataclass(frozen=True, kw_only=True)
class BaseJudged:
    """The gates' word on the base commit."""

    verdict: Annotated[Verdict, Field(discriminator="kind")]
    kind: Literal["base_judged"] = "base_judged"


@dataclass(frozen=True, kw_only=True)
class Collected:
    """The agent's changes passed the policy and are a commit of ours. diff: bounded text for the next tier."""

    candidate: Candidate
    files: int
    diff: str
    kind: Literal["collected"] = "collected"


@dataclass(frozen=True, kw_only=True)
class NothingChanged:
    """The tree is what it was at the base commit: there is nothing to judge."""

    kind: Literal["nothing_changed"] = "nothing_changed"


@dataclass(frozen=True, kw_only=True)
class ChangesRefused:
    """The policy refused the changes; refusals are sentences, bounded."""

    refusals: tuple[str, ...]
    kind: Literal["changes_refused"] = "changes_refused"


@dataclass(frozen=True, kw_only=True)
class LeakFound:
    """A secret of ours stood where none may; detail does not repeat it."""

    detail: str
    kind: Literal["leak_found"] = "leak_found"


@dataclass(frozen=True, kw_only=True)
class HeadJudged:
    """The gates' word on the candidate's tree."""

    candidate: Candidate
    verdict: Annotated[Verdict, Field(discriminator="kind")]
    kind: Literal["head_judged"] = "head_judged"


@dataclass(frozen=True, kw_only=True)
class Published:
    """The candidate is pushed and its pull request is there."""

    pull: int
    url: str
    head_sha: str
    kind: Literal["published"] = "published"


@dataclass(frozen=True, kw_only=True)
class WorkSaved:
    """What there was is on a branch; commit is None where there was nothing to save. branch None: the run's own."""

    commit: str | None
    branch: str | None = None
    kind: Literal["work_saved"] = "work_saved"


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """The world got in the way of a step (forge down, engine down, image missing, disk full). Nobody's fault."""

    detail: str
    retry_after_s: float
    kind: Literal["trouble"] = "trouble"


@dataclass(frozen=True, kw_only=True)
class CancelSeen:
    """The operator's cancel flag was seen, and whatever ran for this round has been stopped."""

    kind: Literal["cancel_seen"] = "cancel_seen"


@dataclass(frozen=True, kw_only=True)
class RoundClosed:
    """The outcome is on record and the round's sandboxes are gone."""

    kind: Literal["round_closed"] = "round_closed"


Fact: TypeAlias = (
    Prepared
    | Unworkable
    | AgentEnded
    | BaseJudged
    | Collected
    | NothingChanged
    | ChangesRefused
    | LeakFound
    | HeadJudged
    | Published
    | WorkSaved
    | Trouble
    | CancelSeen
    | RoundClosed
)

# --- steps ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """Fetch the mirror, make the clean clone, find the base commit and its gates."""

    kind: Literal["prepare"] = "prepare"


@dataclass(frozen=True, kw_only=True)
class RunAgent:
    """Run the agent at ladder[tier] as attempt number `attempt`, on the files of `from_commit`."""

    attempt: int
    tier: int
    from_commit: str
    feedback: str | None
    kind: Literal["run_agent"] = "run_agent"


@dataclass(frozen=True, kw_only=True)
class JudgeBase:
    """Ask the gates about the base commit (already under way beside the agent, usually)."""

    kind: Literal["judge_base"] = "judge_base"


@dataclass(frozen=True, kw_only=True)
class Collect:
    """Take the changes of `attempt`, check them against the policy, commit them in the clean clone."""

    attempt: int
    tier: int
    kind: Literal["collect"] = "collect"


@dataclass(frozen=True, kw_only=True)
class JudgeHead:
    """Ask the gates about the candidate; `take` counts repetitions on the same tree from 1.

    base_sha: the commit whose gates judge it, where that is not the run's own base (a re-judgement).
    """

    candidate: Candidate
    attempt: int
    take: int
    base_sha: str | None = None
    kind: Literal["judge_head"] = "judge_head"


@dataclass(frozen=True, kw_only=True)
class Publish:
    """Push the candidate and open (or find) the pull request. Only ever with a verdict that allows it.

    base_sha: the commit that it is built upon, where that is not the run's own base.
    """

    candidate: Candidate
    verdict: Annotated[Verdict, Field(discriminator="kind")]
    tier: int
    base_sha: str | None = None
    kind: Literal["publish"] = "publish"


@dataclass(frozen=True, kw_only=True)
class SaveWork:
    """Push what there is to the run's branch, without a pull request; `candidate` None: collect what there is first."""

    candidate: Candidate | None
    attempt: int | None
    kind: Literal["save_work"] = "save_work"


class Outcome(StrEnum):
    """How a round ended."""

    PUBLISHED = "published"
    REJUDGED = "rejudged"
    ESCALATED = "escalated"
    BLOCKED = "blocked"
    WAITING = "waiting"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Where a round that waits goes on: the start of the next round.

    tier, attempt: what to run next; start_commit and feedback as for RunAgent. candidate: what that attempt left, to
    be judged and published before any agent runs; diff: the candidate's.
    """

    tier: int
    attempt: int
    start_commit: str | None
    feedback: str | None
    candidate: Candidate | None = None
    diff: str = ""


@dataclass(frozen=True, kw_only=True)
class Close:
    """Record the outcome, remove the round's sandboxes, release what is to be released. Always the last step.

    reason: one sentence for a person. retry_at/retry_after_s and resume: for WAITING only.
    """

    outcome: Outcome
    reason: str
    tier: int
    retry_at: float | None = None
    retry_after_s: float | None = None
    resume: Resume | None = None
    kind: Literal["close"] = "close"


Step: TypeAlias = Prepare | RunAgent | JudgeBase | Collect | JudgeHead | Publish | SaveWork | Close
