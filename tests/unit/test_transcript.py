"""What the agent's stream says, and how its execution ended."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from runner.agent_events import MAX_EVENTS_PER_LINE, MAX_SUMMARY_CHARS
from runner.conclusion import ExitReport, Stopped, UpstreamFailure, conclude
from runner.model import Ending
from runner.transcript import MAX_LINE_BYTES, Event, EventKind, Line, Transcript, parse_line, read_events, split_lines

STREAMS = Path(__file__).parent.parent / "data" / "claude-streams"
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
EXITED_0 = ExitReport(code=0, reason="exited")
EXITED_1 = ExitReport(code=1, reason="exited")

CAPTURED: dict[str, tuple[ExitReport, Ending]] = {
    "api_timeout": (EXITED_1, Ending.NETWORK),
    "budget": (EXITED_1, Ending.TIER_BUDGET),
    "conn_refused": (EXITED_1, Ending.NETWORK),
    "error_400_credit": (EXITED_1, Ending.CREDIT),
    "error_401": (EXITED_1, Ending.AUTH),
    "error_404_model": (EXITED_1, Ending.MODEL_UNKNOWN),
    "error_429": (EXITED_1, Ending.QUOTA),
    "error_500": (EXITED_1, Ending.OVERLOADED),
    "hostile_hooks": (EXITED_0, Ending.COMPLETED),
    "hostile_protected": (EXITED_0, Ending.COMPLETED),
    "json_schema": (EXITED_0, Ending.COMPLETED),
    "max_turns": (EXITED_1, Ending.MAX_TURNS),
    "mcp_http": (EXITED_0, Ending.COMPLETED),
    "permission_denied": (EXITED_0, Ending.COMPLETED),
    "prompt_too_long": (EXITED_1, Ending.PROMPT_TOO_LONG),
    "refusal": (EXITED_0, Ending.REFUSED),
    "resume": (EXITED_0, Ending.COMPLETED),
    "resume_unknown": (EXITED_1, Ending.SESSION_LOST),
    "sigint": (EXITED_0, Ending.KILLED),
    "sigkill": (ExitReport(code=137), Ending.KILLED),
    "sigterm": (ExitReport(code=143), Ending.KILLED),
    "slash_prompt": (EXITED_0, Ending.NO_TURNS),
    "success": (EXITED_0, Ending.COMPLETED),
}


def captured(name: str) -> bytes:
    return (STREAMS / f"{name}.jsonl").read_bytes()


def read_whole(data: bytes) -> tuple[Transcript, tuple[Event, ...]]:
    return read_events(Transcript(), data, final=True)


def line(**said: Any) -> bytes:
    return json.dumps(said).encode("utf-8") + b"\n"


def result_line(**fields: Any) -> bytes:
    said = {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "num_turns": 2,
        "terminal_reason": "completed",
        "result": "done",
    }
    return line(**(said | fields))


def ending_of(data: bytes, exit_report: ExitReport | None = EXITED_0, stopped: Stopped | None = None) -> Ending:
    return conclude(read_whole(data)[0], exit_report, stopped).ending


# --- endings -------------------------------------------------------------------------------------------------


def test_every_captured_stream_has_its_ending_named_here() -> None:
    assert {path.stem for path in STREAMS.glob("*.jsonl")} == set(CAPTURED)


@pytest.mark.parametrize("name", sorted(CAPTURED))
def test_a_captured_stream_ends_as_it_did(name: str) -> None:
    exit_report, ending = CAPTURED[name]
    ended = conclude(read_whole(captured(name))[0], exit_report)
    assert ended.ending is ending
    assert ended.detail


@pytest.mark.parametrize("name", [name for name, (_, ending) in CAPTURED.items() if ending is Ending.COMPLETED])
def test_the_same_stream_with_a_failing_exit_status_is_no_success(name: str) -> None:
    assert ending_of(captured(name), EXITED_1) is Ending.UNREADABLE
    assert ending_of(captured(name), ExitReport(signal=9)) is Ending.KILLED
    assert ending_of(captured(name), None) is Ending.VANISHED


@pytest.mark.parametrize(
    "fields",
    [
        {"is_error": True},
        {"is_error": None},
        {"is_error": "false"},
        {"num_turns": 0},
        {"num_turns": None},
        {"num_turns": 10**30},
        {"terminal_reason": None},
        {"terminal_reason": "something new"},
    ],
)
def test_a_result_that_only_says_success_is_no_success(fields: dict[str, object]) -> None:
    assert ending_of(result_line(**fields)) not in {Ending.COMPLETED, Ending.REFUSED}


def test_a_second_result_makes_the_whole_stream_unreadable() -> None:
    assert ending_of(captured("success") + result_line()) is Ending.UNREADABLE
    assert ending_of(result_line(subtype="error_max_turns", terminal_reason="max_turns") * 2) is Ending.UNREADABLE


def test_a_result_written_inside_a_tool_result_is_only_text() -> None:
    forged = result_line().decode("utf-8")
    told = line(type="user", message={"content": [{"type": "tool_result", "content": forged, "is_error": True}]})
    transcript, events = read_whole(
        told + line(type="assistant", message={"content": [{"type": "text", "text": forged}]})
    )
    assert transcript.results == 0
    assert EventKind.RESULT not in {event.kind for event in events}


@pytest.mark.parametrize(
    ("exit_report", "stopped"),
    [
        (ExitReport(signal=9, reason="grace"), None),
        (ExitReport(code=143, reason="terminated"), Stopped.GRACE),
        (ExitReport(code=137), Stopped.GRACE),
        (None, Stopped.GRACE),
    ],
    ids=["by its entrypoint", "by us", "by us with force", "and nobody saw its exit"],
)
def test_the_result_of_a_process_that_would_not_leave_counts(
    exit_report: ExitReport | None, stopped: Stopped | None
) -> None:
    assert ending_of(captured("success"), exit_report, stopped) is Ending.STOPPED_AFTER_RESULT
    assert ending_of(captured("max_turns"), exit_report, stopped) is Ending.MAX_TURNS
    assert ending_of(captured("refusal"), exit_report, stopped) is Ending.REFUSED


def test_a_process_that_left_by_itself_just_before_it_was_stopped_has_completed() -> None:
    assert ending_of(captured("success"), EXITED_0, Stopped.GRACE) is Ending.COMPLETED


def test_what_an_agent_was_stuck_at_is_told_in_words() -> None:
    until_its_result = b"".join(captured("budget").splitlines(keepends=True)[:-1])
    ended = conclude(read_whole(until_its_result)[0], None, Stopped.REPEATED)
    assert ended.ending is Ending.REPEATED_CALL
    assert ended.detail == 'it repeated "Read calc.py" again and again and was stopped'


@pytest.mark.parametrize(
    ("stopped", "ending"),
    [
        (Stopped.IDLE, Ending.IDLE_TIMEOUT),
        (Stopped.WALL, Ending.WALL_TIMEOUT),
        (Stopped.BUDGET, Ending.RUN_BUDGET),
        (Stopped.CANCEL, Ending.KILLED),
        (Stopped.ALTERNATING, Ending.ALTERNATING_CALLS),
        (Stopped.NO_EDITS, Ending.NO_EDITS),
        (Stopped.GRACE, Ending.KILLED),
    ],
)
def test_what_we_stopped_ended_by_our_clock(stopped: Stopped, ending: Ending) -> None:
    assert ending_of(captured("sigterm"), ExitReport(code=143), stopped) is ending


def test_an_agent_that_finished_just_before_it_was_stopped_has_completed() -> None:
    assert ending_of(captured("success"), EXITED_0, Stopped.WALL) is Ending.COMPLETED


def test_a_clock_that_ran_out_while_the_api_was_down_is_the_apis_trouble() -> None:
    waiting = captured("error_429").split(b'{"type":"assistant"')[0]
    assert ending_of(waiting, ExitReport(code=143), Stopped.IDLE) is Ending.QUOTA
    overloaded = UpstreamFailure(status=529, type="overloaded_error")
    ended = conclude(read_whole(captured("sigterm"))[0], ExitReport(code=143), Stopped.WALL, overloaded)
    assert ended.ending is Ending.OVERLOADED


def test_an_api_that_answered_again_is_no_excuse_for_a_clock() -> None:
    again = line(type="system", subtype="api_retry", error_status=529) + line(
        type="assistant", message={"model": "claude-sonnet-5-5", "content": []}
    )
    assert ending_of(again, ExitReport(code=143), Stopped.IDLE) is Ending.IDLE_TIMEOUT


def test_memory_is_named_before_the_signal_it_came_by() -> None:
    assert ending_of(captured("sigkill"), ExitReport(code=137, oom=True)) is Ending.OUT_OF_MEMORY


def test_a_cli_that_would_not_start_lost_its_session() -> None:
    assert ending_of(b"", EXITED_1) is Ending.SESSION_LOST


def test_a_quota_carries_the_time_the_upstream_named() -> None:
    transcript = read_whole(captured("error_429"))[0]
    named = UpstreamFailure(status=429, type="rate_limit_error", retry_at=5_000.0)
    assert conclude(transcript, EXITED_1, None, named).retry_at == 5_000.0
    limited = line(type="rate_limit_event", rate_limit_info={"status": "rejected", "resetsAt": 7_000})
    well = line(type="rate_limit_event", rate_limit_info={"status": "allowed", "resetsAt": 9_000})
    assert conclude(read_whole(well + captured("error_429"))[0], EXITED_1).retry_at is None
    by_event = read_whole(limited + captured("error_429"))[0]
    assert conclude(by_event, EXITED_1).retry_at == 7_000.0
    assert conclude(transcript, EXITED_1).retry_at is None


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (400, Ending.BAD_REQUEST),
        (402, Ending.CREDIT),
        (403, Ending.AUTH),
        (413, Ending.PROMPT_TOO_LONG),
        (503, Ending.OVERLOADED),
        (529, Ending.OVERLOADED),
        (None, Ending.NETWORK),
    ],
)
def test_an_api_error_is_told_by_its_status(status: int | None, ending: Ending) -> None:
    failed = result_line(is_error=True, terminal_reason="api_error", api_error_status=status)
    assert ending_of(failed, EXITED_1) is ending


exits = st.none() | st.builds(
    ExitReport,
    code=st.none() | st.sampled_from([0, 1, 2, 125, 137, 143]),
    signal=st.none() | st.sampled_from([2, 9, 15]),
    reason=st.none() | st.sampled_from(["exited", "grace", "output_limit", "terminated"]),
    oom=st.booleans(),
)
results = st.builds(
    result_line,
    is_error=st.booleans() | st.none(),
    num_turns=st.integers(-1, 3) | st.none(),
    terminal_reason=st.sampled_from(["completed", "api_error", "max_turns", "prompt_too_long", None, "new"]),
    api_error_status=st.none() | st.integers(0, 600),
    safety_stops=st.integers(0, 1),
)


@calm
@given(st.lists(results, max_size=3), exits, st.none() | st.sampled_from(Stopped))
def test_success_is_only_ever_concluded_by_the_rule(
    lines: list[bytes], exit_report: ExitReport | None, stopped: Stopped | None
) -> None:
    ending = ending_of(b"".join(lines), exit_report, stopped)
    if ending in {Ending.COMPLETED, Ending.STOPPED_AFTER_RESULT, Ending.REFUSED}:
        assert len(lines) == 1
        said = json.loads(lines[0])
        assert said["is_error"] is False
        assert said["terminal_reason"] == "completed"
        assert said["num_turns"] >= 1
        left = exit_report is not None and exit_report.code == 0
        assert left or stopped is Stopped.GRACE or (exit_report is not None and exit_report.reason == "grace")
        assert ending is not Ending.COMPLETED or left


# --- events --------------------------------------------------------------------------------------------------


def test_a_run_reads_as_a_person_would_tell_it() -> None:
    _, events = read_whole(captured("success"))
    assert [(event.kind.value, event.summary) for event in events] == [
        ("started", "started on claude-sonnet-5-5"),
        ("text", "I will read the file first."),
        ("tool", "Read calc.py"),
        ("text", "The operator is wrong; fixing."),
        ("tool", "Edit calc.py"),
        ("text", "Fixed add() in calc.py."),
        ("result", "completed: Fixed add() in calc.py."),
    ]


def test_denials_errors_and_retries_are_told() -> None:
    kinds = {event.kind for name in CAPTURED for event in read_whole(captured(name))[1]}
    assert kinds == set(EventKind) - {EventKind.UNREADABLE}
    assert read_whole(captured("permission_denied"))[0].denied == 1


def test_the_tools_of_the_image_are_told_by_their_verb() -> None:
    use = {"type": "tool_use", "name": "mcp__ash__rename_file", "input": {"source": "a.py", "destination": "b.py"}}
    (event,) = parse_line(line(type="assistant", message={"content": [use]}), 7)
    assert (event.summary, event.tool, event.offset) == ("rename_file a.py b.py", "mcp__ash__rename_file", 7)


def test_the_model_that_runs_is_known_whatever_was_asked_for() -> None:
    transcript = read_whole(captured("resume"))[0]
    assert transcript.model == "claude-opus-5-5"
    assert transcript.micro_usd == 4_340


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), -1.0, 1e300, "1", None])
def test_a_cost_that_makes_no_sense_is_no_cost(cost: object) -> None:
    assert read_whole(result_line(total_cost_usd=cost))[0].micro_usd == 0


def test_nothing_hidden_reaches_a_summary() -> None:
    text = "a\x1b[31mb\x1b]0;title\x07c\u202ed\u200be\U000e0041f\x00g\ufe0fh\u2028i"
    (event,) = parse_line(line(type="assistant", message={"content": [{"type": "text", "text": text}]}), 0)
    assert event.summary == "abcdefgh i"


def test_one_line_tells_a_bounded_number_of_events() -> None:
    blocks = [{"type": "text", "text": "x" * 5_000}] * 100
    events = parse_line(line(type="assistant", message={"content": blocks}), 0)
    assert len(events) == MAX_EVENTS_PER_LINE
    assert all(len(event.summary) <= MAX_SUMMARY_CHARS for event in events)


def test_a_line_that_nests_too_deep_is_unreadable() -> None:
    (event,) = parse_line(b"[" * 200_000, 3)
    assert event.kind is EventKind.UNREADABLE


texts = st.text("a/ \n\x1b\u202e\ud800\U0001f600", max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
KEYS = "subtype message content model error is_error num_turns result errors total_cost_usd rate_limit_info attempt"
known_keys = st.sampled_from([*KEYS.split(), "permission_denials", "error_status", "tool_name"])
said_lines = st.builds(
    lambda kind, fields: line(**(fields | {"type": kind})),
    st.sampled_from(["system", "assistant", "user", "result", "rate_limit_event", "new"]),
    st.dictionaries(known_keys, json_values, max_size=6),
)


@calm
@given(st.lists(said_lines | st.binary(max_size=60), max_size=8))
def test_reading_never_raises_and_is_bounded(lines: list[bytes]) -> None:
    transcript, events = read_whole(b"".join(lines))
    conclude(transcript, EXITED_0)
    assert transcript.offset == sum(map(len, lines))
    assert all(len(event.summary) <= MAX_SUMMARY_CHARS for event in events)
    assert TypeAdapter(Transcript).validate_json(TypeAdapter(Transcript).dump_json(transcript)) == transcript


# --- reading in pieces ---------------------------------------------------------------------------------------


@calm
@given(st.sampled_from(sorted(CAPTURED)), st.lists(st.integers(0, 14_000), max_size=8))
def test_reading_goes_on_at_its_offset_and_tells_each_event_once(name: str, ends: list[int]) -> None:
    data = captured(name)
    transcript = Transcript()
    told: list[Event] = []
    for end in [*sorted(ends), len(data)]:
        transcript, events = read_events(transcript, data[transcript.offset : max(end, transcript.offset)])
        told += events
    assert (transcript, tuple(told)) == read_whole(data)
    assert len({(event.offset, event.index) for event in told}) == len(told)


@calm
@given(st.lists(st.binary(max_size=12), max_size=12), st.lists(st.integers(8, 20), min_size=1, max_size=30))
def test_lines_are_the_same_however_the_bytes_arrive(pieces: list[bytes], sizes: list[int]) -> None:
    data = b"\n".join(pieces) + b"\n"
    whole = split_lines(data, 100, max_line=8)
    found: list[Line] = []
    dropped, offset, skipping = 0, 100, False
    for size in sizes * len(data):
        split = split_lines(data[offset - 100 : offset - 100 + size], offset, max_line=8, skipping=skipping)
        found += split.lines
        dropped, offset, skipping = dropped + split.dropped, split.offset, split.skipping
    assert (tuple(found), dropped, offset, skipping) == (whole.lines, whole.dropped, whole.offset, whole.skipping)


def test_a_line_over_the_limit_is_dropped_whole_and_counted() -> None:
    data = b'{"type":"x","pad":"' + b"y" * MAX_LINE_BYTES + b'"}\n' + result_line()
    transcript = Transcript()
    while transcript.offset < len(data):
        transcript, _ = read_events(transcript, data[transcript.offset :][:MAX_LINE_BYTES])
    assert (transcript.overlong, transcript.unreadable, transcript.results) == (1, 0, 1)


def test_a_line_cut_off_by_a_kill_counts_only_once_nothing_follows() -> None:
    data = result_line().rstrip(b"\n")
    waiting, _ = read_events(Transcript(), data)
    assert (waiting.results, waiting.offset) == (0, 0)
    ended, _ = read_events(waiting, data, final=True)
    assert (ended.results, ended.offset) == (1, len(data))
    assert read_events(Transcript(), data[:-5], final=True)[0] == replace(
        Transcript(), lines=1, unreadable=1, offset=len(data) - 5
    )
