"""Makefiles and justfiles as gates, and which of several things that a repository shows is its judge."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.plan import GatePlan, NoGate, plan
from gates.task_project import just_project, make_project

NODE = json.dumps({"scripts": {"test": "node --test"}})


def found(files: Mapping[str, str]) -> GatePlan | NoGate:
    made = plan(None, list(files), lambda path: files[path].encode() if path in files else None)
    assert isinstance(made, GatePlan | NoGate)
    return made


def runs(files: Mapping[str, str]) -> list[str]:
    """`name: command` of each gate."""
    made = found(files)
    return [f"{gate.name}: {gate.run.split(' -p ')[0]}" for gate in made.gates] if isinstance(made, GatePlan) else []


@pytest.mark.parametrize(
    ("name", "text", "run"),
    [
        ("Makefile", "test:\n\tgo test ./...\n", "make test"),
        ("makefile", "check: all\n\t./check\n", "make check"),
        ("GNUmakefile", "check:\n\ntest:: all\n", "make test"),
        ("Makefile", "all: x\nlint test : all  # both\n\tgo test\n", "make test"),
        ("Makefile", ".PHONY: test\ntest: ; cargo test\n", "make test"),
        ("Makefile", "test: " + "a " * 2000 + "\n", "make test"),
        ("Makefile", "test: FLAGS = -v\ntest:\n\tgo test\n", "make test"),
        ("justfile", "test:\n  go test\n", "just test"),
        ("Justfile", "# all\n@check: build\n  ./check\n", "just check"),
        (".justfile", "test *ARGS:\n  go test {{ARGS}}\n", "just test"),
        ("JUSTFILE", 'test what="all":\n  go test\n', "just test"),
        ("justfile", "alias test := unit\nunit:\n  go test\n", "just test"),
    ],
)
def test_a_task_for_tests_is_the_gate_and_its_runners_counts_the_evidence(name: str, text: str, run: str) -> None:
    made = found({name: text, "main.go": ""})

    assert isinstance(made, GatePlan)
    (gate,) = made.gates
    assert (gate.name, gate.run, gate.junit, gate.printed) == ("test", run, None, True)
    assert made.setup is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Makefile", ""),
        ("Makefile", ".PHONY: test check\n"),
        ("Makefile", "test := 1\ncheck = 2\ntest ::= 3\ncheck ?= 4\n"),
        ("Makefile", "all:\n\ttest: not a rule\n"),
        ("Makefile", "# test: nothing\nall: test\n"),
        ("Makefile", "tests: all\nunit-test:\n"),
        ("Makefile", "a" + " " * 100_000),
        ("Makefile", "a" * 2000 + " test:\n"),
        ("sub/Makefile", "test:\n"),
        ("justfile", "test what:\n  go test {{what}}\n"),
        ("justfile", "test := 'x'\nset test := true\n"),
        ("justfile", "build:\n  test: not a recipe\n"),
        ("justfile", "_test:\n"),
        ("sub/justfile", "test:\n"),
    ],
)
def test_what_is_not_a_task_for_tests_is_no_gate(name: str, text: str) -> None:
    assert isinstance(found({name: text}), NoGate)


@given(st.text())
def test_no_text_is_a_fault_as_a_makefile_or_a_justfile(text: str) -> None:
    for look, name in ((make_project, "Makefile"), (just_project, "justfile")):
        look([name], lambda _: text.encode())


def test_the_makefile_that_make_would_read_is_the_one_that_is_read() -> None:
    assert runs({"GNUmakefile": "all:\n", "Makefile": "test:\n"}) == []


def test_a_runner_that_is_known_goes_before_a_task_that_may_hide_it() -> None:
    assert runs({"tests/test_a.py": "", "Makefile": "test:\n"}) == ["test: python3 -m pytest"]
    (only,) = runs({"package.json": NODE, "justfile": "test:\n"})
    assert only.endswith("npm test")


def test_make_goes_before_just() -> None:
    assert runs({"justfile": "test:\n", "Makefile": "check:\n"}) == ["test: make check"]
    assert runs({"justfile": "test:\n", "Makefile": "all:\n"}) == ["test: just test"]


def test_a_repository_of_python_and_node_is_judged_by_both() -> None:
    files = {
        "requirements.txt": "attrs\n",
        "tests/test_a.py": "",
        "package.json": json.dumps({"scripts": {"test": "node --test"}, "dependencies": {"a": "1"}}),
        "package-lock.json": "{}",
    }

    made = found(files)

    assert isinstance(made, GatePlan)
    assert [gate.name for gate in made.gates] == ["python", "node"]
    assert made.setup is not None
    assert made.setup.matching(list(files)) == ("package-lock.json", "package.json", "requirements.txt")
    assert "pip install" in made.setup.commands[1]
    assert "npm ci" in made.setup.commands[2]
    assert {"CI", "PYTHONPATH"} <= dict(made.environment).keys()


def test_a_task_finds_what_the_projects_files_say_that_they_need() -> None:
    made = found({"pyproject.toml": '[project]\ndependencies = ["attrs"]\n', "Makefile": "check:\n"})

    assert isinstance(made, GatePlan)
    assert made.gates[0].run == "make check"
    assert made.setup is not None
    assert "attrs" in made.setup.commands[-1]


def test_a_package_json_without_tests_does_not_keep_pytest_from_judging() -> None:
    assert runs({"package.json": "{}", "test_a.py": ""}) == ["test: python3 -m pytest"]
