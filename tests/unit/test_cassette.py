"""Cassettes: read, chosen from, played, recorded."""

from __future__ import annotations

import asyncio
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import BadIntent
from runner.gateway.access import upstream_from
from runner.gateway.cassette import Cassette, Turn, as_events, chosen, load_cassette, message, parse_cassette
from runner.gateway.recorder import Recording, assembled, turn_of
from runner.gateway.upstream import Asked, Replay, Upstream, UpstreamCut
from tests.fakes.upstream import AnsweringUpstream

TOOLS = [{"name": "Read", "input_schema": {}}]
PLAY = b"""
version = 1
[[script]]
tier = "sonnet"
effort = "high"
[[script.turn]]
text = "Thinking hard."

[[script]]
tier = "sonnet"
attempt = 2
[[script.turn]]
text = "Second try of {model}, attempt {attempt}."

[[script]]
tier = "sonnet"
[[script.turn]]
text = "I'll look."
  [[script.turn.tool]]
  name = "Read"
  input = { file_path = "{cwd}/calc.py", limits = [1, "{attempt}"], deep = { x = "{model}" } }
[[script.turn]]
text = "Found."
"""


def request(turns: int = 0, model: str = "claude-sonnet-5-5", **fields: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": "do it"}]
    for _ in range(turns):
        said += [{"role": "assistant", "content": "ok"}, {"role": "user", "content": "on"}]
    return {"model": model, "messages": said, "tools": TOOLS, "stream": True, **fields}


def played() -> Cassette:
    return parse_cassette(PLAY, "play.toml")


def turn(told: dict[str, Any], attempt: int = 1) -> Turn:
    found = chosen(played(), told, attempt)
    assert found is not None
    return found[1]


def asked(told: dict[str, Any], *, run_id: str = "r", attempt: int = 1, path: str = "/v1/messages?beta=true") -> Asked:
    return Asked(path=path, headers={}, body=json.dumps(told).encode(), run_id=run_id, attempt=attempt)


def answered(upstream: Upstream, one: Asked) -> tuple[int, bytes, bool]:
    """Status, body, and whether it was cut off."""

    async def ask() -> tuple[int, bytes, bool]:
        held = b""
        async with upstream.send(one) as answer:
            try:
                async for chunk in answer.chunks:
                    held += chunk
            except UpstreamCut:
                return answer.status, held, True
        return answer.status, held, False

    return asyncio.run(ask())


def test_the_first_script_whose_conditions_hold_answers() -> None:
    assert turn(request(output_config={"effort": "high"})).text == "Thinking hard."
    assert turn(request(), attempt=2).text == "Second try of claude-sonnet-5-5, attempt 2."
    assert turn(request()).text == "I'll look."


def test_the_turn_is_read_from_the_request_alone() -> None:
    assert [turn(request(turns)).text for turns in (1, 0, 1)] == ["Found.", "I'll look.", "Found."]


def test_past_the_last_turn_the_model_is_done() -> None:
    assert turn(request(7)) == Turn(text="Done.")


def test_a_request_without_tools_is_answered_beside_the_script() -> None:
    assert turn(request(tools=[])).text == "Noted."


def test_no_script_for_the_model_is_an_error_that_says_so() -> None:
    assert chosen(played(), request(model="claude-opus-5-5"), 1) is None
    status, body, _ = answered(Replay(cassette=played()), asked(request(model="claude-opus-5-5")))
    assert status == 400
    assert b"claude-opus-5-5" in body


def test_placeholders_are_filled_in_every_string() -> None:
    tool = turn(request()).tool[0]
    assert tool.input == {
        "file_path": "/workspace/calc.py",
        "limits": [1, "1"],
        "deep": {"x": "claude-sonnet-5-5"},
    }


def test_a_verbatim_turn_keeps_what_looks_like_a_placeholder() -> None:
    cassette = parse_cassette(b"version=1\n[[script]]\n[[script.turn]]\ntext=\"f'{model}'\"\nverbatim=true\n", "x")
    found = chosen(cassette, request(), 1)
    assert found is not None
    assert found[1].text == "f'{model}'"


def test_the_same_request_gets_the_same_bytes() -> None:
    replay = Replay(cassette=played())
    assert answered(replay, asked(request())) == answered(Replay(cassette=played()), asked(request()))


def test_a_stream_says_what_the_whole_answer_says() -> None:
    answer = message(turn(request()), "2.0", "claude-sonnet-5-5", 1, 4000)
    again = assembled(as_events(answer))
    assert [block["type"] for block in again["content"]] == ["text", "tool_use"]
    assert again["content"][1]["input"] == answer["content"][1]["input"]
    assert again["content"][1]["id"] == "toolu_1_2_0_0"
    assert (again["stop_reason"], again["usage"]) == ("tool_use", answer["usage"])


def test_a_request_that_wants_no_stream_gets_json() -> None:
    status, body, _ = answered(Replay(cassette=played()), asked(request(1, stream=False)))
    told = json.loads(body)
    assert (status, told["content"], told["stop_reason"]) == (200, [{"type": "text", "text": "Found."}], "end_turn")


def faulty(fault: str) -> Replay:
    text = f'version = 1\n[[script]]\n[[script.turn]]\ntext = "At last."\n{fault}\n'
    return Replay(cassette=parse_cassette(text.encode(), "faulty.toml"))


def test_a_scripted_error_comes_as_often_as_it_says_in_each_run() -> None:
    replay = faulty('error = { status = 429, type = "rate_limit_error", retry_after_s = 3, times = 2 }')
    told = [answered(replay, asked(request(), run_id=run))[0] for run in ("a", "a", "b", "a", "b", "b")]
    assert told == [429, 429, 429, 200, 429, 200]


def test_a_scripted_cut_comes_once_and_then_the_turn_is_whole() -> None:
    replay = faulty("cut_after_bytes = 100")
    first, second = answered(replay, asked(request())), answered(replay, asked(request()))
    assert (len(first[1]), first[2]) == (100, True)
    assert b"message_stop" in second[1]
    assert not second[2]


def test_an_error_may_come_before_a_cut() -> None:
    replay = faulty("cut_after_bytes = 100\nerror = { status = 529 }")
    told = [answered(replay, asked(request())) for _ in range(3)]
    assert [(status, cut) for status, _, cut in told] == [(529, False), (200, True), (200, False)]


BAD = [
    (b"version = 2\n[[script]]\n[[script.turn]]", "version"),
    (b"version = 1", "script"),
    (b"version = 1\n[[script]]\n", "script 1, turn"),
    (b"version = 1\n[[script]]\n[[script.turn]]\n[[script.turn]]\ntxt = 'x'", "script 1, turn 2, txt"),
    (b"version = 1\n[[script]]\n[[script.turn]]\n[[script.turn.tool]]\nname = ''", "script 1, turn 1, tool 1, name"),
    (b"version = 1\n[[script]]\n[[script.turn]]\nerror = { status = 200 }", "error, status"),
    (b"version = 1\n[[script]]\n[[script.turn]]\nstop_reason = 'bored'", "stop_reason"),
    (b"version = 1\n[[script]]\n[[script.turn]]\ntool = [{ name = 'x', input = { d = 1979-05-27 } }]", "input"),
    (b"version = 1\n[[script]]\n[[script.turn]]\ntool = [{ name = 'x', input = { d = inf } }]", "input"),
    (b"version = 1\nversion = 1\n", "line 2"),
    (b"\xff", "TOML in UTF-8"),
    (b"x = " + b"[" * 50_000, "TOML in UTF-8"),
]


@pytest.mark.parametrize(("data", "place"), BAD)
def test_a_bad_cassette_is_named_with_the_place_and_a_cure(data: bytes, place: str) -> None:
    with pytest.raises(BadIntent) as told:
        parse_cassette(data, "/tapes/bad.toml")
    text = str(told.value)
    assert "/tapes/bad.toml" in text
    assert place in text
    assert "correct it" in text
    assert "\n" not in text


def test_a_cassette_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadIntent, match=r"nowhere\.toml cannot be read"):
        load_cassette(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("setting", ["", "openai", "replay", "replay:", "record:", "anthropic:x"])
def test_an_unknown_upstream_is_refused(setting: str) -> None:
    with pytest.raises(BadIntent, match="ASHIGARU_MODEL_UPSTREAM"):
        upstream_from(setting, "http://127.0.0.1:1")


WORDS = st.text(max_size=20) | st.sampled_from(
    ["/workspace/a.py", "f'{model}'", "{cwd}", "/workspace/{attempt}", "\r\n"]
)
JSONS = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=8,
)
BLOCKS = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, WORDS.filter(bool)),
        st.builds(
            lambda name, given: {"type": "tool_use", "id": "t", "name": name, "input": given},
            st.text(min_size=1, max_size=20),
            st.dictionaries(st.text(min_size=1, max_size=5), JSONS, max_size=3),
        ),
    ),
    max_size=4,
)


@given(BLOCKS, st.sampled_from(["end_turn", "max_tokens", "refusal"]))
def test_what_was_recorded_is_what_is_played(blocks: list[dict[str, Any]], stop: str) -> None:
    answer = {"content": blocks, "stop_reason": stop, "usage": {"input_tokens": 3, "output_tokens": 4}}
    text = tomli_w.dumps({"version": 1, "script": [{"turn": [turn_of(answer)]}]})
    found = chosen(parse_cassette(text.encode(), "x"), request(), 1)
    assert found is not None
    again = message(found[1], found[0], "m", 1, 0)
    said = "".join(block["text"] for block in blocks if block["type"] == "text")
    assert "".join(block["text"] for block in again["content"] if block["type"] == "text") == said
    calls = [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
    assert [(one["name"], one["input"]) for one in again["content"] if one["type"] == "tool_use"] == calls
    assert again["usage"]["output_tokens"] == 4


@given(BLOCKS)
def test_events_add_up_to_the_answer_they_were_made_from(blocks: list[dict[str, Any]]) -> None:
    answer = {"content": blocks, "stop_reason": "end_turn", "usage": {"output_tokens": 4}, "id": "msg"}
    again = assembled(as_events(answer))["content"]
    assert [(one["type"], one["input"] if one["type"] == "tool_use" else one["text"]) for one in again] == [
        (one["type"], one["input"] if one["type"] == "tool_use" else one["text"]) for one in blocks
    ]


def test_a_recording_replays_the_same_run(tmp_path: Path) -> None:
    tape = tmp_path / "tape.toml"
    recording = Recording(Replay(cassette=played()), tape)
    first = [answered(recording, asked(request(turns)))[1] for turns in (0, 1)]
    answered(recording, asked(request(tools=[])))
    replay = Replay(cassette=load_cassette(tape))
    again = [answered(replay, asked(request(turns)))[1] for turns in (0, 1)]
    assert [assembled(one)["content"][0]["text"] for one in again] == ["I'll look.", "Found."]
    assert [assembled(one)["usage"] for one in again] == [assembled(one)["usage"] for one in first]
    assert "{cwd}/calc.py" in tape.read_text(encoding="utf-8")


def test_a_recording_stops_at_a_turn_that_it_did_not_see(tmp_path: Path) -> None:
    tape = tmp_path / "tape.toml"
    recording = Recording(Replay(cassette=played()), tape)
    for turns in (0, 2, 3):
        answered(recording, asked(request(turns)))
    assert len(tomllib.loads(tape.read_text(encoding="utf-8"))["script"][0]["turn"]) == 1


@pytest.mark.parametrize(
    "upstream",
    [
        AnsweringUpstream(chunks=(b"no events at all",)),
        AnsweringUpstream(chunks=(b'data: {"type": "message_start"}\n',)),
        AnsweringUpstream(chunks=(b"data: {]\n",)),
        AnsweringUpstream(chunks=(b"{}",), status=429),
    ],
)
def test_what_cannot_be_recorded_still_passes(upstream: AnsweringUpstream, tmp_path: Path) -> None:
    status, body, _ = answered(Recording(upstream, tmp_path / "tape.toml"), asked(request()))
    assert (status, body) == (upstream.status, upstream.chunks[0])
    assert not (tmp_path / "tape.toml").exists()


def test_a_tape_that_cannot_be_written_does_not_stop_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    recording = Recording(Replay(cassette=played()), tmp_path / "file" / "tape.toml")
    assert answered(recording, asked(request()))[0] == 200
