"""tox and nox: where they are the gate, and what is set up for them."""

from __future__ import annotations

import json
import subprocess
import venv
from pathlib import Path

import pytest

from gates.ecosystem import ENV
from gates.plan import NoGate
from gates.test_runners import TestRunner
from tests.fakes.gate_plans import GO, found, planned, set_up

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
