from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gates.errors import BadGateSpec
from gates.plan import (
    GATE_FILE,
    OUT,
    VENV,
    WORKSPACE,
    CiOnly,
    Gate,
    GatePlan,
    NoGate,
    SetupPlan,
    head_setup,
    plan,
    setup_script,
    shell_script,
)
from gates.services import NOT_READY, NOT_READY_EXIT, Service, waiting_s, waiting_script

FILE = b"""
image = "localhost/my-gate:1"
environment = { B = "it's", A = "$HOME" }
[setup]
run = ["make deps"]
[[gate]]
name = "lint"
run = "make lint"
[[gate]]
name = "test"
run = "make test"
junit = "junit-test.xml"
timeout_s = 60
"""
GATE = Gate(name="test", run="true", junit=None, timeout_s=1)
BARE = GatePlan(image=None, setup=None, gates=(GATE,), environment=())


def planned(files: Mapping[str, str]) -> GatePlan:
    def read(path: str) -> bytes | None:
        # Only what the commit holds is asked for, but for the one file that is always looked for.
        return None if path == "pyproject.toml" and path not in files else files[path].encode()

    found = plan(None, list(files), read)
    assert isinstance(found, GatePlan)
    return found


def pip(files: Mapping[str, str]) -> str | None:
    setup = planned({"tests/test_a.py": "", **files}).setup
    return None if setup is None else setup.commands[-1].partition(" pip install ")[2]


def test_the_file_at_the_base_wins_over_what_the_files_show() -> None:
    found = plan(FILE, ["pyproject.toml", "tests/test_a.py"], lambda _: None)

    assert isinstance(found, GatePlan)
    assert [gate.name for gate in found.gates] == ["lint", "test"]
    assert found.image == "localhost/my-gate:1"
    assert found.setup is not None
    assert "pyproject.toml" in found.setup.manifests


def test_a_wrong_file_at_the_base_is_a_fault_and_not_a_reason_to_guess() -> None:
    with pytest.raises(BadGateSpec):
        plan(b"", ["tests/test_a.py"], lambda _: None)


@pytest.mark.parametrize("paths", [[], ["main.go"], ["pyproject.toml", "src/a.py"]])
def test_a_repository_with_nothing_to_judge_by_is_told_how_to_say_it(paths: list[str]) -> None:
    found = plan(None, paths, lambda _: None)

    assert isinstance(found, NoGate)
    assert ".ashigaru.toml" in found.reason


@pytest.mark.parametrize("path", ["test_a.py", "tests/test_a.py", "a/b/calc_test.py"])
def test_tests_alone_are_enough_for_pytest_with_its_report(path: str) -> None:
    found = planned({path: ""})

    (gate,) = found.gates
    assert gate.junit == "junit-test.xml"
    assert f"--junitxml={OUT}/junit-test.xml" in gate.run
    assert "-p no:cacheprovider" in gate.run
    assert found.setup is None
    assert dict(found.environment) == {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": WORKSPACE}


def test_a_src_layout_is_importable_from_wherever_a_test_goes() -> None:
    found = planned({"src/calc/__init__.py": "", "tests/test_a.py": ""})

    assert dict(found.environment)["PYTHONPATH"] == f"{WORKSPACE}/src:{WORKSPACE}"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"pyproject.toml": '[project]\nname = "a"\ndependencies = []'},
        {"pyproject.toml": "not toml ["},
        {"pyproject.toml": "a = " + "[" * 20_000},
        {"pyproject.toml": 'project = "a"'},
        {"requirements.txt": "# nothing\n\n"},
        {"docs/requirements.txt": "sphinx"},
    ],
)
def test_a_project_without_dependencies_is_not_set_up(files: dict[str, str]) -> None:
    assert pip(files) is None


def test_dependencies_are_installed_and_never_the_project_itself() -> None:
    told = pip(
        {
            "pyproject.toml": """
                [project]
                dependencies = ["attrs>=23", "tomli; python_version < '3.11'"]
                optional-dependencies = { test = ["hypothesis"], docs = ["sphinx"] }
                [dependency-groups]
                test = ["attrs>=23", { include-group = "lint" }]
                lint = ["ruff"]
                """,
            "requirements.txt": "requests\n",
            "requirements-empty.txt": "#\n",
        }
    )

    assert told is not None
    assert told.endswith("-r ./requirements.txt -- 'attrs>=23' 'tomli; python_version < '\"'\"'3.11'\"'\"'' hypothesis")


def test_a_dependency_cannot_be_an_option_or_a_command() -> None:
    told = pip(
        {"pyproject.toml": '[project]\ndependencies = ["--index-url=http://evil", "$(touch /tmp/x)", "a\\u0000"]'}
    )

    assert told is not None
    assert told.endswith("-- --index-url=http://evil '$(touch /tmp/x)'")


def test_what_requirement_files_include_keys_the_set_up_too() -> None:
    found = planned(
        {
            "test_a.py": "",
            "requirements.txt": "-r deps/all.txt  # everything\n",
            "deps/all.txt": "--constraint=../pins.txt\n-rmore.txt\n-r /etc/passwd\n-r ../../outside.txt\n",
            "deps/more.txt": "-r all.txt\nattrs\n",
            "pins.txt": "",
            "deps/other.txt": "",
        }
    )

    assert found.setup is not None
    keyed = found.setup.matching(
        ["deps/all.txt", "deps/more.txt", "deps/other.txt", "pins.txt", "pyproject.toml", "requirements.txt", "a.py"]
    )
    assert keyed == ("deps/all.txt", "deps/more.txt", "pins.txt", "pyproject.toml", "requirements.txt")


def test_a_pattern_stays_within_its_directory() -> None:
    setup = SetupPlan(commands=(), manifests=("requirements*", "deps/*.lock"), timeout_s=1)

    assert setup.matching(["requirements/x.txt", "requirements-x.txt", "deps/a.lock", "deps/b/a.lock", "a.lock"]) == (
        "deps/a.lock",
        "requirements-x.txt",
    )


@pytest.mark.parametrize(
    "other",
    [
        replace(BARE, image="a"),
        replace(BARE, setup=SetupPlan(commands=("true",), manifests=(), timeout_s=1)),
        replace(BARE, gates=(replace(GATE, run="false"),)),
        replace(BARE, gates=(replace(GATE, junit="a.xml"),)),
        replace(BARE, gates=(replace(GATE, timeout_s=2),)),
        replace(BARE, gates=(GATE, GATE)),
        replace(BARE, environment=(("A", "1"),)),
    ],
)
def test_the_digest_changes_with_anything_in_the_plan(other: GatePlan) -> None:
    assert BARE.digest() == replace(BARE).digest()
    assert other.digest() != BARE.digest()
    assert len(BARE.digest()) == 64


def test_the_digest_is_the_same_on_every_machine() -> None:
    assert BARE.digest() == "2cb394303eecbf296c579e42e4385583cbcef59db2a378208c20e3f4fac777c1"


def run(script: str, root: Path) -> subprocess.CompletedProcess[str]:
    """The script with the sandbox's places moved below `root`."""
    (root / "work").mkdir(exist_ok=True)
    moved = script.replace(WORKSPACE, str(root / "work")).replace(VENV, str(root / "venv"))
    return subprocess.run(
        ["sh", "-c", moved], env={"PATH": os.defpath}, capture_output=True, encoding="utf-8", timeout=20, check=False
    )


def test_a_gates_script_ends_as_the_gate_does_with_its_variables_in_its_place(tmp_path: Path) -> None:
    found = replace(BARE, environment=(("A", "it's $HOME"), ("B", "2")))

    ran = run(shell_script(found, replace(GATE, run='echo "$A $B"; pwd\nexit 7')), tmp_path)

    assert ran.stdout.splitlines() == ["it's $HOME 2", str(tmp_path / "work")]
    assert ran.returncode == 7


def test_a_gate_runs_in_its_directory_with_its_own_variables_over_the_plans(tmp_path: Path) -> None:
    (tmp_path / "work" / "a b").mkdir(parents=True)
    found = replace(BARE, environment=(("A", "plan"), ("B", "plan")))
    gate = replace(GATE, run='echo "$A $B"; pwd', directory="a b", environment=(("B", "it's $A"),))

    ran = run(shell_script(found, gate), tmp_path)

    assert ran.stdout.splitlines() == ["plan it's $A", str(tmp_path / "work" / "a b")]


@pytest.mark.parametrize("directory", ["gone", "-P", "$(touch x)"])
def test_a_gate_whose_directory_is_not_there_does_not_run_elsewhere(tmp_path: Path, directory: str) -> None:
    ran = run(shell_script(BARE, replace(GATE, run="echo ran", directory=directory)), tmp_path)

    assert (ran.returncode, ran.stdout) == (126, "")
    assert list((tmp_path / "work").iterdir()) == []


def test_what_was_set_up_comes_first_on_the_path_if_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)

    ran = run(shell_script(BARE, replace(GATE, run='echo "$PATH"')), tmp_path)

    assert ran.stdout.startswith(f"{tmp_path}/venv/bin:")


def test_a_set_up_stops_at_the_first_command_that_fails(tmp_path: Path) -> None:
    setup = SetupPlan(
        commands=("cd /; X=1; echo one", 'echo "two$X"; pwd', "false", "echo three"), manifests=(), timeout_s=1
    )

    ran = run(setup_script(BARE, setup), tmp_path)

    assert ran.stdout.splitlines() == ["one", "two", str(tmp_path / "work")]
    assert ran.returncode == 1


SERVED = b"""
[[gate]]
name = "test"
run = "make test"

[[service]]
name = "db"
image = "localhost/services/db:1"
ready = "db-is-there"
ready_timeout_s = 2
writable = ["/var/lib/db"]
environment = { DB = "x" }
"""


def test_a_service_is_waited_for_before_the_gates_own_command() -> None:
    found = plan(SERVED, (), lambda _: None)
    assert isinstance(found, GatePlan)
    assert found.services[0].writable == ("/var/lib/db",)
    script = shell_script(found, found.gates[0])
    assert script.index("db-is-there") < script.index("make test")


def test_a_service_that_never_comes_up_is_named_and_the_gate_does_not_run(tmp_path: Path) -> None:
    never = Service(
        name="db",
        image="i",
        run=None,
        environment=(),
        writable=(),
        ready="false",
        ready_timeout_s=1,
        memory=1,
    )
    lines = "\n".join((*waiting_script((never,), str(tmp_path)), "echo the gate ran"))
    done = subprocess.run(["sh", "-c", lines], capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (NOT_READY_EXIT, b"")
    assert (tmp_path / NOT_READY).read_text(encoding="utf-8") == "db"


def test_a_service_is_named_while_it_is_waited_for_and_no_longer_once_it_is_ready(tmp_path: Path) -> None:
    ready = f'test "$(cat {tmp_path}/{NOT_READY})" = db && {{ test -e {tmp_path}/once || ! touch {tmp_path}/once; }}'
    db = Service(name="db", image="i", run=None, environment=(), writable=(), ready=ready, ready_timeout_s=5, memory=1)
    lines = "\n".join((*waiting_script((db,), str(tmp_path)), "echo the gate ran"))
    done = subprocess.run(["sh", "-c", lines], capture_output=True, check=True, timeout=30)
    assert done.stdout == b"the gate ran\n"
    assert not (tmp_path / NOT_READY).exists()


def test_waiting_takes_as_long_as_all_services_that_say_when_they_are_ready() -> None:
    found = plan(SERVED, (), lambda _: None)
    assert isinstance(found, GatePlan)
    (db,) = found.services
    assert waiting_s((db, replace(db, name="queue", ready_timeout_s=30), replace(db, name="mail", ready=None))) == 32


def test_the_digest_changes_with_a_service() -> None:
    found, other = plan(SERVED, (), lambda _: None), plan(SERVED.replace(b"db:1", b"db:2"), (), lambda _: None)
    assert isinstance(found, GatePlan)
    assert isinstance(other, GatePlan)
    assert found.digest() != other.digest()


def test_a_repository_may_leave_the_judging_to_ci() -> None:
    assert plan(b'local = "none"', ("test_a.py",), lambda _: None) == CiOnly()


def set_up_for(base: Mapping[str, str], change: Mapping[str, str], gate_file: bytes | None = None) -> SetupPlan | None:
    found = planned(base) if gate_file is None else plan(gate_file, list(base), lambda path: base[path].encode())
    assert isinstance(found, GatePlan)
    return head_setup(found, gate_file, list(change), lambda path: change[path].encode() if path in change else None)


def test_a_dependency_that_a_change_adds_is_set_up_for_it() -> None:
    base = {"test_a.py": "", "requirements.txt": "one\n"}
    same = set_up_for(base, base)
    added = set_up_for(base, {**base, "pyproject.toml": '[project]\ndependencies = ["two"]\n'})
    first = set_up_for({"test_a.py": ""}, {"test_a.py": "", "requirements.txt": "one\n"})
    assert planned(base).setup == same
    assert added is not None
    assert "two" in added.commands[-1]
    assert first == same
    assert set_up_for(base, {"test_a.py": ""}) is None


def test_a_change_without_tests_is_set_up_as_its_base_is_and_judged_by_the_bases_gates() -> None:
    base = {"test_a.py": "", "requirements.txt": "one\n"}
    assert set_up_for(base, {"notes.txt": ""}) == planned(base).setup


def test_what_the_base_s_gate_file_says_of_the_set_up_stands_whatever_the_change_says() -> None:
    base = {GATE_FILE: FILE.decode(), "requirements.txt": "one\n"}
    change = {GATE_FILE: FILE.decode().replace("make deps", "make evil"), "requirements.txt": "two\n"}
    found = set_up_for(base, change, FILE)
    assert found is not None
    assert found.commands == ("make deps",)
