"""What an agent may ask the model API for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateway.question import Question, Unasked, read_question

OWN_TOOL = {"name": "Read", "description": "reads", "input_schema": {"type": "object"}}


def asked(**fields: Any) -> Question | Unasked:
    return read_question(
        json.dumps({"model": "claude-sonnet-5-5", "max_tokens": 100, **fields}).encode(), "sonnet", "medium"
    )


def test_a_plain_question_is_read() -> None:
    wanted = Question(model="claude-sonnet-5-5", max_output=100, stream=True)
    assert asked(stream=True, tools=[OWN_TOOL, {**OWN_TOOL, "type": "custom"}], mcp_servers=[]) == wanted


@pytest.mark.parametrize(
    "kind",
    ["web_search_20250305", "web_fetch_20250910", "code_execution_20250825", "mcp_toolset", "something_new", 7, None],
)
def test_a_tool_that_the_api_carries_out_is_refused(kind: object) -> None:
    assert isinstance(asked(tools=[OWN_TOOL, {"type": kind, "name": "x"}]), Unasked)


@pytest.mark.parametrize(
    "fields",
    [
        {"mcp_servers": [{"type": "url", "url": "https://mcp.example", "name": "x"}]},
        {"container": {"skills": []}, "x": 1} | {"container": "c1"},
        {"tools": {"type": "web_search_20250305"}},
        {"tools": ["web_search"]},
    ],
)
def test_a_question_that_reaches_the_network_is_refused(fields: dict[str, Any]) -> None:
    assert isinstance(asked(**fields), Unasked)


@pytest.mark.parametrize("kind", ["url", "file"])
def test_a_source_that_the_api_would_fetch_is_refused_wherever_it_is(kind: str) -> None:
    image = {"type": "image", "source": {"type": kind, "url": "https://x.example/?secret", "file_id": "f"}}
    inside = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    document = {"type": "document", "source": {"type": "content", "content": [image]}}
    for block in (image, inside, document):
        assert isinstance(asked(messages=[{"role": "user", "content": [block]}]), Unasked)


def test_a_source_that_came_along_is_no_reach() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
    assert isinstance(asked(messages=[{"role": "user", "content": ["text", image]}]), Question)


def test_a_key_that_comes_twice_is_refused() -> None:
    body = b'{"model":"claude-sonnet-5-5","tools":[],"tools":[]}'
    assert isinstance(read_question(body, "sonnet", "medium"), Unasked)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff\xfe{\x00}\x00", b"[" * 100_000, b'{"a":'])
def test_what_is_no_json_object_in_utf8_is_refused(body: bytes) -> None:
    assert isinstance(read_question(body, "sonnet", "medium"), Unasked)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["source", "content", "type"]), inner)
        ),
        max_leaves=20,
    )
)
def test_no_shape_of_messages_breaks_the_reader(messages: object) -> None:
    assert isinstance(asked(messages=messages), Question | Unasked)
