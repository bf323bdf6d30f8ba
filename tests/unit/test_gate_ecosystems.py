"""What Go's, Rust's and Java's files show: whether there are tests, how they are run and what they need."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.ecosystem import ENV, OUT, WORKSPACE
from gates.evidence import CaseOutcome, JUnit
from gates.plan import GatePlan, NoGate, plan, setup_script, shell_script
from gates.reports import read_report
from gates.test_runners import TestRunner

DATA = Path(__file__).parents[1] / "data" / "reports"
GO = {"go.mod": "module a\n", "a_test.go": ""}
RUST = {"Cargo.toml": '[package]\nname = "a"\n', "tests/it.rs": ""}
MAVEN = {"pom.xml": "<project/>", "src/test/java/ex/CalcTest.java": ""}
GRADLE = {"build.gradle.kts": "", "src/test/kotlin/CalcTest.kt": ""}


def found(files: Mapping[str, str | bytes]) -> GatePlan | NoGate:
    def read(path: str) -> bytes | None:
        told = files.get(path)
        return told.encode() if isinstance(told, str) else told

    made = plan(None, list(files), read)
    assert isinstance(made, GatePlan | NoGate)
    return made


def planned(files: Mapping[str, str | bytes]) -> GatePlan:
    made = found(files)
    assert isinstance(made, GatePlan)
    return made


def set_up(files: Mapping[str, str | bytes]) -> str:
    setup = planned(files).setup
    return "" if setup is None else "\n".join(setup.commands)


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


def run(files: Mapping[str, str | bytes], root: Path, programs: Mapping[str, str]) -> tuple[int, str, Path]:
    """The gate's script with the sandbox's places below `root` and shell scripts for programs; and what came."""
    made = planned(files)
    for name in ("bin", "work", "env", "out", "tmp"):
        (root / name).mkdir(exist_ok=True)
    for name, text in programs.items():
        (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (root / "bin" / name).chmod(0o755)
    script = shell_script(made, made.gates[0])
    for there, here in (("/tmp", "tmp"), (WORKSPACE, "work"), (OUT, "out"), (ENV, "env")):  # noqa: S108 - inside
        script = script.replace(there, str(root / here))
    done = subprocess.run(
        ["sh", "-c", script],
        env={"PATH": f"{root}/bin:{os.defpath}", "DATA": str(DATA)},
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    assert made.gates[0].junit is not None
    return done.returncode, done.stdout, root / "out" / made.gates[0].junit


@pytest.mark.parametrize("status", [0, 1, 3])
def test_a_gates_status_is_its_test_runners_and_its_report_what_that_left(tmp_path: Path, status: int) -> None:
    go, cargo = f'cat "$DATA/go-test.json"; exit {status}', f'cat "$DATA/cargo-test.txt"; exit {status}'
    mvn = (
        f"mkdir -p a/target/surefire-reports; echo '<testsuite/>' >a/target/surefire-reports/TEST-a.xml; exit {status}"
    )
    gradle = f"mkdir -p build/test-results/test; echo '<testsuite/>' >build/test-results/test/TEST-a.xml; exit {status}"
    cases = ((GO, {"go": go}), (RUST, {"cargo": cargo}), (MAVEN, {"mvn": mvn}), (GRADLE, {"gradle": gradle}))
    for number, (files, programs) in enumerate(cases):
        (tmp_path / str(number)).mkdir()
        code, _, report = run(files, tmp_path / str(number), programs)
        assert code == status
        assert isinstance(read_report(report.read_bytes()), JUnit)


def test_gos_report_leaves_out_whose_turn_it_is_and_nothing_else(tmp_path: Path) -> None:
    lines = (
        '{"Action":"run","Package":"p","Test":"T"}',
        '{"Action":"pause","Package":"p","Test":"T"}',
        r'{"Action":"output","Package":"p","Test":"T","Output":"=== PAUSE T\n"}',
        r'{"Action":"output","Package":"p","Test":"T","Output":"said \"Action\":\"pause\"\n"}',
        '{"Action":"fail","Package":"p","Test":"T"}',
    )
    (tmp_path / "told").write_text("\n".join(lines), encoding="utf-8")
    _, _, report = run(GO, tmp_path, {"go": f"cat {tmp_path}/told"})
    assert report.read_text(encoding="utf-8").splitlines() == [lines[0], *lines[3:]]


def test_what_cargo_says_of_a_build_that_failed_is_printed(tmp_path: Path) -> None:
    code, output, _ = run(RUST, tmp_path, {"cargo": "echo 'error: no such thing' >&2; exit 101"})
    assert (code, output) == (101, "error: no such thing\n")


@pytest.mark.parametrize(
    ("files", "program", "where"),
    [(MAVEN, "mvn", "target/surefire-reports"), (GRADLE, "gradle", "build/test-results/test")],
)
def test_reports_that_the_tree_brings_along_are_none(
    tmp_path: Path, files: dict[str, str], program: str, where: str
) -> None:
    planted = tmp_path / "work" / "sub" / where
    planted.mkdir(parents=True)
    (planted / "TEST-a.xml").write_text('<testsuite><testcase name="planted"/></testsuite>', encoding="utf-8")
    _, _, report = run(files, tmp_path, {program: "exit 0"})
    assert read_report(report.read_bytes()) == JUnit(cases=())


def test_java_reports_are_gathered_in_order_without_declarations(tmp_path: Path) -> None:
    def one(name: str, inside: str) -> str:
        head = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<testsuite>\n  <properties>\n    <property name="a" value="b"/>\n'
        )
        return f"{head}  </properties>\n  <testcase name='{name}'>{inside}</testcase>\n</testsuite>"

    where = tmp_path / "reports"
    where.mkdir()
    (where / "TEST-b.xml").write_text(one("b", "<failure>no</failure>"), encoding="utf-8")
    (where / "TEST-a.xml").write_text(one("a", ""), encoding="utf-8")
    mvn = f"mkdir -p 'my module/target/surefire-reports'; cp {where}/* 'my module/target/surefire-reports'; exit 1"
    _, _, report = run(MAVEN, tmp_path, {"mvn": mvn})
    told = read_report(report.read_bytes())
    assert isinstance(told, JUnit)
    assert [(case.name, case.outcome) for case in told.cases] == [
        ("a", CaseOutcome.PASSED),
        ("b", CaseOutcome.FAILED),
    ]
    assert b"property " not in report.read_bytes()


def test_what_was_set_up_for_cargo_is_linked_into_a_home_that_can_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "env" / "cargo" / "registry").mkdir(parents=True)
    code, output, _ = run(RUST, tmp_path, {"cargo": 'touch "$CARGO_HOME/.lock" && readlink "$CARGO_HOME/registry"'})
    assert (code, output) == (0, f"{tmp_path}/env/cargo/registry\n")


def test_what_was_set_up_for_maven_is_a_repository_of_links(tmp_path: Path) -> None:
    (tmp_path / "env" / "m2" / "a").mkdir(parents=True)
    (tmp_path / "env" / "m2" / "a" / "a.jar").write_bytes(b"")
    writable = tmp_path / "tmp" / "m2" / "a"
    code, output, _ = run(MAVEN, tmp_path, {"mvn": f"touch {writable}/new; readlink {writable}/a.jar"})
    assert (code, output) == (0, f"{tmp_path}/env/m2/a/a.jar\n")


def test_every_set_up_is_a_script_that_a_shell_can_read() -> None:
    more = {"go.mod": "require b v1\n", "Cargo.toml": '[dependencies]\nb = "1"\n'}
    for files in ({**GO, **RUST, **MAVEN, **more}, GRADLE):
        made = planned(files)
        assert made.setup is not None
        for text in (setup_script(made, made.setup), *made.setup.commands):
            subprocess.run(["sh", "-n", "-c", text], check=True, timeout=10)


TOX = {"tox.ini": "[tox]\nenv_list = py\n\n[testenv]\ndeps = b\ncommands = python -m unittest\n", "checks/a.py": ""}


def test_tox_is_the_gate_where_it_is_the_only_word_on_tests() -> None:
    (gate,) = planned(TOX).gates
    assert gate.run.startswith(f"cp -a {ENV}/tox /tmp/tox && tox run --skip-pkg-install ")
    assert (gate.junit, gate.printed) == (None, True)
    assert "--notest" in set_up(TOX)
    assert "pip install" not in set_up(TOX).split("--notest")[1]
    needed = {**TOX, "requirements.txt": "c\n"}
    assert "-r ./requirements.txt" in set_up(needed).split("--notest")[1]
    made = planned(needed)
    assert made.setup is not None
    assert made.setup.matching(["tox.ini", "requirements.txt"]) == ("requirements.txt", "tox.ini")
    subprocess.run(["sh", "-n", "-c", made.setup.commands[-1]], check=True, timeout=10)


def test_tests_that_pytest_finds_are_pytests_whatever_tox_says() -> None:
    (gate,) = planned({**TOX, "tests/test_a.py": ""}).gates
    assert gate.runner is TestRunner.PYTEST
    assert set_up({**TOX, "tests/test_a.py": ""}) == ""


def test_tox_comes_before_make_and_beside_what_else_has_tests() -> None:
    assert "tox run" in planned({**TOX, "Makefile": "test:\n\ttrue\n"}).gates[0].run
    assert [gate.name for gate in planned({**TOX, **GO}).gates] == ["python", "go"]


@pytest.mark.parametrize(
    "content", ["[pytest]\naddopts = -q\n", "[testenv]\ndeps = a\n[other]\ncommands = a\n", "[testenv]\n" * 1000, ""]
)
def test_a_tox_that_is_not_told_what_to_run_is_no_gate(content: str) -> None:
    assert isinstance(found({"tox.ini": content}), NoGate)


NOX = {"noxfile.py": "import nox\n\n\n@nox.session\ndef tests(session):\n    session.install('.')\n", "checks/a.py": ""}


def test_nox_is_the_gate_where_it_is_the_only_word_on_tests() -> None:
    (gate,) = planned(NOX).gates
    assert gate.run.startswith(f"cp -a {ENV}/nox /tmp/nox && nox ")
    assert " -R " in gate.run
    assert (gate.junit, gate.printed) == (None, True)
    made = planned(NOX)
    assert made.setup is not None
    assert made.setup.matching(["noxfile.py", "pyproject.toml", "a.py"]) == ("noxfile.py", "pyproject.toml")
    assert "--install-only" in set_up(NOX)
    subprocess.run(["sh", "-n", "-c", set_up(NOX)], check=True, timeout=10)


def test_tests_that_pytest_finds_and_tox_come_before_nox() -> None:
    assert planned({**NOX, "tests/test_a.py": ""}).gates[0].runner is TestRunner.PYTEST
    assert "tox run" in planned({**NOX, **TOX}).gates[0].run


@pytest.mark.parametrize("content", ["import nox\n", "# @nox.session\n", "def session(): pass\n", ""])
def test_a_noxfile_without_a_session_is_no_gate(content: str) -> None:
    assert isinstance(found({"noxfile.py": content}), NoGate)


def test_of_what_a_session_installs_the_repositorys_own_code_is_taken_out_again(tmp_path: Path) -> None:
    sessions = tmp_path / "nox"
    venv.create(sessions / "tests", with_pip=False, symlinks=True)
    (library,) = (sessions / "tests" / "lib").glob("python*/site-packages")
    for name, url in {"own": "file:///workspace", "other": "https://example.org/other.whl"}.items():
        about = library / f"{name}-1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n", encoding="utf-8")
        (about / "direct_url.json").write_text(json.dumps({"url": url}), encoding="utf-8")
    (library / "pip").mkdir()
    asked = "import sys\nwith open(sys.prefix + '/asked', 'a') as told:\n    print(*sys.argv[1:], file=told)\n"
    (library / "pip" / "__main__.py").write_text(asked, encoding="utf-8")
    command = set_up(NOX).split("\n")[-1]
    assert command.startswith("for one in")
    here = command.replace("/tmp/", f"{tmp_path}/").replace(f"{ENV}/nox", str(sessions))  # noqa: S108 - replaced
    subprocess.run(["sh", "-euc", here], check=True, timeout=30)
    assert (sessions / "tests" / "asked").read_text(encoding="utf-8") == "uninstall --quiet --yes own\n"


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
