from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.evidence import (
    MAX_BYTES,
    MAX_CASES,
    MAX_NAME_CHARS,
    MAX_TEXT_CHARS,
    BadReport,
    Case,
    CaseOutcome,
    JUnit,
    read_junit,
)

# As pytest 9 writes it.
PYTEST = b"""<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1"
failures="1" skipped="1" tests="4" time="0.044" timestamp="2026-01-01T00:00:00+00:00" hostname="h">
<testcase classname="tests.test_a" name="test_good" time="0.001" />
<testcase classname="tests.test_a" name="test_bad[1-2]" time="0.002"><failure message="assert 1 == 2">def test_bad():
&gt;       assert 1 == 2
E       assert 1 == 2

tests/test_a.py:7: AssertionError</failure></testcase>
<testcase classname="tests.test_a" name="test_later" time="0">
<skipped type="pytest.skip" message="later">x</skipped>
</testcase>
<testcase classname="" name="tests.test_b" time="0">
<error message="collection failure">ImportError</error></testcase>
</testsuite></testsuites>"""


def read(data: bytes | str) -> JUnit:
    told = read_junit(data if isinstance(data, bytes) else data.encode("utf-8"))
    assert isinstance(told, JUnit)
    return told


def test_a_report_of_pytest_is_read_test_by_test() -> None:
    told = read(PYTEST)

    assert [case.outcome for case in told.cases] == [
        CaseOutcome.PASSED,
        CaseOutcome.FAILED,
        CaseOutcome.SKIPPED,
        CaseOutcome.ERROR,
    ]
    assert told.tests == 4
    assert [case.full_name for case in told.red] == ["tests.test_a::test_bad[1-2]", "tests.test_b"]
    assert told.red[0].message == "assert 1 == 2"
    assert told.red[0].detail.endswith("tests/test_a.py:7: AssertionError")
    assert told.red[0].seconds == 0.002


def test_the_totals_that_a_report_claims_are_not_believed() -> None:
    told = read('<testsuite tests="100" failures="0"><testcase name="a"><failure/></testcase></testsuite>')

    assert (told.tests, len(told.red)) == (1, 1)


def test_red_is_not_taken_back_by_what_is_said_after_it() -> None:
    told = read('<testsuite><testcase name="a"><failure message="m">t</failure><skipped/></testcase></testsuite>')

    assert told.cases == (Case(name="a", outcome=CaseOutcome.FAILED, message="m", detail="t"),)


def test_red_counts_though_a_skip_is_said_before_it() -> None:
    told = read('<testsuite><testcase name="a"><skipped>s</skipped><error message="m">t</error></testcase></testsuite>')

    assert told.cases == (Case(name="a", outcome=CaseOutcome.ERROR, message="m", detail="t"),)


def test_only_what_a_test_itself_says_is_its_outcome() -> None:
    told = read(
        "<testsuite><failure/><properties><skipped/></properties>"
        "<testcase name='a'><properties><failure/></properties><system-out>error</system-out></testcase></testsuite>"
    )

    assert told.cases == (Case(name="a"),)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"<testsuite>",
        b"<html/>",
        b"<testsuite>&nope;</testsuite>",
        b"<!DOCTYPE a><testsuite/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><testsuite>&b;</testsuite>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><testsuite>&b;</testsuite>',
        b"<?xml version='1.0' encoding='klingon'?><testsuite/>",
        b"<testsuite>" + b"<testcase/>" * (MAX_CASES + 1) + b"</testsuite>",
        b"<testsuite/>".ljust(MAX_BYTES + 1),
    ],
    ids=range(11),
)
def test_a_report_that_is_malformed_hostile_or_too_large_is_a_value_that_says_so(data: bytes) -> None:
    told = read_junit(data)

    assert isinstance(told, BadReport)
    assert told.reason.startswith("its report")


def test_a_report_at_the_bounds_is_read() -> None:
    told = read(
        b"<testsuite>"
        + b"<testcase/>" * (MAX_CASES - 1)
        + b"<testcase><error>"
        + b"x" * 1_000_000
        + b"</error></testcase></testsuite>"
    )

    assert told.tests == MAX_CASES
    assert len(told.cases[-1].detail) == MAX_TEXT_CHARS


def test_depth_costs_nothing_and_says_nothing() -> None:
    assert read(b"<testsuite>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</testsuite>").tests == 0


def test_long_names_are_cut() -> None:
    (case,) = read(f'<testsuite><testcase classname="{"c" * 999}" name="{"n" * 999}"/></testsuite>').cases

    assert case.full_name == f"{'c' * MAX_NAME_CHARS}::{'n' * MAX_NAME_CHARS}"


@pytest.mark.parametrize("told", ["", "nan", "inf", "-1", "1e300", "1,5", "soon", "9" * 100_000])
def test_a_time_that_is_no_time_is_zero(told: str) -> None:
    assert read(f'<testsuite><testcase time="{told}"/></testsuite>').cases[0].seconds == 0.0


@given(st.binary(max_size=400) | st.text(alphabet='<>/&;!?["]= testcaufilrokpd', max_size=200).map(str.encode))
def test_whatever_the_bytes_are_they_are_a_report_or_a_bad_one(data: bytes) -> None:
    assert isinstance(read_junit(data), JUnit | BadReport)


@given(st.integers(0, len(PYTEST)), st.integers(0, len(PYTEST)), st.binary(max_size=8))
def test_a_report_with_bytes_replaced_is_a_report_or_a_bad_one(start: int, end: int, put: bytes) -> None:
    told = read_junit(PYTEST[:start] + put + PYTEST[end:])

    assert isinstance(told, JUnit | BadReport)


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=600)
_INSIDE = st.sampled_from(
    ["", "<failure/>", "<error/>", "<skipped/>", "<failure/><skipped/>", "<system-out>x</system-out>"]
)


@given(st.lists(st.tuples(_TEXT, _TEXT, _INSIDE), max_size=12))
def test_every_test_of_a_well_formed_report_is_counted_once_within_its_bounds(told: list[tuple[str, str, str]]) -> None:
    cases = [
        f"<testcase classname={quoteattr(where)} name={quoteattr(name)}>{inside}</testcase>"
        for where, name, inside in told
    ]
    report = read_junit(("<testsuites><testsuite>" + "".join(cases) + "</testsuite></testsuites>").encode("utf-8"))
    if isinstance(report, BadReport):  # characters that XML has no place for
        assert any(not ch.isprintable() for where, name, _ in told for ch in where + name)
        return

    assert report.tests == len(told)
    assert len(report.red) == sum("failure" in inside or "error" in inside for _, _, inside in told)
    assert all(len(case.name) <= MAX_NAME_CHARS and len(case.classname) <= MAX_NAME_CHARS for case in report.cases)
