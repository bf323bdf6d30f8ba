"""Which model and effort an attempt may ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateway.models import EFFORTS, FAMILIES, may_ask, may_think
from runner.gateway.question import Question, Unasked, read_question


@pytest.mark.parametrize(
    ("tier", "asked"),
    [
        ("sonnet", "claude-sonnet-5-5"),
        ("sonnet[1m]", "claude-sonnet-5-5"),
        ("opus", "claude-opus-5-5"),
        ("claude-opus-4-1", "claude-opus-5-5"),
        ("claude-opus-5-5", "claude-opus-5-5-20260101"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet-20241022"),
        ("our-own", "our-own"),
    ],
)
def test_what_the_cli_makes_of_a_tiers_model_may_be_asked(tier: str, asked: str) -> None:
    assert may_ask(tier, asked)


@pytest.mark.parametrize(
    ("tier", "asked"),
    [
        ("sonnet", "claude-opus-5-5"),
        ("sonnet", "claude-haiku-5-5"),
        ("sonnet", "claude-sonnet-opus-5-5"),
        ("sonnet", "my-sonnet"),
        ("sonnet", ""),
        ("claude-opus-5-5", "claude-fable-5-2"),
        ("our-own", "our-own-big"),
        ("our-own", "claude-opus-5-5"),
    ],
)
def test_another_model_may_not(tier: str, asked: str) -> None:
    assert not may_ask(tier, asked)


@given(st.sampled_from(FAMILIES), st.sampled_from(FAMILIES), st.text("0123456789-", max_size=12))
def test_no_family_leads_to_another(tier: str, other: str, version: str) -> None:
    assert may_ask(tier, f"claude-{other}-{version}") == (tier == other)


def test_effort_goes_up_to_the_tiers_and_no_further() -> None:
    for number, effort in enumerate(EFFORTS):
        assert [may_think(effort, asked) for asked in EFFORTS] == [index <= number for index in range(len(EFFORTS))]
        assert may_think(effort, None)
        assert not may_think(effort, "ultra")


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"claude-opus-5-5"}',
        b'{"model":["claude-sonnet-5-5"]}',
        b"{}",
        b'{"model":"claude-sonnet-5-5","output_config":{"effort":"max"}}',
        b'{"model":"claude-sonnet-5-5","output_config":{"effort":["low"]}}',
        b'{"model":"claude-sonnet-5-5","speed":"fast"}',
    ],
)
def test_a_question_above_its_tier_is_not_asked(body: bytes) -> None:
    assert isinstance(read_question(body, "sonnet", "medium"), Unasked)


def test_a_question_at_its_tier_is_asked() -> None:
    body = b'{"model":"claude-sonnet-5-5","output_config":{"effort":"medium"},"speed":"standard"}'
    assert isinstance(read_question(body, "sonnet", "medium"), Question)
