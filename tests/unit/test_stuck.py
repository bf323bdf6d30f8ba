"""An agent that goes round in circles, and all the honest ones that do not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mcp_ashigaru.prices import DEFAULT_LADDER
from runner.stuck import EDITS, Circle, Moves, circling, fold, in_words
from runner.transcript import Transcript, read_events
from runner.watchdogs import MAX_REMEMBERED, Watchdogs

STREAMS = sorted((Path(__file__).parent.parent / "data" / "claude-streams").glob("*.jsonl"))
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
OFF = Watchdogs(in_a_row=0, often=0, among=0, pairs=0, unedited_calls=0, unedited_s=0)
_MOVES: TypeAdapter[Moves] = TypeAdapter(Moves)


@dataclass(frozen=True)
class Did:
    """A call as a test says it: what was called, on what, what came back, and whether that was an error."""

    tool: str
    on: str = "/workspace/calc.py"
    answer: str = "the same"
    error: bool = False


READ, GREP, EDIT = Did("Read"), Did("Grep", "def"), Did("Edit")


def said(did: Did, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The lines of a call and of its answer."""
    used = {"type": "tool_use", "id": f"toolu_{number}", "name": did.tool, "input": {"file_path": did.on}}
    told = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": did.answer, "is_error": did.error}
    return (
        {"type": "assistant", "message": {"model": "claude-x", "content": [used]}},
        {"type": "user", "message": {"content": [told]}},
    )


def moves_of(done: Iterable[Did]) -> Moves:
    moves = Moves()
    for number, did in enumerate(done):
        for line in said(did, number):
            moves = fold(moves, line)
    return moves


def circle_of(done: Sequence[Did], quiet_s: float = 0.0, **bounds: int) -> Circle | None:
    return circling(moves_of(done), replace(OFF, **bounds), quiet_s)


# --- what is a circle ----------------------------------------------------------------------------------------


def test_the_same_call_with_the_same_answer_in_a_row_is_a_circle() -> None:
    assert circle_of([READ] * 4, in_a_row=5) is None
    assert circle_of([READ] * 5, in_a_row=5) is Circle.REPEATED
    assert circle_of([READ] * 4 + [GREP, READ], in_a_row=5) is None


def test_the_same_call_often_among_the_last_ones_is_a_circle_of_any_length() -> None:
    three = [READ, GREP, Did("Glob", "*.py")]
    assert circle_of(three * 3, often=4, among=12) is None
    assert circle_of([*three * 3, READ], often=4, among=12) is Circle.REPEATED
    spread = [one for number in range(4) for one in (READ, *(Did("Read", f"/{number}{other}") for other in range(4)))]
    assert circle_of([*spread, READ], often=4, among=12) is None


def test_what_was_repeated_once_and_is_behind_it_is_no_circle_any_more() -> None:
    assert circle_of([READ] * 4 + [GREP], often=4, among=12) is None


def test_two_calls_that_take_turns_are_a_circle() -> None:
    assert circle_of([READ, GREP] * 2, pairs=3) is None
    assert circle_of([READ, GREP] * 3, pairs=3) is Circle.ALTERNATING
    assert circle_of([READ] * 6, pairs=3) is None
    assert circle_of([READ, GREP, READ, GREP, READ, EDIT], pairs=3) is None


def test_many_calls_without_an_edit_are_a_circle() -> None:
    looks = [Did("Read", f"/workspace/{number}") for number in range(10)]
    assert circle_of(looks[:9], unedited_calls=10) is None
    assert circle_of(looks, unedited_calls=10) is Circle.NO_EDITS
    assert circle_of([*looks[:5], EDIT, *looks[5:]], unedited_calls=10) is None


def test_a_long_time_without_an_edit_is_a_circle_only_of_one_that_goes_on_calling_tools() -> None:
    looks = [Did("Read", f"/workspace/{number}") for number in range(20)]
    assert circle_of(looks, 99.0, unedited_s=100) is None
    assert circle_of(looks, 100.0, unedited_s=100) is Circle.NO_EDITS
    assert circle_of(looks[:3], 1e6, unedited_s=100) is None


def test_an_edit_that_is_made_and_undone_again_and_again_is_a_circle() -> None:
    there, back = Did("Edit", "/workspace/there"), Did("Edit", "/workspace/back")
    assert circle_of([there, READ, back, READ] * 3, pairs=3) is Circle.ALTERNATING
    assert circle_of([Did("Write"), READ] * 5, in_a_row=5) is Circle.REPEATED


def test_an_edit_that_is_refused_again_and_again_is_a_circle() -> None:
    refused = Did("Edit", answer="String to replace not found in file.", error=True)
    assert circle_of([refused] * 5, in_a_row=5) is Circle.REPEATED
    assert circle_of([refused, READ] * 5, pairs=5) is Circle.ALTERNATING
    assert circle_of([refused, READ] * 5, unedited_calls=10) is Circle.NO_EDITS


# --- what is none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", sorted(EDITS))
def test_to_look_again_after_every_edit_is_no_circle(tool: str) -> None:
    edits = (Did(tool, f"/workspace/{number}") for number in itertools.count())
    done = [one for _ in range(40) for one in (READ, GREP, next(edits))]
    assert circling(moves_of(done), Watchdogs(), 0.0) is None


def test_to_run_the_tests_after_every_edit_is_no_circle() -> None:
    edits = (Did("Edit", f"/workspace/{number}") for number in itertools.count())
    done = [one for _ in range(40) for one in (next(edits), Did("Bash", "make test", "1 failed"))]
    assert circling(moves_of(done), Watchdogs(), 0.0) is None


def test_to_wait_for_something_that_gets_on_is_no_circle() -> None:
    polls = [Did("Bash", "tail log", answer=f"{number} of 30 done") for number in range(30)]
    assert circling(moves_of(polls), Watchdogs(), 0.0) is None
    assert circling(moves_of([Did("Bash", "tail log")] * 30), Watchdogs(), 0.0) is Circle.REPEATED


def test_a_call_given_other_things_is_another_call() -> None:
    assert (
        circle_of([Did("Read", f"/workspace/{number}") for number in range(30)], in_a_row=3, often=3, among=30) is None
    )
    lines = [*said(READ, 1), *said(READ, 2), *said(READ, 3)]
    shuffled = json.loads(json.dumps(lines).replace('"file_path": "/workspace/calc.py"', '"b": 1, "a": 2', 1))
    again = json.loads(json.dumps(lines[:2]).replace('"file_path": "/workspace/calc.py"', '"a": 2, "b": 1', 1))
    first = fold(fold(Moves(), shuffled[0]), shuffled[1])
    second = fold(fold(Moves(), again[0]), again[1])
    assert first.calls == second.calls, "the order of what is given makes no difference"


@pytest.mark.parametrize("stream", STREAMS, ids=lambda path: path.stem)
@pytest.mark.parametrize("tier", DEFAULT_LADDER, ids=lambda tier: tier.name)
def test_no_captured_execution_is_called_stuck(stream: Path, tier: Any) -> None:
    data = stream.read_bytes()
    transcript = Transcript()
    for line in data.splitlines(keepends=True):
        transcript, _ = read_events(transcript, line)
        assert circling(transcript.moves, tier.watchdogs, 1e9) is None


def test_there_are_all_the_captured_executions() -> None:
    assert len(STREAMS) == 23


def test_the_captured_executions_that_read_a_file_twice_are_stuck_for_whoever_allows_it_once() -> None:
    told = {path.stem: read_events(Transcript(), path.read_bytes())[0].moves for path in STREAMS}
    stuck = {name for name, moves in told.items() if circling(moves, replace(OFF, in_a_row=2), 0.0) is not None}
    assert stuck == {"budget", "max_turns"}


# --- bounds --------------------------------------------------------------------------------------------------

dids = st.builds(
    Did,
    tool=st.sampled_from(["Read", "Grep", "Edit", "Write", "mcp__ash__delete_file", "Bash"]),
    on=st.sampled_from(["a", "b", "c"]),
    answer=st.sampled_from(["x", "y"]),
    error=st.booleans(),
)
bounds = st.builds(
    Watchdogs,
    in_a_row=st.just(0) | st.integers(3, 12),
    often=st.just(0) | st.integers(3, 12),
    among=st.integers(12, MAX_REMEMBERED),
    pairs=st.just(0) | st.integers(2, 8),
    unedited_calls=st.just(0) | st.integers(1, 30),
    unedited_s=st.just(0),
)


@calm
@given(st.lists(dids, max_size=80), st.floats(0, 1e9))
def test_with_everything_off_nobody_is_stuck(done: list[Did], unedited_s: float) -> None:
    assert circling(moves_of(done), OFF, unedited_s) is None


@calm
@given(st.lists(dids, max_size=60), bounds)
def test_a_new_edit_leaves_nobody_stuck(done: list[Did], watchdogs: Watchdogs) -> None:
    fresh = moves_of([*done, Did("Edit", "never edited before")])
    assert circling(fresh, watchdogs, 0.0) is None
    assert (fresh.calls, fresh.since_edit) == ((), 0)


@calm
@given(st.lists(dids, max_size=60), bounds)
def test_whoever_is_stuck_did_the_same_before(done: list[Did], watchdogs: Watchdogs) -> None:
    """Against a plain retelling of the rules, on the whole list."""
    moves = moves_of(done)
    made = [at for at, did in enumerate(done) if did.tool in EDITS and not did.error]
    page = done[made[-1] + 1 :] if made else done
    calls = [(did.tool, did.on, did.answer) for did in page]
    edits = [(done[at].tool, done[at].on) for at in made]
    match circling(moves, watchdogs, 0.0):
        case Circle.REPEATED:
            assert any(_row(one, watchdogs.in_a_row) or _often(one, watchdogs) for one in (calls, edits))
        case Circle.ALTERNATING:
            assert any(_turns(one, watchdogs.pairs) for one in (calls, edits))
        case Circle.NO_EDITS:
            assert len(page) >= watchdogs.unedited_calls > 0
        case None:
            assert not any(_row(one, watchdogs.in_a_row) or _often(one, watchdogs) for one in (calls, edits))
            assert not any(_turns(one, watchdogs.pairs) for one in (calls, edits))
            assert not 0 < watchdogs.unedited_calls <= len(page)


def _row(done: Sequence[object], often: int) -> bool:
    return 0 < often <= len(done) and all(one == done[-1] for one in done[-often:])


def _often(done: Sequence[object], watchdogs: Watchdogs) -> bool:
    return bool(done) and 0 < watchdogs.often <= sum(one == done[-1] for one in done[-watchdogs.among :])


def _turns(done: Sequence[object], pairs: int) -> bool:
    if not 0 < 2 * pairs <= len(done):
        return False
    turns = done[-2 * pairs :]
    return turns[0] != turns[1] and all(one == turns[at % 2] for at, one in enumerate(turns))


odd = st.none() | st.integers() | st.text(max_size=3) | st.sampled_from([[], {}, ["id"], {"input": {}}, "\ud800"])
blocks = odd | st.fixed_dictionaries(
    {"type": st.sampled_from(["tool_use", "tool_result"])},
    optional={"id": odd, "tool_use_id": odd, "name": odd, "input": odd, "content": odd, "is_error": odd},
)
lines = st.builds(
    lambda kind, told: {"type": kind, "message": {"content": told}},
    st.sampled_from(["assistant", "user", "system", 7]),
    odd | st.lists(blocks, max_size=6),
)


@calm
@given(st.lists(lines, max_size=8))
def test_whatever_a_stream_holds_the_moves_stay_small_and_can_be_kept(said_lines: list[dict[str, Any]]) -> None:
    moves = Moves()
    for line in said_lines:
        moves = fold(moves, line)
    assert len(moves.calls) <= MAX_REMEMBERED
    assert len(moves.open) <= 32
    assert len(moves.last) <= 2
    assert _MOVES.validate_python(_MOVES.dump_python(moves, mode="json")) == moves


def test_calls_that_are_never_answered_count_in_the_end() -> None:
    moves = Moves()
    for number in range(200):
        moves = fold(moves, said(READ, number)[0])
    assert circling(moves, Watchdogs(), 0.0) is Circle.REPEATED


def test_each_circle_is_told_in_words_that_name_the_calls() -> None:
    moves = moves_of([GREP, READ, GREP, READ])
    assert in_words(Circle.REPEATED, moves) == 'repeated "Read calc.py" again and again'
    assert in_words(Circle.ALTERNATING, moves) == 'went back and forth between "Grep def" and "Read calc.py"'
    assert in_words(Circle.NO_EDITS, moves) == 'made 4 tool calls without editing a file, at last "Read calc.py"'
    assert in_words(Circle.REPEATED, Moves()) == 'repeated "the same call" again and again'


@pytest.mark.parametrize(
    "wrong",
    [
        Watchdogs(grace_s=0),
        Watchdogs(in_a_row=-1),
        Watchdogs(in_a_row=1),
        Watchdogs(often=2),
        Watchdogs(pairs=1),
        Watchdogs(pairs=33),
        Watchdogs(among=MAX_REMEMBERED + 1),
        Watchdogs(often=12, among=11),
    ],
)
def test_bounds_that_make_no_sense_say_so(wrong: Watchdogs) -> None:
    assert wrong.fault()


@pytest.mark.parametrize("right", [OFF, Watchdogs(), *(tier.watchdogs for tier in DEFAULT_LADDER)])
def test_bounds_that_make_sense_have_no_fault(right: Watchdogs) -> None:
    assert right.fault() is None
