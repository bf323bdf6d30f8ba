"""What a repository's files show: whether there are tests, how they are run and what they need."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.ecosystem import OUT
from gates.plan import NoGate
from gates.test_runners import TestRunner
from tests.fakes.gate_plans import GO, GRADLE, MAVEN, RUST, found, planned, set_up


@pytest.mark.parametrize(
    ("files", "runner", "report"),
    [
        (GO, TestRunner.GO, "go-test.json"),
        (RUST, TestRunner.CARGO, "cargo-test.txt"),
        (MAVEN, TestRunner.MAVEN, "junit-test.xml"),
        (GRADLE, TestRunner.GRADLE, "junit-test.xml"),
        ({"test_a.py": ""}, TestRunner.PYTEST, "junit-test.xml"),
    ],
)
def test_each_ecosystem_has_a_gate_that_promises_a_report(
    files: dict[str, str], runner: TestRunner, report: str
) -> None:
    (gate,) = planned(files).gates
    assert (gate.name, gate.runner, gate.junit) == ("test", runner, report)
    assert f"{OUT}/{report}" in gate.run


@pytest.mark.parametrize(
    ("script", "runner"),
    [
        ("jest", TestRunner.JEST),
        ("vitest run", TestRunner.VITEST),
        ("mocha", TestRunner.MOCHA),
        ("node --test", TestRunner.NODE),
        ("jest --json", TestRunner.JEST),
        ("./check", None),
    ],
)
def test_a_nodes_gate_says_whose_tests_it_runs(script: str, runner: TestRunner | None) -> None:
    (gate,) = planned({"package.json": f'{{"scripts": {{"test": "{script}"}}}}'}).gates
    assert gate.runner is runner


def test_a_repository_of_several_ecosystems_has_the_gates_of_all_in_their_order() -> None:
    node = {"package.json": '{"scripts": {"test": "jest"}}'}
    made = planned({**MAVEN, **RUST, **GO, **node, "test_a.py": ""})
    assert [gate.name for gate in made.gates] == ["python", "node", "go", "rust", "java"]


def test_an_ecosystem_without_tests_leaves_the_others_their_gate_and_is_set_up_all_the_same() -> None:
    made = planned({"go.mod": "module a\nrequire b v1.0.0\n", "a.go": "", "test_a.py": ""})
    assert [gate.name for gate in made.gates] == ["test"]
    assert made.setup is not None
    assert made.setup.commands == ("go mod download",)


@pytest.mark.parametrize(
    "path",
    ["vendor/b/b_test.go", "testdata/a_test.go", "_old/a_test.go", ".x/a_test.go", "_a_test.go", "sub/a_test.go"],
)
def test_tests_that_go_would_not_run_are_no_gate(path: str) -> None:
    assert isinstance(found({"go.mod": "module a\n", "sub/go.mod": "module sub\n", path: ""}), NoGate)


@pytest.mark.parametrize(
    ("files", "needed"),
    [
        (GO, False),
        ({**GO, "go.mod": "module a\n\nrequire (\n\tb v1.0.0\n)\n"}, True),
        ({**GO, "go.mod": "module a\n\nrequire b v1.0.0\n"}, True),
        ({**GO, "go.mod": "module a\n\nrequire b v1.0.0\n", "vendor/modules.txt": ""}, False),
        ({**GO, "go.mod": "module require\n// require b\n"}, False),
    ],
)
def test_go_modules_are_fetched_only_where_they_are_needed_and_not_there(
    files: dict[str, str], *, needed: bool
) -> None:
    assert (set_up(files) == "go mod download") is needed


@pytest.mark.parametrize(
    "files",
    [
        {"src/lib.rs": "#[test]\nfn a() {}\n"},
        {"src/lib.rs": "#[tokio::test]\nasync fn a() {}\n"},
        {"src/lib.rs": "/// ```\n/// a();\n/// ```\npub fn a() {}\n"},
        {"crates/a/tests/it.rs": ""},
        {"tests/it/main.rs": ""},
        {f"src/m{number}.rs": "" for number in range(101)},
    ],
)
def test_rust_tests_are_found_in_their_files_and_in_source(files: dict[str, str]) -> None:
    assert planned({"Cargo.toml": "[workspace]\n", **files}).gates[0].runner is TestRunner.CARGO


@pytest.mark.parametrize(
    "files",
    [
        {"Cargo.toml": "[package]\n", "src/main.rs": "fn main() {}\n"},
        {"Cargo.toml": "not toml [", "tests/it.rs": ""},
        {"Cargo.toml": b"\xff", "tests/it.rs": ""},
        {"sub/Cargo.toml": "[package]\n", "sub/tests/it.rs": ""},
    ],
)
def test_without_rust_tests_or_a_manifest_on_top_there_is_no_gate(files: dict[str, str | bytes]) -> None:
    assert isinstance(found(files), NoGate)


@pytest.mark.parametrize(
    ("more", "needed"),
    [
        ({}, False),
        ({"Cargo.toml": '[dependencies]\nb = "1"\n'}, True),
        ({"Cargo.toml": '[dev-dependencies]\nb = { version = "1" }\n'}, True),
        ({"Cargo.toml": '[target."cfg(unix)".dependencies]\nb = "1"\n'}, True),
        ({"Cargo.toml": '[workspace.dependencies]\nb = { git = "x" }\n'}, True),
        ({"Cargo.toml": "[workspace]\n", "a/Cargo.toml": '[dependencies]\nb = "1"\n'}, True),
        ({"Cargo.toml": '[dependencies]\nb = { path = "../b" }\n'}, False),
        (
            {"Cargo.toml": '[dependencies]\nb = "1"\n', ".cargo/config.toml": '[source.v]\ndirectory = "vendor"\n'},
            False,
        ),
    ],
)
def test_crates_are_fetched_only_where_they_are_needed_and_not_there(more: dict[str, str], *, needed: bool) -> None:
    told = set_up({**RUST, **more})
    assert ("cargo fetch" in told) is needed
    assert "--locked" not in told
    assert not needed or "--locked" in set_up({**RUST, **more, "Cargo.lock": ""})


def test_every_member_is_tested_unless_the_workspace_says_which() -> None:
    assert "--workspace" in planned(RUST).gates[0].run
    some = {**RUST, "Cargo.toml": '[workspace]\ndefault-members = ["a"]\n'}
    assert "--workspace" not in planned(some).gates[0].run


def test_maven_is_set_up_by_a_test_of_each_module() -> None:
    told = set_up(
        {
            **MAVEN,
            "src/test/java/ex/OtherTest.java": "",
            "web/src/test/java/ex/PageTest.java": "",
            "web/src/test/java/ex/Helper.java": "",
            "web/src/main/java/ex/SomeTest.java": "",
        }
    )
    assert "-Dtest=CalcTest,PageTest test" in told


def test_maven_comes_before_gradle_and_neither_is_asked_without_tests() -> None:
    (gate,) = planned({**MAVEN, **GRADLE}).gates
    assert gate.runner is TestRunner.MAVEN
    assert isinstance(found({"pom.xml": "", "src/main/java/A.java": ""}), NoGate)
    assert isinstance(found({"settings.gradle": "", "src/main/java/A.java": ""}), NoGate)


@pytest.mark.parametrize("files", [MAVEN, GRADLE])
def test_a_wrapper_of_the_trees_is_not_run(files: dict[str, str]) -> None:
    made = planned({**files, "mvnw": "", "gradlew": ""})
    assert not any(name in made.gates[0].run + set_up(files) for name in ("mvnw", "gradlew"))


@pytest.mark.parametrize(("path", "said"), [(".pre-commit-config.yaml", "pre-commit"), ("go.work", "go.mod")])
def test_what_is_recognised_but_cannot_run_sealed_is_told_of(path: str, said: str) -> None:
    made = found({path: ""})
    assert isinstance(made, NoGate)
    assert said in made.reason


@given(
    st.sampled_from(["go.mod", "Cargo.toml", "a/Cargo.toml", ".cargo/config.toml", "pom.xml"]), st.binary(max_size=60)
)
def test_no_manifest_is_a_fault(path: str, content: bytes) -> None:
    found({**GO, **RUST, **MAVEN, path: content})
