"""What answers cost."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateway.metering import Meter, Price, PriceTable, Usage, merged
from tests.fakes.upstream import event, whole

SONNET = Price(input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000)
DEAR = Price(input=10_000_000, output=50_000_000, cache_read=1_000_000, cache_write=12_500_000)
TABLE = PriceTable(prices={"claude-sonnet": SONNET, "claude-fable": DEAR})

START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "model": "claude-sonnet-5-5",
        "usage": {
            "input_tokens": 100,
            "output_tokens": 1,
            "cache_read_input_tokens": 2000,
            "cache_creation_input_tokens": 50,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
        },
    },
}
SAID = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 400}}
DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 70}}
STREAM = event(START) + event(SAID) + event(DELTA) + event({"type": "message_stop"})
FULL = Usage(input=100, output=70, cache_read=2000, cache_write=20, cache_write_1h=30)


def metered(data: bytes, *, stream: bool = True, request_bytes: int = 0) -> Meter:
    meter = Meter("asked", stream=stream, request_bytes=request_bytes)
    meter.feed(data)
    meter.finish()
    return meter


def test_a_token_costs_what_its_price_says() -> None:
    assert TABLE.cost("claude-sonnet-5-5", Usage(input=1000, output=100)) == 1000 * 3 + 100 * 15


def test_a_fraction_of_a_micro_dollar_is_a_whole_one() -> None:
    assert TABLE.cost("claude-sonnet-5-5", Usage(cache_read=1)) == 1


def test_an_hour_in_the_cache_is_dearer_than_five_minutes() -> None:
    assert TABLE.cost("claude-sonnet-5-5", Usage(cache_write=1000)) == 3750
    assert TABLE.cost("claude-sonnet-5-5", Usage(cache_write_1h=1000)) == 6000


def test_the_longest_row_that_fits_counts() -> None:
    table = PriceTable(prices={"claude": DEAR, "claude-sonnet": SONNET})
    assert table.cost("claude-sonnet-5-5", Usage(input=1000)) == 3000


def test_an_unknown_model_is_counted_at_the_dearest_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    table = PriceTable(prices={"claude-sonnet": SONNET, "claude-fable": DEAR})
    with caplog.at_level(logging.WARNING):
        assert table.cost("new-model", Usage(output=10)) == 500
        assert table.cost("new-model", Usage(output=10)) == 500
    assert len(caplog.records) == 1


def test_a_table_without_rows_costs_nothing() -> None:
    assert PriceTable(prices={}).cost("any", Usage(input=1)) == 0


def test_a_stream_is_metered_from_its_first_and_last_events() -> None:
    meter = metered(STREAM)
    assert meter.model == "claude-sonnet-5-5"
    assert meter.usage == FULL


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12))
def test_where_the_chunks_are_cut_does_not_matter(cuts: list[int]) -> None:
    meter = Meter("asked", stream=True)
    at = 0
    for cut in [*sorted(cuts), len(STREAM)]:
        meter.feed(STREAM[at:cut])
        at = cut
    meter.finish()
    assert meter.usage == FULL


def test_a_whole_answer_is_metered_from_its_usage() -> None:
    meter = metered(whole({"input_tokens": 7, "output_tokens": 9}), stream=False, request_bytes=4000)
    assert meter.usage == Usage(input=7, output=9)


def test_a_cut_stream_costs_what_was_said_by_then() -> None:
    meter = metered(event(START) + event(SAID))
    assert meter.usage.input == 100
    assert meter.usage.output == 100


def test_hanging_up_before_the_first_event_still_costs_the_question() -> None:
    assert metered(b"event: mess", request_bytes=4000).usage == Usage(input=1000)
    assert metered(b'{"usa', stream=False, request_bytes=4000).usage == Usage(input=1000)


def test_an_error_in_mid_stream_is_remembered_by_its_type() -> None:
    meter = metered(event(START) + event({"type": "error", "error": {"type": "overloaded_error", "message": "later"}}))
    assert meter.error == "overloaded_error"


@pytest.mark.parametrize("told", [None, [], {"input_tokens": -1}, {"input_tokens": True}, {"input_tokens": 10**12}])
def test_a_count_that_is_none_changes_nothing(told: object) -> None:
    assert merged(FULL, told) == FULL


def test_more_hours_than_were_written_are_not_believed() -> None:
    told = {"cache_creation_input_tokens": 10, "cache_creation": {"ephemeral_1h_input_tokens": 99}}
    assert merged(Usage(), told) == Usage(cache_write_1h=10)


@given(st.binary(max_size=2000), st.booleans())
def test_no_bytes_can_break_the_meter(data: bytes, stream: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    assert metered(data, stream=stream).usage.output >= 0


def test_a_line_without_an_end_is_not_held_for_ever() -> None:
    meter = Meter("asked", stream=True)
    for _ in range(80):
        meter.feed(b"x" * 100_000)
    assert len(meter._held) <= 4 * 1024 * 1024
    meter.feed(b"\n" + STREAM)
    meter.finish()
    assert meter.usage == FULL


def test_deep_nesting_is_only_unreadable() -> None:
    assert metered(b"data: " + b"[" * 100_000 + b"\n").usage == Usage()
    assert json.loads(whole({}))["usage"] == {}
