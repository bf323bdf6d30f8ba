"""The round that follows another of the same run: what it takes over, and what it does not. Pure."""

from __future__ import annotations

from dataclasses import replace

from runner.model import ENGINE_PROTOCOL, Bounds, Candidate, Cause, RoundInput, Tier
from runner.records import RunRecord


def first_round(run: RunRecord, ladder: tuple[Tier, ...], bounds: Bounds) -> RoundInput:
    """What a run begins with."""
    return RoundInput(
        run_id=run.run_id,
        number=1,
        repo=run.repo,
        issue=run.issue,
        brief=run.brief,
        base_branch=run.base_branch,
        branch=run.branch,
        ladder=ladder,
        bounds=bounds,
        start_tier=run.start_tier,
    )


def round_after(
    last: RoundInput,
    run: RunRecord,
    *,
    cause: Cause,
    ladder: tuple[Tier, ...],
    bounds: Bounds,
    feedback: str | None,
    start_tier: int,
    remarks: tuple[str, ...] = (),
) -> RoundInput:
    """A round from the run's head on, with attempts numbered on; `ladder` and `bounds` are today's.

    A re-judgement keeps what the last round was frozen with, for no tier is climbed in it.
    """
    rejudge = cause is Cause.BASE_MOVED
    return replace(
        last,
        number=run.round + 1,
        ladder=last.ladder if rejudge else ladder,
        bounds=last.bounds if rejudge else bounds,
        start_tier=start_tier,
        first_attempt=run.attempt + 1,
        start_commit=run.head_sha,
        feedback=feedback,
        pull=run.pull,
        rejudge=rejudge,
        cause=cause,
        candidate=None,
        diff="",
        remarks=remarks,
        protocol=ENGINE_PROTOCOL,
    )


def round_again(
    last: RoundInput, run: RunRecord, *, number: int, start_commit: str | None, candidate: Candidate | None, diff: str
) -> RoundInput:
    """The round that takes the place of one that cannot go on: frozen with the same, at the tier the run reached.

    start_commit, candidate, diff: the work that is kept, as for `RoundInput`.
    """
    return replace(
        last,
        number=number,
        start_tier=tier_of(run, last.ladder),
        first_attempt=max(last.first_attempt, run.attempt + 1),
        start_commit=start_commit,
        candidate=candidate,
        diff=diff,
        protocol=ENGINE_PROTOCOL,
    )


def tier_of(run: RunRecord, ladder: tuple[Tier, ...]) -> int:
    """The rung the run reached on this ladder; the first where it has no such rung any more."""
    return next((index for index, tier in enumerate(ladder) if tier.name == run.tier), 0)


def tier_above(run: RunRecord, ladder: tuple[Tier, ...]) -> int:
    """The rung above the one the run reached; the last one, where that is it."""
    return min(tier_of(run, ladder) + 1, len(ladder) - 1)
