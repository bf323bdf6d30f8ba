from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from gates.evidence import Case, CaseOutcome
from gates.report import MAX_CASES_SHOWN, MAX_REPORT_BYTES, failure_report, middle_cut
from gates.text import plain

TRACE = """def test_total():
        order = Order()
>       assert order.total() == 12
E       assert 11 == 12
E        +  where 11 = total()

tests/test_order.py:9: AssertionError"""


def red(name: str, message: str = "", detail: str = "") -> Case:
    return Case(name=name, classname="tests.test_order", outcome=CaseOutcome.FAILED, message=message, detail=detail)


def test_a_report_names_the_test_its_trace_and_how_the_output_ends() -> None:
    told = failure_report("1 of 9 tests failed", [red("test_total", "assert 11 == 12", TRACE)], b"FAILED\n1 failed")

    assert told == (
        f"1 of 9 tests failed\n\nFAILED tests.test_order::test_total\n{TRACE}\n\nThe output ends:\nFAILED\n1 failed"
    )


def test_a_message_that_the_trace_does_not_hold_is_kept() -> None:
    told = failure_report("no", [red("test_total", "the till is open", TRACE)], b"")

    assert "\nthe till is open\ndef test_total" in told


def test_a_trace_that_is_there_twice_is_shown_once() -> None:
    told = failure_report("no", [red("test_a", "", TRACE), red("test_b", "", TRACE)], b"")

    assert told.count("assert order.total() == 12") == 1
    assert "FAILED tests.test_order::test_b\nas tests.test_order::test_a above" in told


def test_tests_without_a_trace_are_each_named() -> None:
    told = failure_report("no", [red("test_a"), red("test_b")], b"")

    assert told == "no\n\nFAILED tests.test_order::test_a\n\nFAILED tests.test_order::test_b"


def test_of_a_long_trace_the_lines_that_tell_are_kept() -> None:
    source = "\n".join(f"    line_{number} = {number}" for number in range(2000))

    told = failure_report("no", [red("test_total", "assert 11 == 12", f"{source}\n{TRACE}")], b"")

    assert "line_7" not in told
    assert "E       assert 11 == 12" in told
    assert "tests/test_order.py:9: AssertionError" in told


def test_of_a_long_text_without_telling_lines_head_and_tail_are_kept() -> None:
    told = failure_report("no", [red("test_total", "", "first " + "x" * 20_000 + " last")], b"")

    assert "first x" in told
    assert told.endswith("x last")
    assert "[...]" in told


def test_many_failures_share_the_room_and_the_rest_are_counted() -> None:
    cases = [red(f"test_{number}", f"no {number}", f"{number} " * 2000) for number in range(40)]

    told = failure_report("40 of 40 tests failed", cases, b"end of it")

    assert all(f"FAILED tests.test_order::test_{number}\n" in told for number in range(MAX_CASES_SHOWN))
    assert "... and 28 more failed." in told
    assert told.endswith("The output ends:\nend of it")


def test_an_output_with_no_tests_named_is_shown_at_length_from_a_whole_line() -> None:
    output = "\n".join(f"line {number}" for number in range(5000)).encode()

    told = failure_report("lint exited 1", [], output)

    assert told.endswith("line 4998\nline 4999")
    assert told.split("\n")[3].startswith("line ")
    assert len(told.encode()) > MAX_REPORT_BYTES // 2


def test_nothing_in_a_report_is_hidden_or_commands_a_terminal() -> None:
    nasty = "\x1b[31mred\x1b[0m\x1b]0;title\x07 a\u202eb\u200bc\x00d\x9be\ufefff\U000e0041g\rh"

    told = failure_report(nasty, [red(nasty, nasty, nasty)], nasty.encode())

    assert not set(told) & set("\x1b\x07\x00\x9b\r\u202e\u200b\ufeff\U000e0041")
    assert "title" not in told
    assert "red abcdefg" in told


_WILD = st.text(max_size=200) | st.sampled_from(
    ["\x1b[31m" * 500, "é" * 9000, "\n" * 9000, "E   x\n" * 3000, "\u202e" * 50]
)
_CASES = st.lists(st.builds(red, _WILD, _WILD, _WILD), max_size=16)


@given(_WILD, _CASES, st.binary(max_size=2000) | _WILD.map(lambda text: text.encode("utf-8", "replace")))
def test_a_report_is_bounded_clean_and_always_the_same(headline: str, cases: list[Case], output: bytes) -> None:
    told = failure_report(headline, cases, output)

    assert len(told.encode("utf-8")) <= MAX_REPORT_BYTES
    assert plain(told, keep_newlines=True) == told
    assert all(ch in {"\n", "\t"} or unicodedata.category(ch) not in {"Cc", "Cf", "Cs", "Co"} for ch in told)
    assert failure_report(headline, cases, output) == told


@given(st.text(max_size=200), st.integers(0, 100))
def test_a_cut_keeps_its_bound_and_a_second_one_changes_nothing(text: str, bound: int) -> None:
    cut = middle_cut(text, bound)

    assert len(cut.encode("utf-8")) <= bound
    assert middle_cut(cut, bound) == cut
