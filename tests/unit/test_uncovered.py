from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.changed_lines import changed_lines
from gates.findings import MAX_TOLD_CHARS, FindingKind
from gates.uncovered import MAX_BYTES, read_coverage, uncovered

JSON = json.dumps({"files": {"src/a.py": {"executed_lines": [1, 2, 3], "missing_lines": [5, 6, 9]}}}).encode()
COBERTURA = b"""<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM 'http://cobertura.sourceforge.net/xml/coverage-04.dtd'>
<coverage><sources><source>/workspace</source></sources><packages><package><classes>
<class filename="src/a.py"><lines><line number="2" hits="1"/><line number="5" hits="0"/><line number="6" hits="0"/>
<line number="9" hits="0"/></lines></class></classes></package></packages></coverage>"""
GO = b"mode: set\nx.org/calc/src/a.py:1.10,3.2 2 1\nx.org/calc/src/a.py:5.2,6.10 1 0\nb/src/a.py:9.1,9.4 1 0\n"


@pytest.mark.parametrize("report", [JSON, COBERTURA, GO], ids=["json", "cobertura", "go"])
def test_changed_lines_that_nothing_ran_are_told(report: bytes) -> None:
    found = uncovered(report, {"src/a.py": frozenset({2, 5, 6, 7, 9})})
    assert found is not None
    assert found.kind is FindingKind.UNCOVERED
    assert found.told == "no test runs 3 changed lines: src/a.py:5-6,9"


@pytest.mark.parametrize("report", [JSON, COBERTURA, GO], ids=["json", "cobertura", "go"])
def test_lines_that_ran_and_files_that_are_not_told_of_say_nothing(report: bytes) -> None:
    assert uncovered(report, {"src/a.py": frozenset({1, 2, 4})}) is None
    assert uncovered(report, {"src/b.py": frozenset({5})}) is None
    assert uncovered(report, {"xsrc/a.py": frozenset({5})}) is None


def test_a_line_that_ran_in_one_of_two_packages_ran() -> None:
    twice = b"mode: set\nm/a.go:1.1,2.2 1 0\nm/a.go:1.1,2.2 1 3\n"
    assert uncovered(twice, {"a.go": frozenset({1, 2})}) is None


def test_what_is_told_has_a_bound() -> None:
    many = {f"src/{'d' * 100}{n}.py": {"executed_lines": [], "missing_lines": list(range(1, 99, 2))} for n in range(30)}
    found = uncovered(json.dumps({"files": many}).encode(), {path: frozenset(range(99)) for path in many})
    assert found is not None
    assert len(found.told) <= MAX_TOLD_CHARS


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"{" + b'"files": {"a": {"executed_lines": {"a": 1}, "missing_lines": ["x", -1, 1e99, true]}}' + b"}",
        b'{"files": [1]}',
        b"<coverage><class filename='src/a.py'><line number='x' hits='-'/></class></coverage>",
        b"<!DOCTYPE coverage [<!ENTITY a 'b'>]><coverage/>",
        b"<coverage>",
        b"mode: set\nnonsense\nsrc/a.py:x.1,2.2 1 0\n",
        b"{" + b" " * MAX_BYTES + b"}",
    ],
)
def test_a_report_that_cannot_be_read_tells_nothing(report: bytes) -> None:
    assert uncovered(report, {"src/a.py": frozenset({1, 5})}) is None


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda data: b"mode: set\n" + data)))
def test_whatever_is_given_nothing_is_raised(data: bytes) -> None:
    read_coverage(data)


@pytest.mark.parametrize(
    ("old", "new", "numbers"),
    [
        (b"a\nb\nc\n", b"a\nx\nc\n", {2}),
        (b"a\nb\n", b"a\nb\nc\nd\n", {3, 4}),
        (b"a\nb\nc\n", b"a\nc\n", set()),
        (b"a\na\n", b"a\na\na\n", {3}),
        (None, b"a\nb\n", {1, 2}),
        (b"a\nb\nc\nd\n", b"x\nb\nc\ny\n", {1, 4}),
    ],
)
def test_changed_lines_are_those_of_the_new_file(old: bytes | None, new: bytes, numbers: set[int]) -> None:
    assert changed_lines(old, new) == numbers


def test_where_too_much_differs_all_between_counts_as_changed() -> None:
    old = b"".join(b"a%d\n" % n for n in range(5000))
    assert len(changed_lines(b"top\n" + old, b"top\n" + old.replace(b"a", b"b"))) == 5000


@given(st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=12), st.lists(st.sampled_from([b"a", b"b"]), max_size=12))
def test_lines_that_are_not_changed_are_the_old_ones_in_their_order(old: list[bytes], new: list[bytes]) -> None:
    changed = changed_lines(b"\n".join(old), b"\n".join(new))
    kept = iter(b"\n".join(old).splitlines())
    after = b"\n".join(new).splitlines()
    assert all(line in kept for number, line in enumerate(after, 1) if number not in changed)
