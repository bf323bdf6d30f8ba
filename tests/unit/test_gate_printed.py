"""Counts that test runners print, and jest's own report."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.evidence import MAX_BYTES, MAX_CASES, BadReport, CaseOutcome, JUnit
from gates.printed import Printed, read_printed
from gates.reports import read_report

NODE = "".join(f"\u2139 {word} {number}\n" for word, number in (("tests", 4), ("pass", 2), ("fail", 1), ("skipped", 1)))


@pytest.mark.parametrize(
    ("output", "passed", "failed", "skipped"),
    [
        (NODE, 2, 1, 1),
        ("TAP version 13\n1..0\n# tests 0\n# suites 0\n# pass 0\n# fail 0\n", 0, 0, 0),
        ("Test Suites: 1 failed, 1 passed, 2 total\nTests:       1 failed, 1 skipped, 5 passed, 7 total\n", 5, 1, 1),
        ("\x1b[1mTests:       \x1b[22m\x1b[32m3 passed\x1b[39m, 3 total\n", 3, 0, 0),
        ("Tests:       0 total\n", 0, 0, 0),
        (" Test Files  1 failed | 1 passed (2)\n      Tests  1 failed | 4 passed | 2 skipped (7)\n", 4, 1, 2),
        ("  3 passing (12ms)\n  1 pending\n  2 failing\n", 3, 2, 1),
        ("======= 1 failed, 3 passed, 2 skipped, 1 warning in 0.12s =======\n", 3, 1, 2),
        ("3 passed, 1 error in 61.20s (0:01:01)\n", 3, 1, 0),
        ("no tests ran in 0.01s\n", 0, 0, 0),
        ("Ran 5 tests in 0.010s\n\nOK\n", 5, 0, 0),
        ("Ran 5 tests in 0.010s\n\nFAILED (failures=1, errors=1, skipped=1)\n", 2, 2, 1),
        ("Ran 0 tests in 0.000s\n\nNO TESTS RAN\n", 0, 0, 0),
        ("test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n", 4, 0, 1),
        ("3 passed in 0.10s\n" + NODE, 5, 1, 1),
    ],
)
def test_a_runners_summary_is_counted(output: str, passed: int, failed: int, skipped: int) -> None:
    assert read_printed(output.encode()) == Printed(passed=passed, failed=failed, skipped=skipped)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "ok  \texample.com/calc\t0.01s\n",
        "All checks passed!\n",
        "OK\n",
        "2 files checked in 0.2s\n",
        "pass 3\n",
        "I saw # pass 3 somewhere\n",
        "Ran 5 tests in 0.010s\n",
        "=" * 400 + " 3 passed in 0.10s",
    ],
)
def test_what_no_known_runner_printed_counts_nothing(output: str) -> None:
    assert read_printed(output.encode()) is None


@given(st.binary(max_size=400))
def test_no_output_is_a_fault(output: bytes) -> None:
    read_printed(output)
    read_report(b"{" + output)


def jest(*files: dict[str, Any]) -> bytes:
    return json.dumps({"numTotalTests": 99, "testResults": list(files)}).encode()


def test_jests_report_tells_each_test_by_its_file_and_its_full_name() -> None:
    told = read_report(
        jest(
            {
                "name": "/workspace/src/a.test.js",
                "status": "failed",
                "assertionResults": [
                    {"fullName": "sum adds", "status": "passed"},
                    {"fullName": "sum subtracts", "status": "failed", "failureMessages": ["Error: 1 != 2", "at a:1"]},
                    {"fullName": "sum waits", "status": "pending"},
                    {"title": "later", "status": "todo"},
                ],
            }
        )
    )

    assert isinstance(told, JUnit)
    assert [case.full_name for case in told.cases] == [
        "src/a.test.js::sum adds",
        "src/a.test.js::sum subtracts",
        "src/a.test.js::sum waits",
        "src/a.test.js::later",
    ]
    assert told.red[0].detail == "Error: 1 != 2\nat a:1"
    assert told.count(CaseOutcome.SKIPPED) == 2


def test_a_file_that_jest_could_not_run_is_red() -> None:
    told = read_report(
        jest({"name": "/workspace/a.test.js", "status": "failed", "message": "SyntaxError", "assertionResults": []})
    )

    assert isinstance(told, JUnit)
    assert [(case.name, case.outcome, case.detail) for case in told.cases] == [
        ("a.test.js", CaseOutcome.ERROR, "SyntaxError")
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"{}",
        b'{"testResults": 1}',
        b'{"testResults": [1]}',
        b'{"a":' + b"[" * 100_000,
        b'{"testResults": [], "a": "' + b"x" * MAX_BYTES + b'"}',
        jest({"assertionResults": [{}] * (MAX_CASES + 1)}),
    ],
)
def test_a_report_of_jests_that_cannot_be_relied_on_says_why(data: bytes) -> None:
    told = read_report(data)

    assert isinstance(told, BadReport)
    assert told.reason


def test_any_other_report_is_read_as_junit() -> None:
    told = read_report(b'<testsuite><testcase name="a"/></testsuite>')

    assert isinstance(told, JUnit)
    assert told.tests == 1
