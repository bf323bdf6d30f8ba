"""What an agent says is held against secrets together with what it said before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.adapters.secret_scanner import DetectSecrets
from runner.adapters.sql_engine import open_engine
from runner.adapters.sql_records import SqlRecords
from runner.adapters.system_clock import SystemClock
from runner.agent_reading import EventReader
from runner.errors import Leaked
from runner.guard import Guard
from runner.layout import Layout
from runner.model import Phase
from runner.precedence import Precedence
from runner.records import AttemptRecord, RunRecord
from runner.transcript import Transcript
from tests.fakes.precedences import Putting
from tests.fakes.records_file import laid_down

RUN = "widgets-1-a"
CANARY = "canary-0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlRecords]:
    engine = open_engine(f"sqlite:///{laid_down(tmp_path / 'ashigaru.db')}")
    made = SqlRecords(engine)
    made.claim(
        RunRecord(
            run_id=RUN,
            repo="widgets",
            issue=1,
            brief="b",
            model=None,
            phase=Phase.AGENT,
            base_branch="main",
            branch="b",
            created_at=1.0,
            updated_at=1.0,
            start_tier=0,
        )
    )
    for attempt in (1, 2):
        made.begin_attempt(
            AttemptRecord(
                run_id=RUN,
                attempt=attempt,
                round=1,
                tier="small",
                model="m",
                effort="low",
                from_commit="a" * 40,
                placeholder=f"p{attempt}",
                started_at=1.0,
            )
        )
    yield made
    engine.dispose()


def told(
    records: SqlRecords,
    home: Path,
    pieces: list[str],
    *,
    attempt: int = 1,
    restarted: bool = False,
    precedence: Precedence | None = None,
) -> int:
    """How many of the pieces were kept, when each is read before the next is said.

    restarted: by a daemon that has just come up.
    """
    guard = Guard(
        records=records, clock=SystemClock(), scanner=DetectSecrets(), marked=(), canary=lambda _run_id: CANARY
    )
    dirs, transcript = Layout(state_dir=home).attempt(RUN, attempt), Transcript()
    first = precedence or Precedence(SystemClock())
    reader = EventReader(records=records, clock=SystemClock(), guard=guard, precedence=first)
    watching = reader.of(RUN, attempt, dirs)
    dirs.out.mkdir(parents=True)
    for piece in pieces:
        block = {"type": "text", "text": piece}
        line = json.dumps({"type": "assistant", "message": {"model": "claude-x", "content": [block]}})
        with (dirs.out / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        watching = reader.of(RUN, attempt, dirs) if restarted else watching
        _, transcript = watching.read(transcript, final=False)
        assert watching.read(transcript, final=False) == (False, transcript)
    return len(records.events(RUN, attempt=attempt))


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("size", [1, 5, 11])
def test_a_secret_told_in_pieces_from_look_to_look_is_found(
    records: SqlRecords, tmp_path: Path, size: int, *, restarted: bool
) -> None:
    pieces = [CANARY[at : at + size] for at in range(0, len(CANARY), size)]
    with pytest.raises(Leaked, match="the run's canary"):
        told(records, tmp_path, pieces, restarted=restarted)


def test_what_another_attempt_said_is_not_put_before_it(records: SqlRecords, tmp_path: Path) -> None:
    half = len(CANARY) // 4
    assert told(records, tmp_path, [CANARY[:half]]) == 1
    assert told(records, tmp_path, [CANARY[half : half * 2]], attempt=2) == 1


def test_plain_words_are_kept(records: SqlRecords, tmp_path: Path) -> None:
    assert told(records, tmp_path, ["I look at it.", "It is mended.", "Done."]) == 3


def test_what_it_says_is_taken_in_after_whoever_is_being_answered_and_where_it_says_nothing_nobody_is_put_off(
    records: SqlRecords, tmp_path: Path
) -> None:
    precedence = Putting(SystemClock())
    assert told(records, tmp_path, ["Reading.", "Writing."], precedence=precedence) == 2
    assert precedence.put_off == 2
