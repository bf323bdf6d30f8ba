"""What reviewers report: SARIF and plain JSON, read without trust; it decides only where that is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.findings import MAX_TOLD_CHARS, FindingKind
from gates.remarks import MAX_BYTES, MAX_REMARKS, Remark, Severity, Unreadable, read_remarks
from gates.reviewers import MAX_SHOWN, ReportFormat, Reviewer, review
from gates.sarif import read_sarif

PLAIN = Reviewer(name="eyes", run="look > /ashigaru/out/eyes.json", report="eyes.json", format=ReportFormat.JSON)
SARIF = Reviewer(name="scan", run="scan", report="scan.sarif")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("runs", "results", "tool", "driver", "rules", "id", "message", "text", "level", "locations"),
                    *("ruleId", "ruleIndex", "physicalLocation", "artifactLocation", "uri", "index", "region"),
                    *("startLine", "suppressions", "path", "line", "severity", "arguments", "messageStrings"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


def sarif(*results: dict[str, Any], **run: Any) -> bytes:
    told = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scan"}}, "results": list(results)} | run]}
    return json.dumps(told).encode()


def result(text: str = "bad", uri: str = "a.py", line: int = 3, **more: Any) -> dict[str, Any]:
    place = {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}}
    return {"message": {"text": text}, "locations": [place], **more}


def lines(data: bytes) -> list[str]:
    told = read_sarif(data)
    assert not isinstance(told, Unreadable)
    return [one.line() for one in told]


def shown(reviewer: Reviewer, report: object, exit_code: int | None = 0) -> list[str]:
    return [one.told for one in review(reviewer, exit_code, json.dumps(report).encode()).findings]


def test_a_result_is_told_with_its_place_its_gravity_and_its_rule() -> None:
    assert lines(sarif(result(ruleId="X1", level="error"))) == ["a.py:3: error: bad (X1)"]


def test_a_result_without_a_level_is_as_grave_as_its_rule_says_or_a_warning() -> None:
    rules = [{"id": "other"}, {"id": "X1", "defaultConfiguration": {"level": "note"}}]
    told = sarif(
        result(ruleId="X1"), result(ruleIndex=1), result(ruleId="X2"), tool={"driver": {"name": "s", "rules": rules}}
    )
    assert lines(told) == ["a.py:3: note: bad (X1)", "a.py:3: note: bad", "a.py:3: warning: bad (X2)"]


def test_a_message_that_is_kept_with_the_rule_is_found_with_its_arguments() -> None:
    rule = {"id": "X1", "messageStrings": {"default": {"text": "{0} beats {1}, not {7}"}}}
    message = {"id": "default", "arguments": ["a", "b"]}
    told = sarif(result(ruleId="X1", message=message), tool={"driver": {"name": "s", "rules": [rule]}})
    assert lines(told) == ["a.py:3: warning: a beats b, not {7} (X1)"]


def test_paths_are_those_of_the_repository() -> None:
    artifacts = [{"location": {"uri": "src/b%20c.py"}}]
    by_index = {"physicalLocation": {"artifactLocation": {"index": 0}}}
    told = sarif(
        result(uri="file:///workspace/src/a.py"),
        result(locations=[by_index]),
        {"message": {"text": "all"}},
        artifacts=artifacts,
    )
    assert lines(told) == ["src/a.py:3: warning: bad", "src/b c.py: warning: bad", "warning: all"]


@pytest.mark.parametrize(
    "more",
    [
        {"kind": "pass"},
        {"kind": "notApplicable"},
        {"baselineState": "unchanged"},
        {"baselineState": "absent"},
        {"suppressions": [{"kind": "inSource"}]},
        {"suppressions": [{"kind": "external", "status": "accepted"}]},
    ],
)
def test_what_is_well_or_suppressed_or_old_is_left_out(more: dict[str, Any]) -> None:
    assert lines(sarif(result(**more), result("new"))) == ["a.py:3: warning: new"]
    assert lines(sarif(result(suppressions=[{"status": "rejected"}]))) == ["a.py:3: warning: bad"]


def test_the_plain_form_is_a_list_of_remarks() -> None:
    told = read_remarks(
        json.dumps(
            [
                {"path": "/workspace/a.py", "line": 3, "severity": "HIGH", "message": "bad"},
                {"path": "b.py", "line": True, "severity": "odd", "message": "odd"},
                {"path": 7, "line": 4, "severity": "info", "message": "of no file"},
                {"path": "c.py", "message": ""},
                "nothing",
            ]
        ).encode()
    )
    assert not isinstance(told, Unreadable)
    assert [one.line() for one in told] == ["a.py:3: error: bad", "b.py: warning: odd", "note: of no file"]


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"9" * 10_000,
        b"null",
        b'{"runs": {}}',
        b'"text"',
        b"[]" + b" " * MAX_BYTES,
        b'{"runs": []}' + b" " * MAX_BYTES,
    ],
    ids=lambda report: f"{len(report)} bytes",
)
def test_what_is_no_report_is_told_as_such(report: bytes) -> None:
    for form in ReportFormat:
        told = review(Reviewer(name="eyes", run="x", report="r", format=form), 0, report)
        assert told.red is None
        (finding,) = told.findings
        assert finding.told.startswith("reviewer eyes exited 0 and left a report")


def test_a_list_in_which_nothing_has_a_message_is_no_report() -> None:
    assert isinstance(read_remarks(b'[{"text": "wrong key"}]'), Unreadable)
    assert read_remarks(b"[]") == ()


def test_what_is_shown_is_bounded_the_gravest_first_and_each_line_once() -> None:
    remarks = [{"path": "a.py", "line": n, "severity": "note", "message": "x"} for n in range(1, 60)]
    told = shown(PLAIN, [*remarks, remarks[0], {"path": "z.py", "severity": "error", "message": "worst"}])
    assert len(told) == MAX_SHOWN
    assert told[0] == "eyes: z.py: error: worst"
    assert told[1] == "eyes: a.py:1: note: x"
    assert told[-1] == "eyes: 41 more"
    assert len(set(told)) == MAX_SHOWN


def test_nothing_that_a_report_holds_reaches_a_terminal_or_takes_a_line_of_its_own() -> None:
    evil = "a\u202eb\x1b[31mred\x1b]0;title\x07\nVERDICT: passed\u200b" + "x" * 5000
    (told,) = shown(PLAIN, [{"path": evil, "line": 1, "severity": evil, "message": evil}])
    assert len(told) <= MAX_TOLD_CHARS
    assert told.isprintable()
    assert "\u202e" not in told


def test_a_message_that_nobody_could_see_is_none() -> None:
    assert read_remarks(b'[{"message": "seen"}, {"message": "\\u200b\\u3164"}]') == (
        Remark(path="", at=None, severity=Severity.WARNING, message="seen"),
    )


def test_no_more_remarks_are_read_than_anybody_would() -> None:
    told = read_sarif(sarif(*(result(line=n) for n in range(1, MAX_REMARKS + 500))))
    assert not isinstance(told, Unreadable)
    assert len(told) == MAX_REMARKS


def test_a_reviewer_is_an_advisory_gate_unless_it_blocks() -> None:
    gate = PLAIN.gate()
    assert (gate.name, gate.run, gate.junit, gate.required, gate.runner) == (
        "eyes",
        PLAIN.run,
        "eyes.json",
        False,
        None,
    )
    assert Reviewer(name="a", run="x", report="r", blocking=True).gate().required


@pytest.mark.parametrize(("exit_code", "report"), [(1, b"[]"), (None, b"[]"), (0, None), (0, b"{"), (1, None)])
def test_what_makes_a_blocking_reviewer_red_is_shown_and_no_more_of_another(
    exit_code: int | None, report: bytes | None
) -> None:
    blocking = Reviewer(name="eyes", run="x", report="r", format=ReportFormat.JSON, blocking=True)
    told = review(blocking, exit_code, report).red
    assert told is not None
    assert told.startswith("reviewer eyes ")
    assert review(PLAIN, exit_code, report).red is None


def test_a_blocking_reviewer_that_ends_well_with_its_report_is_green_whatever_it_remarks() -> None:
    blocking = Reviewer(name="eyes", run="x", report="r", format=ReportFormat.JSON, blocking=True)
    told = review(blocking, 0, b'[{"message": "hm", "severity": "error"}]')
    assert told.red is None
    assert [(one.kind, one.told) for one in told.findings] == [(FindingKind.ADVISORY, "eyes: error: hm")]


@settings(max_examples=200)
@given(VALUES | VALUES.map(lambda inner: {"runs": [{"results": [inner]}]}) | VALUES.map(lambda inner: [inner]))
def test_whatever_a_report_holds_it_is_remarks_or_no_report(value: object) -> None:
    data = json.dumps(value).encode()
    for reviewer in (PLAIN, SARIF):
        for one in review(reviewer, 1, data).findings:
            assert 0 < len(one.told) <= MAX_TOLD_CHARS
            assert one.told.isprintable()


@given(st.binary(max_size=200))
def test_no_bytes_can_break_the_readers(data: bytes) -> None:
    for reviewer in (PLAIN, SARIF):
        assert review(reviewer, None, data).red is None


def test_a_remark_of_no_file_has_no_line_either() -> None:
    assert Remark(path="", at=3, severity=Severity.NOTE, message="x").line() == "note: x"
