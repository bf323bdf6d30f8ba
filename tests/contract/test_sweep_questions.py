"""What the sweep of every minute asks does not grow with the runs at work: nobody's call waits for it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_slots import SqlSlots
from runner.closing import Closing
from runner.layout import Layout
from runner.model import Bounds, Phase
from runner.pool import Pool
from runner.precedence import Precedence
from runner.recovering import Recovery
from runner.rounds import RoundKey, RoundState
from runner.sandbox import LABEL_HOST, LABEL_RUN
from runner.sandboxes import RunState, SandboxListing
from tests.contract.test_records import TIER, a_round, run
from tests.fakes.clocks import HandClock
from tests.story.house import FakeModel

_HOST = "here"


@dataclass
class Carrying:
    """An engine that carries every round, and counts how often it is asked."""

    asked: list[int] = field(default_factory=list)

    def states(self, rounds: Sequence[RoundKey]) -> dict[RoundKey, RoundState]:
        self.asked.append(len(rounds))
        return dict.fromkeys(rounds, RoundState.RUNNING)


@dataclass
class Listed:
    """A container engine with a sandbox of each run."""

    names: list[str] = field(default_factory=list)

    def listing(self, _run_id: str | None = None) -> tuple[SandboxListing, ...]:
        return tuple(
            SandboxListing(name=name, labels=((LABEL_HOST, _HOST), (LABEL_RUN, name)), state=RunState.RUNNING)
            for name in self.names
        )

    def remove(self, name: str) -> None:
        raise AssertionError(f"the sandbox of {name}, which is at work, was removed")


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    told: list[str] = []

    def note(_db: Any, _cursor: Any, statement: str, *_: Any) -> None:
        told.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield told
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def test_a_sweep_asks_as_much_about_forty_runs_at_work_as_about_four(engine: Engine, tmp_path: Path) -> None:
    records, book, clock, carrying, listed = (
        SqlRecords(engine),
        SqlSlots(engine, host=_HOST),
        HandClock(),
        Carrying(),
        Listed(),
    )
    pool = Pool(
        engine=carrying,  # type: ignore[arg-type]
        book=book,
        records=records,
        clock=clock,
        slots=100,
        precedence=Precedence(clock),
    )
    closing = Closing(
        containers=listed,  # type: ignore[arg-type]
        records=records,
        clock=clock,
        layout=Layout(state_dir=tmp_path),
        model=FakeModel(),
        resubmit=lambda _round, _delay: None,
        host=_HOST,
    )
    recovery = Recovery(
        records=records,
        pool=pool,
        closing=closing,
        clock=clock,
        ladder=(TIER,),
        bounds=Bounds(),
        held=lambda _run: False,
    )

    def asked(runs: int) -> tuple[int, int]:
        for number in range(len(listed.names), runs):
            name = f"r{number}"
            records.claim(run(name, issue=number, phase=Phase.AGENT))
            records.save_round(a_round(name), 1.0)
            assert book.hold(name, 1, number + 1, 1.0)
            listed.names.append(name)
        carrying.asked.clear()
        with statements(engine) as told:
            recovery.look()
        assert set(carrying.asked) == {runs}
        return len(told), len(carrying.asked)

    few = asked(4)
    assert asked(40) == few
