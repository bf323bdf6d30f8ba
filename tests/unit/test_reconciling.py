"""What the forge knows of a run that its record does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.model import ENGINE_PROTOCOL, Bounds, Candidate, Cause, Phase, Pull, PullState, RoundInput, Tier
from runner.reconciling import Adopt, AsRecorded, Found, Landed, Shut, TakeUp, compare
from runner.records import RunRecord
from runner.restarting import stranded
from runner.round_after import first_round, round_after, round_again
from runner.rounds import RoundState
from tests.fakes.pulls import a_pull

TIERS = tuple(
    Tier(name=name, model="m", effort="low", max_turns=1, max_micro_usd=1, wall_s=1, idle_s=1) for name in ("a", "b")
)
RUN = RunRecord(
    run_id="widgets-1-a",
    repo="widgets",
    issue=1,
    brief="b",
    model=None,
    phase=Phase.AGENT,
    base_branch="main",
    branch="ashigaru/1-a",
    created_at=1.0,
    updated_at=1.0,
    start_tier=0,
    tier="b",
    attempt=3,
)
PULL = a_pull(number=7, body="")
KNOWN = replace(RUN, pull=7, head_sha="h" * 40)


@pytest.mark.parametrize(
    ("run", "pull", "tip", "found"),
    [
        (RUN, None, None, AsRecorded()),
        (RUN, None, "c" * 40, TakeUp(commit="c" * 40)),
        (replace(RUN, head_sha="c" * 40), None, "c" * 40, AsRecorded()),
        (RUN, PULL, None, Adopt(pull=PULL)),
        (KNOWN, PULL, None, AsRecorded()),
        (replace(KNOWN, head_sha="g" * 40), PULL, None, Adopt(pull=PULL)),
        (RUN, replace(PULL, state=PullState.CLOSED), None, Shut(pull=replace(PULL, state=PullState.CLOSED))),
        (
            RUN,
            replace(PULL, state=PullState.MERGED, merged_sha="m"),
            None,
            Landed(pull=replace(PULL, state=PullState.MERGED, merged_sha="m"), sha="m"),
        ),
    ],
)
def test_each_thing_that_the_forge_may_show_is_told_apart(
    run: RunRecord, pull: Pull | None, tip: str | None, found: Found
) -> None:
    assert compare(run, pull, tip) == found


@pytest.mark.parametrize("state", list(RoundState))
def test_a_round_is_stranded_under_another_protocol_or_in_an_engine_of_another_moment(state: RoundState) -> None:
    ours = first_round(RUN, TIERS, Bounds())
    other = replace(ours, protocol=ENGINE_PROTOCOL + 1)
    assert stranded(state, other, began=False)
    assert stranded(state, ours, began=False) == (state is RoundState.DONE)
    assert stranded(state, ours, began=True) == (state in {RoundState.DONE, RoundState.ABSENT})


def test_whatever_follows_a_round_of_another_protocol_is_of_ours() -> None:
    other: RoundInput = replace(first_round(RUN, TIERS, Bounds()), protocol=ENGINE_PROTOCOL - 1)
    after = round_after(other, RUN, cause=Cause.CHANGES, ladder=TIERS, bounds=Bounds(), feedback=None, start_tier=0)
    left = Candidate(commit="c", tree="t")
    again = round_again(other, RUN, number=5, start_commit="s", candidate=left, diff="d")
    assert after.protocol == again.protocol == ENGINE_PROTOCOL
    assert (again.number, again.first_attempt, again.start_tier) == (5, 4, 1)
    assert (again.start_commit, again.candidate, again.diff) == ("s", left, "d")
    assert (again.ladder, again.bounds) == (other.ladder, other.bounds)
