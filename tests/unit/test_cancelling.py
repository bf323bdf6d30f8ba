"""Cancel: what never began ends at once; what a start has queued again is left to its round, which keeps its work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from runner.adapters.sql_records import SqlRecords
from runner.adapters.system_clock import SystemClock
from runner.cancelling import Canceller
from runner.keeping import Keeper
from runner.model import Phase, RoundInput
from runner.rounds import RoundKey, Rounds, RoundState
from tests.contract.test_records import a_round, run


@dataclass(kw_only=True)
class Engine:
    """Rounds that wait in the engine's queue."""

    asked: list[str] = field(default_factory=list)

    def states(self, rounds: Sequence[RoundKey]) -> dict[RoundKey, RoundState]:
        self.asked.extend(run_id for run_id, _ in rounds)
        return dict.fromkeys(rounds, RoundState.QUEUED)

    def save_start(self, _round: RoundInput) -> bool:
        return False


@pytest.mark.parametrize(
    ("phase", "becomes"),
    [
        (Phase.QUEUED, Phase.CANCELLED),
        (Phase.WAITING, Phase.CANCELLED),
        (Phase.AGENT, Phase.AGENT),
        (Phase.GATE, Phase.GATE),
    ],
)
def test_only_what_never_began_ends_without_its_round(records: SqlRecords, phase: Phase, becomes: Phase) -> None:
    engine = Engine()
    canceller = Canceller(
        records=records, rounds=cast("Rounds", engine), clock=SystemClock(), keeper=cast("Keeper", engine)
    )
    first = records.claim(run(phase=phase))
    records.save_round(a_round(first.run_id), 1.0)
    canceller.cancel(first)
    told = records.run(first.run_id)
    assert told is not None
    assert (told.phase, told.cancel_requested) == (becomes, True)
