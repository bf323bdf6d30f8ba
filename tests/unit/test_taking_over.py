"""After a restore the forge is asked about each live run; where it stops answering, the next start does all of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy.engine import Engine

from runner.adapters.sql_records import SqlRecords
from runner.allowed import Policy
from runner.errors import ForgeDown, UnknownRepo
from runner.model import Phase, Pull, PullState
from runner.ports import Forge
from runner.reconciling import Reconciler
from runner.records import RunRecord
from runner.rounds import Rounds, RoundState
from runner.taking_over import TakeOver
from tests.contract.test_records import a_round, run
from tests.fakes.clocks import HandClock
from tests.unit.test_reconciling import PULL
from tests.unit.test_restarting import Line, restarter


@dataclass(kw_only=True)
class Asked:
    """A forge with one merged pull request, which says no to the questions from the `ends`-th on. gone: has nothing."""

    ends: int = 99
    gone: bool = False
    questions: int = 0
    merges: list[str] = field(default_factory=list)

    def pull_of(self, _repo: str, branch: str) -> Pull | None:
        self.questions += 1
        if self.questions > self.ends:
            raise ForgeDown("The forge is away; it is tried again later.")
        if self.gone:
            raise UnknownRepo("There is no such repository; correct its name.")
        return replace(PULL, state=PullState.MERGED, merged_sha="m" * 40) if branch == "ashigaru/2" else None

    def tip(self, _repo: str, _branch: str) -> str | None:
        return None

    def merged(self, told: RunRecord, sha: str) -> None:
        self.merges.append(f"{told.run_id} {sha[0]} {told.pull}")


def take_over(engine: Engine, rounds: Line, forge: Asked, state_dir: Path) -> TakeOver:
    records, again = SqlRecords(engine), restarter(engine, rounds, state_dir)

    def merged(told: RunRecord, sha: str) -> None:
        forge.merged(told, sha)
        records.change(told.run_id, {"phase": Phase.MERGED}, 1.0)

    reconciler = Reconciler(
        records=records, forge=cast("Forge", forge), clock=HandClock(), restarter=again, merged=merged
    )
    return TakeOver(
        records=records,
        rounds=cast("Rounds", rounds),
        restarter=again,
        reconciler=reconciler,
        policy=cast("Policy", None),
    )


def three_runs(engine: Engine) -> None:
    """One at work, one whose pull request was merged since, and one under review."""
    records = SqlRecords(engine)
    for number, phase in ((1, Phase.AGENT), (2, Phase.GATE), (3, Phase.AWAITING_REVIEW)):
        records.claim(run(f"r-{number}", issue=number, phase=phase, branch=f"ashigaru/{number}"))
        records.save_round(a_round(f"r-{number}"), 1.0)


@pytest.mark.parametrize("ends", range(3))
def test_wherever_the_forge_stops_answering_the_next_start_asks_about_the_rest_and_merges_nothing_twice(
    engine: Engine, tmp_path: Path, ends: int
) -> None:
    three_runs(engine)
    rounds, forge = Line(), Asked(ends=ends)
    with pytest.raises(ForgeDown, match=r"since the backup \(The forge is away\); nothing is done before, so start"):
        take_over(engine, rounds, forge, tmp_path).take_over(restored=True)
    forge.ends = 99
    take_over(engine, rounds, forge, tmp_path).take_over(restored=True)
    assert forge.merges == ["r-2 m 7"]
    # The line may hold a number more of the run that was asked about twice; what counts is the last, and of no other.
    assert {one.run_id for one in rounds.submitted} == {"r-1"}
    last = SqlRecords(engine).run("r-1")
    assert last is not None
    assert last.round == rounds.submitted[-1].number
    assert "r-2" in rounds.fenced
    assert [one.text for one in SqlRecords(engine).notices("r-2")] == [
        "Pull request #7 was merged as mmmmmmmmmmmm, which was not on record."
    ]


def test_a_repository_that_is_gone_keeps_no_start_and_a_run_under_review_as_it_is(
    engine: Engine, tmp_path: Path
) -> None:
    three_runs(engine)
    rounds, forge = Line(), Asked(gone=True)
    take_over(engine, rounds, forge, tmp_path).take_over(restored=True)
    assert forge.questions == 3
    assert {one.run_id for one in rounds.submitted} == {"r-1", "r-2"}
    reviewed = SqlRecords(engine).run("r-3")
    assert reviewed is not None
    assert (reviewed.phase, reviewed.round) == (Phase.AWAITING_REVIEW, 1)


def test_a_round_that_ends_while_a_start_looks_is_not_started_again(engine: Engine, tmp_path: Path) -> None:
    three_runs(engine)

    class Ending(Line):
        def state(self, run_id: str, number: int) -> RoundState:
            # Whoever ends a round writes the record first.
            SqlRecords(engine).change(run_id, {"phase": Phase.AWAITING_REVIEW}, 2.0)
            return RoundState.DONE if number == 1 else RoundState.ABSENT

    rounds = Ending()
    take_over(engine, rounds, Asked(), tmp_path).take_over(restored=False)
    assert rounds.submitted == []
