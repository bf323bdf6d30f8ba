"""Tests of ours beside the repository's: shown exactly where nothing is bent, and not where something is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gates.evidence import Case, CaseOutcome, JUnit, read_junit
from gates.sentinel_forms import can_hold, is_module
from gates.sentinels import MAX_FILES, sentinels, shown, stripped
from gates.test_runners import TestRunner

TOKEN = "c0ffee"
TESTS = b"from calc import add\n\n\ndef test_adds():\n    assert add(1, 2) == 3\n"


def run_pytest(root: Path, source: str, *, loud: bool, tests: bytes = TESTS) -> tuple[int, JUnit]:
    """The exit status and the report of pytest on a tree with that source and those tests, added to."""
    (root / "calc.py").write_text(source, encoding="utf-8")
    (planted,) = sentinels(TestRunner.PYTEST, {"test_calc.py": tests}, TOKEN, loud=loud)
    (root / planted.path).write_bytes(planted.content)
    command = [
        sys.executable,
        "-I",
        "-c",
        "import sys; sys.path.insert(0, '.'); import pytest; sys.exit(pytest.main())",
    ]
    ran = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-o", "junit_family=xunit2", "--junitxml=out.xml", "-c", os.devnull],
        cwd=root,
        env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    report = read_junit((root / "out.xml").read_bytes()) if (root / "out.xml").exists() else JUnit(cases=())
    assert isinstance(report, JUnit), ran.stdout
    return ran.returncode, report


HONEST = "def add(a, b):\n    return a + b\n"


@pytest.mark.parametrize(("loud", "status"), [(False, 0), (True, 1)])
def test_pytest_shows_them_and_its_status_means_what_it_says_only_where_they_are_quiet(
    tmp_path: Path, *, loud: bool, status: int
) -> None:
    code, report = run_pytest(tmp_path, HONEST, loud=loud)
    (planted,) = sentinels(TestRunner.PYTEST, {"test_calc.py": TESTS}, TOKEN, loud=loud)
    assert (code, shown(report, planted)) == (status, True)
    assert [case.name for case in stripped(report, [planted]).cases] == ["test_adds"]


BENT = {
    "unittest's assertEqual says nothing": (
        "import unittest\nunittest.TestCase.assertEqual = lambda *_, **__: None\n" + HONEST
    ),
    "pytest.raises is content": (
        "import contextlib, pytest\npytest.raises = lambda *_, **__: contextlib.suppress(BaseException)\n" + HONEST
    ),
    "every report is called passed": (
        "import _pytest.reports as r\n"
        "old = r.TestReport.from_item_and_call.__func__\n"
        "def new(cls, item, call):\n"
        "    call.excinfo = None\n"
        "    return old(cls, item, call)\n"
        "r.TestReport.from_item_and_call = classmethod(new)\n" + HONEST
    ),
}


@pytest.mark.parametrize("source", BENT.values(), ids=BENT.keys())
@pytest.mark.parametrize("loud", [False, True])
def test_source_that_bends_what_tests_say_bends_them_too(tmp_path: Path, source: str, *, loud: bool) -> None:
    _, report = run_pytest(tmp_path, source, loud=loud)
    (planted,) = sentinels(TestRunner.PYTEST, {"test_calc.py": TESTS}, TOKEN, loud=loud)
    assert not shown(report, planted)


def test_each_tree_has_names_of_its_own_and_the_same_token_gives_the_same() -> None:
    files = {"test_a.py": b"", "test_b.py": b""}
    first = sentinels(TestRunner.PYTEST, files, "one", loud=True)
    again = sentinels(TestRunner.PYTEST, files, "one", loud=True)
    other = sentinels(TestRunner.PYTEST, files, "two", loud=True)
    assert first == again
    names = [name for one in (*first, *other) for name in (one.passes, *one.fails)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("passes", CaseOutcome.FAILED), ("passes", None), ("fails", CaseOutcome.PASSED), ("fails", None)],
)
def test_one_that_is_missing_twice_there_or_ended_otherwise_is_not_shown(
    name: str, outcome: CaseOutcome | None
) -> None:
    (one,) = sentinels(TestRunner.NODE, {"a.test.js": b""}, TOKEN, loud=True)
    good = [Case(name=one.passes), *(Case(name=told, outcome=CaseOutcome.FAILED) for told in one.fails)]
    assert shown(JUnit(cases=tuple(good)), one)
    assert not shown(JUnit(cases=(*good, good[0])), one)
    changed = one.passes if name == "passes" else one.fails[0]
    cases = [case for case in good if case.name != changed]
    if outcome is not None:
        cases.append(Case(name=changed, outcome=outcome))
    assert not shown(JUnit(cases=tuple(cases)), one)


def test_names_are_known_again_behind_what_runners_put_around_them() -> None:
    (one,) = sentinels(TestRunner.JEST, {"a.test.js": b""}, TOKEN, loud=False)
    cases = (Case(name=f"outer block {one.passes}"), *(Case(name=told) for told in one.fails))
    assert shown(JUnit(cases=cases), one)
    (rust,) = sentinels(TestRunner.CARGO, {"tests/it.rs": b""}, TOKEN, loud=False)
    assert shown(JUnit(cases=(Case(name=rust.passes), Case(name=f"{rust.fails[0]} - should panic"))), rust)


def test_files_that_cannot_be_added_to_are_left_and_there_is_a_bound() -> None:
    assert sentinels(TestRunner.GO, {"a_test.go": b"package a\n"}, TOKEN, loud=True) == ()
    assert sentinels(TestRunner.GO, {"a_test.go": b'package a\n\nimport "testing"\n'}, TOKEN, loud=True)
    assert not can_hold(TestRunner.PYTEST, "tests/helpers.py")
    assert not can_hold(TestRunner.MAVEN, "src/test/java/ATest.java")
    many = {f"test_{number}.py": b"" for number in range(MAX_FILES + 5)}
    assert len(sentinels(TestRunner.PYTEST, many, TOKEN, loud=True)) == MAX_FILES


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("a.mjs", b"", True),
        ("a.cjs", b"import x from 'y'", False),
        ("a.js", b"import x from 'y'", True),
        ("a.js", b"const x = require('y')", False),
        ("a.ts", b"export const a = 1", True),
    ],
)
def test_a_module_is_known_by_its_name_or_by_what_stands_in_it(path: str, content: bytes, *, told: bool) -> None:
    assert is_module(path, content) is told
