"""The real records in a database of the ground's own."""

from __future__ import annotations

from sqlalchemy.engine import Engine

from runner.adapters.sql_engine import open_engine
from runner.model import Phase
from runner.records import AttemptRecord, RunRecord
from tests.attack.ground import Ground
from tests.fakes.records_file import laid_down


def database(ground: Ground) -> Engine:
    """An empty database, as the daemon makes it; closed with the ground."""
    engine = open_engine(f"sqlite:///{laid_down(ground.directory() / 'ashigaru.db')}")
    ground.stack.callback(engine.dispose)
    return engine


def run_record(run_id: str = "widgets-1-a", repo: str = "widgets", issue: int = 1) -> RunRecord:
    """A run that has just begun."""
    return RunRecord(
        run_id=run_id,
        repo=repo,
        issue=issue,
        brief="Totals are off by one.",
        model=None,
        phase=Phase.AGENT,
        base_branch="main",
        branch=f"ashigaru/{run_id}",
        created_at=10.0,
        updated_at=10.0,
        start_tier=0,
    )


def attempt_record(run_id: str = "widgets-1-a", placeholder: str = "p") -> AttemptRecord:
    """The run's first attempt."""
    return AttemptRecord(
        run_id=run_id,
        attempt=1,
        round=1,
        tier="small",
        model="sonnet",
        effort="medium",
        from_commit="a" * 40,
        placeholder=placeholder,
        started_at=11.0,
    )
