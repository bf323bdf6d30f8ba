"""A run as `status` tells it, read from the records alone: no forge, no podman."""

from __future__ import annotations

from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Unjudged, Verdict
from runner.digest import CheckSeen, NoticeSeen, PullSeen, RunView, TierTried, VerdictSeen
from runner.model import DONE_PHASES
from runner.pool import PoolSeen
from runner.records import Records, RunRecord
from runner.spending import Today
from runner.transcript import EventKind

_ACTIONS = 10
_SHOWN = {EventKind.TOOL.value, EventKind.TEXT.value, EventKind.RETRY.value, EventKind.DENIED.value}


def summary_of(verdict: Verdict) -> str:
    """One line of what the gates said."""
    match verdict:
        case (
            Passed(summary=summary) | Failed(summary=summary) | NeedsHuman(summary=summary) | Unjudged(summary=summary)
        ):
            return summary
        case Inconclusive(reason=reason):
            return reason


def view_of(
    records: Records,
    run: RunRecord,
    *,
    budget_micro_usd: int | None,
    today: Today | None = None,
    pool: PoolSeen | None = None,
) -> RunView:
    """Everything the digest is made of."""
    attempts = records.attempts(run.run_id)
    judgements = records.judgements(run.run_id)
    tiers = {attempt.attempt: attempt.tier for attempt in attempts}
    heads = {judged.attempt: judged.verdict.kind for judged in judgements if judged.what == "head"}
    actions = [event.summary for event in records.events(run.run_id, kinds=_SHOWN, limit=_ACTIONS)]
    pull = None
    if run.pull is not None and run.pull_url is not None:
        pull = PullSeen(number=run.pull, url=run.pull_url, state="merged" if run.phase in DONE_PHASES else "open")
    return RunView(
        run_id=run.run_id,
        repo=run.repo,
        issue=run.issue,
        phase=run.phase,
        branch=run.branch,
        cursor=run.cursor,
        tier=run.tier,
        attempt=run.attempt,
        reason=run.reason,
        tiers_tried=tuple(
            TierTried(
                tier=attempt.tier,
                attempt=attempt.attempt,
                model=attempt.model if attempt.transcript is None else attempt.transcript.model or attempt.model,
                ending=attempt.ending,
                verdict=heads.get(attempt.attempt),
                micro_usd=attempt.micro_usd,
            )
            for attempt in attempts
        ),
        recent_actions=tuple(actions),
        verdicts=tuple(
            VerdictSeen(
                what=judged.what,
                tier=tiers.get(judged.attempt),
                outcome=judged.verdict.kind,
                summary=summary_of(judged.verdict),
            )
            for judged in judgements
        ),
        checks=tuple(CheckSeen(name=check.name, state=check.state.value) for check in records.checks(run.run_id)),
        checks_as_of=run.checks_as_of,
        ci=run.ci,
        ci_rounds=run.ci_rounds,
        review_rounds=run.review_rounds,
        pipeline=run.pipeline,
        merged_sha=run.merged_sha,
        notices=tuple(
            NoticeSeen(kind=one.kind.value, text=one.text, at=one.at) for one in records.notices(run.run_id, limit=10)
        ),
        pull=pull,
        head_sha=run.head_sha,
        last_agent_event_at=run.agent_at,
        last_harness_event_at=run.harness_at,
        today=today,
        spent_micro_usd=sum(attempt.micro_usd for attempt in attempts),
        budget_micro_usd=budget_micro_usd,
        retry_at=run.retry_at,
        cancel_requested=run.cancel_requested,
        priority=run.priority,
        slot=None if pool is None else pool.slot,
        place=None if pool is None else pool.place,
    )
