"""What Go's, Rust's and Java's test runners leave, read as evidence. Under tests/data/reports is what they did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.evidence import MAX_BYTES, MAX_CASES, MAX_TEXT_CHARS, BadReport, Case, CaseOutcome, JUnit
from gates.reports import read_report

DATA = Path(__file__).parents[1] / "data" / "reports"
PASSED, FAILED, ERROR, SKIPPED = CaseOutcome.PASSED, CaseOutcome.FAILED, CaseOutcome.ERROR, CaseOutcome.SKIPPED


def read(data: bytes | str) -> tuple[Case, ...]:
    told = read_report(data if isinstance(data, bytes) else data.encode())
    assert isinstance(told, JUnit), told
    return told.cases


def kept(name: str) -> dict[str, CaseOutcome]:
    return {case.full_name: case.outcome for case in read((DATA / name).read_bytes())}


def bad(data: bytes | str) -> str:
    told = read_report(data if isinstance(data, bytes) else data.encode())
    assert isinstance(told, BadReport), told
    return told.reason


def events(*told: Mapping[str, object]) -> str:
    return "".join(
        json.dumps({"Action": one["Action"], "Package": "p", **one}, separators=(",", ":")) + "\n" for one in told
    )


def test_gos_events_tell_each_test_and_each_package_that_could_not_be_built() -> None:
    assert kept("go-test.json") == {
        "example.test/calc/crash::TestOne": PASSED,
        "example.test/calc/crash::TestTwo": ERROR,
        "example.test/calc::TestAdds": PASSED,
        "example.test/calc::TestTable/1": PASSED,
        "example.test/calc::TestTable/2": FAILED,
        "example.test/calc::TestTable": FAILED,
        "example.test/calc::TestLater": SKIPPED,
        "example.test/calc::ExampleAdd": PASSED,
        "example.test/calc/broken": ERROR,
    }


def test_what_a_failed_go_test_said_is_its_detail() -> None:
    (seen,) = [case for case in read((DATA / "go-test.json").read_bytes()) if case.name == "TestTable/2"]
    assert seen.detail == "    calc_test.go:18: two is 2\n"


def test_a_go_test_that_runs_twice_is_there_twice() -> None:
    once = ({"Action": "run", "Test": "T"}, {"Action": "pass", "Test": "T", "Elapsed": 0.5})
    assert [(case.name, case.seconds) for case in read(events(*once, *once))] == [("T", 0.5), ("T", 0.5)]


def test_a_go_test_that_begins_anew_without_an_end_is_an_error() -> None:
    told = events({"Action": "run", "Test": "T"}, {"Action": "run", "Test": "T"}, {"Action": "pass", "Test": "T"})
    assert [case.outcome for case in read(told)] == [ERROR, PASSED]


def test_what_newer_go_says_of_a_build_is_the_packages_detail() -> None:
    (case,) = read(
        events(
            {"ImportPath": "p [p.test]", "Action": "build-output", "Package": "", "Output": "a.go:1: no\n"},
            {"ImportPath": "p [p.test]", "Action": "build-fail", "Package": ""},
            {"Action": "fail", "FailedBuild": "p [p.test]"},
        )
    )
    assert (case.full_name, case.outcome, case.detail) == ("p", ERROR, "a.go:1: no\n")


@pytest.mark.parametrize("test", ["fail", None])
def test_a_go_package_that_passes_though_a_test_of_its_did_not_is_not_believed(test: str | None) -> None:
    ended = [{"Action": test, "Test": "T"}] if test else []
    assert "package passed" in bad(events({"Action": "run", "Test": "T"}, *ended, {"Action": "pass"}))


def test_a_go_package_that_passes_and_fails_is_not_believed() -> None:
    assert "package passed" in bad(events({"Action": "pass"}, {"Action": "fail"}))


@pytest.mark.parametrize("line", ["ok  \tp\t0.1s", "{", "[]", '{"Action":1}', "null"])
def test_what_is_no_event_of_gos_spoils_its_report(line: str) -> None:
    assert "no event" in bad(events({"Action": "run", "Test": "T"}, {"Action": "pass", "Test": "T"}) + line)


def test_gos_report_has_bounds() -> None:
    assert "over" in bad(b'{"Action":"x"}\n' + b" " * MAX_BYTES)
    assert "tests" in bad('{"Action":"pass","Test":"T"}\n' * (MAX_CASES + 1))
    loud = [{"Action": "output", "Test": "T", "Output": "x" * 1000}] * 50
    (case,) = read(events({"Action": "run", "Test": "T"}, *loud, {"Action": "fail", "Test": "T"}))
    assert len(case.detail) == MAX_TEXT_CHARS


def test_cargos_text_tells_each_test_of_each_program() -> None:
    assert kept("cargo-test.txt") == {
        "calc src/lib.rs::tests::later": SKIPPED,
        "calc src/lib.rs::tests::adds": PASSED,
        "calc src/lib.rs::tests::panics - should panic": PASSED,
        "crash tests/crash.rs": ERROR,
        "it tests/it.rs::adds": PASSED,
        "it tests/it.rs::is_wrong": FAILED,
        "calc documentation::src/lib.rs - add": PASSED,
        "calc documentation::src/lib.rs - add #2": PASSED,
    }


def test_what_a_failed_rust_test_printed_is_its_detail() -> None:
    (seen,) = [case for case in read((DATA / "cargo-test.txt").read_bytes()) if case.outcome is FAILED]
    assert seen.detail.startswith("said on the way\n")
    assert "no such sum" in seen.detail


def block(*lines: str, number: int, result: str) -> str:
    counts = f"test result: {result} 0 measured; 0 filtered out; finished in 0.00s"
    return "\n".join((f"running {number} tests", *lines, "", counts, ""))


GOOD = block("test a ... ok", "test b ... ok", number=2, result="ok. 2 passed; 0 failed; 0 ignored;")


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("running 2", "running 3"),
        GOOD.replace("2 passed", "3 passed"),
        GOOD.replace("test b ... ok", ""),
        GOOD.replace("test b ... ok", "test b ... FAILED"),
        GOOD.replace("test b ... ok", "test b ... ok\ntest c ... ok"),
        GOOD.replace("0 failed", "1 failed"),
        block("test a ... FAILED", number=1, result="ok. 0 passed; 1 failed; 0 ignored;"),
        block("test a ... ok", number=1, result="FAILED. 1 passed; 0 failed; 0 ignored;"),
    ],
)
def test_rust_lines_that_do_not_add_up_to_their_counts_are_not_believed(text: str) -> None:
    assert len(read(GOOD)) == 2
    assert "add up" in bad(text)
    assert "add up" in bad(GOOD + text + GOOD)


def test_a_rust_program_that_ends_before_its_result_is_red_whatever_its_exit_status() -> None:
    cut = GOOD.split("\ntest result")[0]
    assert [case.outcome for case in read(cut)] == [PASSED, PASSED, ERROR]
    assert [case.outcome for case in read(cut + "\n" + GOOD)] == [PASSED, PASSED, ERROR, PASSED, PASSED]


def test_a_line_that_is_printed_into_a_tests_own_is_let_go_by() -> None:
    text = GOOD.replace("test b ... ok", "test b ... INFO began\nmore\nok")
    assert [case.name for case in read(text)] == ["a", "b"]


def test_what_a_failed_test_printed_is_no_word_of_the_harness() -> None:
    text = block(
        "test a ... FAILED",
        "",
        "failures:",
        "",
        "---- a stdout ----",
        "test b ... ok",
        "running 7 tests",
        "",
        "failures:",
        "    a",
        number=1,
        result="FAILED. 0 passed; 1 failed; 0 ignored;",
    )
    (case,) = read(text)
    assert case.detail == "test b ... ok\nrunning 7 tests"


def test_a_documentation_test_keeps_its_name_when_lines_are_put_above_it() -> None:
    def names(first: int, second: int) -> list[tuple[str, CaseOutcome]]:
        lines = (f"test src/lib.rs - f (line {second}) ... ok", f"test src/lib.rs - f (line {first}) ... ignored")
        return [
            (case.name, case.outcome)
            for case in read(block(*lines, number=2, result="ok. 1 passed; 0 failed; 1 ignored;"))
        ]

    assert names(3, 9) == names(90, 120) == [("src/lib.rs - f", SKIPPED), ("src/lib.rs - f #2", PASSED)]


def test_cargos_text_has_bounds() -> None:
    assert "over" in bad("running 1 test\n" + "x" * MAX_BYTES)
    assert "tests" in bad("running 1 test\n" + "test a ... ok\n" * (MAX_CASES + 1))


def test_text_in_which_no_test_ran_is_a_report_of_no_test() -> None:
    assert read("   Compiling calc v0.1.0\nerror: could not compile `calc`\n") == ()


def test_surefires_many_files_are_one_report() -> None:
    assert kept("surefire.xml") == {
        "ex.CalcTest::adds": PASSED,
        "ex.CalcTest::later": SKIPPED,
        "ex.CalcTest::isWrong": FAILED,
        "ex.OtherTest::good": PASSED,
    }


@pytest.mark.parametrize("data", [b"", b"hello\n", b"<html/>", b"ok  \tp\t0.1s\n", b"{}", b"\xff\xfe"])
def test_what_has_no_known_form_is_a_bad_report(data: bytes) -> None:
    assert bad(data)


LINES = st.sampled_from(
    [
        *(DATA / "cargo-test.txt").read_bytes().splitlines(),
        *(DATA / "go-test.json").read_bytes().splitlines(),
        b"failures:",
        b"{}",
        b"",
    ]
)


@given(st.lists(LINES | st.binary(max_size=40), max_size=40))
def test_no_report_is_a_fault(lines: list[bytes]) -> None:
    told = read_report(b"\n".join(lines))
    assert isinstance(told, JUnit | BadReport)


@given(st.data())
def test_a_rust_report_that_loses_a_line_of_a_test_is_never_green(data: st.DataObject) -> None:
    number = data.draw(st.integers(1, 8))
    lines = [f"test t{at} ... ok" for at in range(number)]
    del lines[data.draw(st.integers(0, number - 1))]
    assert bad(block(*lines, number=number, result=f"ok. {number} passed; 0 failed; 0 ignored;"))
