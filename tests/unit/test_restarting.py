"""Rounds that start again: what an agent finished is judged as it is, and however long the line is nobody is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy.engine import Engine

from runner.adapters import sql_schema
from runner.adapters.sql_records import SqlRecords
from runner.closing import Closing
from runner.facts import Collect, Collected
from runner.facts_json import input_to_json
from runner.keeping import Keeper
from runner.layout import Layout
from runner.model import ENGINE_PROTOCOL, Candidate, Ending, Phase, RoundInput
from runner.reconciling import Reconciler
from runner.records import RunRecord
from runner.restarting import Restarter
from runner.rounds import RoundKey, Rounds, RoundState
from runner.taking_over import TakeOver
from runner.unasked import Unasked
from tests.contract.test_records import a_round, attempt, run
from tests.fakes.clocks import HandClock
from tests.fakes.moments import FakeMoments

LEFT = Candidate(commit="c" * 40, tree="d" * 40)


@dataclass(kw_only=True)
class Line:
    """An engine that knows no round but those of these numbers, and remembers what it was given."""

    known: set[int] = field(default_factory=set)
    fenced: list[str] = field(default_factory=list)
    submitted: list[RoundInput] = field(default_factory=list)

    def fence(self, run_id: str, _number: int) -> None:
        self.fenced.append(run_id)

    def states(self, rounds: Sequence[RoundKey]) -> dict[RoundKey, RoundState]:
        return {one: RoundState.FAILED if one[1] in self.known else RoundState.ABSENT for one in rounds}

    def submit(self, round_input: RoundInput, *, delay_s: float) -> None:
        assert delay_s == 0.0
        self.submitted.append(round_input)


@dataclass(frozen=True, kw_only=True)
class Floor:
    """Sandboxes that are removed at once, and work that can always be kept once no agent is at it."""

    layout: Layout
    removed: list[str] = field(default_factory=list)

    def remove_sandboxes(self, run_id: str) -> None:
        self.removed.append(run_id)

    def clear(self, run_id: str) -> None:
        pass

    def left_by(self, _round: RoundInput, run: RunRecord, _step: Collect) -> Collected:
        assert self.removed == [run.run_id], "an agent still writes what is kept"
        return Collected(candidate=LEFT, files=1, diff="a line of it")


def restarter(engine: Engine, rounds: Line, state_dir: Path) -> Restarter:
    floor = Floor(layout=Layout(state_dir=state_dir))
    return Restarter(
        records=SqlRecords(engine),
        rounds=cast("Rounds", rounds),
        clock=HandClock(),
        closing=cast("Closing", floor),
        keeper=cast("Keeper", floor),
    )


def last_of(records: SqlRecords) -> Callable[[RunRecord], RoundInput]:
    return lambda run: records.round_input(run.run_id, run.round) or a_round(run.run_id)


def unasked(
    records: SqlRecords,
    reconciler: Reconciler,
    clock: HandClock | None = None,
    book: FakeMoments | None = None,
    every_s: float = 20.0,
) -> Unasked:
    return Unasked(
        records=records,
        reconciler=reconciler,
        book=book or FakeMoments(),
        timeline=(clock or HandClock()).timeline(),
        last_of=last_of(records),
        alone=lambda _: nullcontext(),
        every_s=every_s,
    )


@pytest.mark.parametrize(
    ("ending", "candidate", "start_commit", "diff"),
    [
        (Ending.COMPLETED, LEFT, None, "a line of it"),
        # It had said its result; what was stopped is a process that would not leave.
        (Ending.STOPPED_AFTER_RESULT, LEFT, None, "a line of it"),
        (Ending.WALL_TIMEOUT, None, LEFT.commit, ""),
        (Ending.KILLED, None, LEFT.commit, ""),
    ],
)
def test_what_an_agent_finished_is_judged_as_it_is_and_what_it_was_in_the_middle_of_is_gone_on_from(
    engine: Engine, tmp_path: Path, ending: Ending, candidate: Candidate | None, start_commit: str | None, diff: str
) -> None:
    records, rounds = SqlRecords(engine), Line()
    stranded = records.claim(run(phase=Phase.AGENT, attempt=1))
    last = a_round(stranded.run_id)
    records.save_round(last, 1.0)
    records.begin_attempt(attempt())
    records.end_attempt(stranded.run_id, 1, ending=ending, detail="", retry_at=None, at=2.0)
    again = restarter(engine, rounds, tmp_path).again(stranded, last)
    assert rounds.submitted == [again]
    assert (again.number, again.first_attempt) == (2, 2)
    assert (again.candidate, again.start_commit, again.diff) == (candidate, start_commit, diff)


@pytest.mark.parametrize(("ends", "there"), [("save_round", True), ("change", True), ("submit", False)])
def test_what_an_agent_left_goes_only_once_the_round_that_goes_on_from_it_is_on_record(
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ends: str,
    there: bool,  # noqa: FBT001 - a case
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    records = SqlRecords(engine)
    stranded = records.claim(run(phase=Phase.AGENT, attempt=1))
    last = a_round(stranded.run_id)
    records.save_round(last, 1.0)
    records.begin_attempt(attempt())
    left = Layout(state_dir=tmp_path).run(stranded.run_id)
    left.mkdir(parents=True)
    monkeypatch.setattr(Line if ends == "submit" else SqlRecords, ends, killed)
    with pytest.raises(Killed):
        restarter(engine, Line(), tmp_path).again(stranded, last)
    assert left.exists() == there
    kept = records.round_input(stranded.run_id, 2)
    assert there or (kept is not None and kept.start_commit == LEFT.commit)


def test_a_round_that_starts_again_takes_a_number_that_neither_the_records_nor_the_engine_know(
    engine: Engine, tmp_path: Path
) -> None:
    records, rounds = SqlRecords(engine), Line(known={3})
    stranded = records.claim(run(phase=Phase.AGENT, attempt=1))
    last = a_round(stranded.run_id)
    # They are from different moments: the records know of a second round, and the engine of a third.
    for number in (1, 2):
        records.save_round(a_round(stranded.run_id, number), 1.0)
    assert restarter(engine, rounds, tmp_path).again(stranded, last).number == 4


def test_remarks_that_a_round_was_told_of_are_the_next_ones_when_it_starts_again(
    engine: Engine, tmp_path: Path
) -> None:
    records = SqlRecords(engine)
    stranded = records.claim(run(phase=Phase.AGENT, attempt=1))
    last = replace(a_round(stranded.run_id), remarks=("c1",))
    records.save_round(last, 1.0)
    records.take_up(stranded.run_id, 1, (("c1", 5.0),))
    restarter(engine, Line(), tmp_path).again(stranded, last)
    assert [(one.remark, one.round, one.at) for one in records.taken_up(stranded.run_id)] == [("c1", 2, 5.0)]


def test_of_more_than_a_thousand_queued_runs_the_take_over_leaves_none_out(engine: Engine, tmp_path: Path) -> None:
    queued = [
        run(f"widgets-{n}-aaaaaa", issue=n, created_at=float(n), cursor=1, phase=Phase.QUEUED) for n in range(1, 1101)
    ]
    # The eldest stand at the end of what the records tell, and one among the newest shows the other end.
    fenced = [one.run_id for one in (*queued[:3], queued[-1])]
    inputs = {
        one.run_id: replace(
            a_round(one.run_id), protocol=ENGINE_PROTOCOL - 1 if one.run_id in fenced else ENGINE_PROTOCOL
        )
        for one in queued
    }
    with engine.begin() as db:
        db.execute(sql_schema.runs.insert(), [asdict(one) for one in queued])
        db.execute(
            sql_schema.rounds.insert(),
            [
                {"run_id": name, "number": 1, "input": input_to_json(told), "created_at": 1.0}
                for name, told in inputs.items()
            ],
        )
    rounds = Line()
    take_over = TakeOver(
        records=SqlRecords(engine),
        rounds=cast("Rounds", rounds),
        restarter=restarter(engine, rounds, tmp_path),
        reconciler=cast("Reconciler", None),
        unasked=unasked(SqlRecords(engine), cast("Reconciler", None)),
        last_of=last_of(SqlRecords(engine)),
    )
    take_over.take_over(restored=False)
    assert sorted(rounds.fenced) == sorted(fenced)
    assert {(one.run_id, one.number, one.protocol) for one in rounds.submitted} == {
        (name, 2, ENGINE_PROTOCOL) for name in fenced
    }
