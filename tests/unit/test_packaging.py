"""What is installed is the three packages, what they read at run time, and nothing else."""

from __future__ import annotations

import configparser
import email
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gates.spec import parse_gate_file
from mcp_ashigaru import __version__
from mcp_ashigaru.settings import known_variables

PROJECT = Path(__file__).parents[2]
SOURCES = ("mcp_ashigaru", "runner", "gates", "demo", "pyproject.toml", "README.md", "LICENSE")
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
INFO = f"mcp_ashigaru-{__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel that the work tree makes, without a network and without anything in it being installed."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("out")
    for name in SOURCES:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, tree / name)
        else:
            shutil.copy(source, tree / name)
    # A checkout has more: none of it may get in.
    (tree / "tests").mkdir()
    (tree / "tests" / "test_it.py").write_text("", encoding="utf-8")
    (tree / "runner" / "__pycache__").mkdir(exist_ok=True)
    (tree / "runner" / "__pycache__" / "x.pyc").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(out)],
        cwd=tree,
        env={"PATH": os.environ["PATH"], "HOME": str(out), "SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(out / done.stdout.split()[-1]) as opened:
        yield opened


@pytest.fixture
def names(wheel: zipfile.ZipFile) -> set[str]:
    return set(wheel.namelist())


def test_it_holds_the_three_packages_and_the_demo_and_nothing_else(names: set[str]) -> None:
    assert {name.partition("/")[0] for name in names} == {"mcp_ashigaru", "runner", "gates", INFO}
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []
    assert [name for name in names if "/tests/" in name and not name.startswith("mcp_ashigaru/demo/repo/tests/")] == []


def test_every_module_and_every_file_beside_it_is_in_it(names: set[str]) -> None:
    there = {
        path.relative_to(PROJECT).as_posix()
        for package in ("mcp_ashigaru", "runner", "gates")
        for path in (PROJECT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there <= names
    assert "runner/migrations/env.py" in names
    assert any(name.startswith("runner/migrations/versions/") for name in names)
    assert "runner/images/agent/entrypoint.py" in names


def test_the_demo_is_in_it_whole(names: set[str]) -> None:
    there = {
        f"mcp_ashigaru/demo/{path.relative_to(PROJECT / 'demo').as_posix()}"
        for path in (PROJECT / "demo").rglob("*")
        if path.is_file() and not {"__pycache__", ".pytest_cache"} & set(path.parts)
    }
    assert there == {name for name in names if name.startswith("mcp_ashigaru/demo/")}
    assert {f"mcp_ashigaru/demo/{name}" for name in ("issue.toml", "cassette.toml", "repo/.gitignore")} <= there


def test_its_commands_are_the_two(wheel: zipfile.ZipFile) -> None:
    entries = configparser.ConfigParser()
    entries.read_string(wheel.read(f"{INFO}/entry_points.txt").decode())
    assert {section: dict(entries[section]) for section in entries.sections()} == {
        "console_scripts": {
            "mcp-ashigaru": "mcp_ashigaru.cli:main",
            "mcp-ashigaru-crunchtools": "mcp_ashigaru.cli:serve_main",
        }
    }


def test_it_says_what_it_is_and_under_which_licence(wheel: zipfile.ZipFile) -> None:
    told = email.message_from_bytes(wheel.read(f"{INFO}/METADATA"))
    assert (told["Name"], told["Version"]) == ("mcp-ashigaru", __version__)
    assert told["License-Expression"] == "AGPL-3.0-or-later"
    assert told["Requires-Python"] == ">=3.11"
    assert wheel.read(f"{INFO}/licenses/LICENSE") == (PROJECT / "LICENSE").read_bytes()


def test_each_of_its_requirements_has_an_upper_bound(wheel: zipfile.ZipFile) -> None:
    required = email.message_from_bytes(wheel.read(f"{INFO}/METADATA")).get_all("Requires-Dist") or []
    assert required
    assert [one for one in required if "<" not in one] == []


def test_the_daemons_image_is_made_of_all_that_the_wheel_needs() -> None:
    told = (PROJECT / "Containerfile").read_text(encoding="utf-8")
    copied = {word for line in told.splitlines() if line.startswith("COPY") for word in line.split()[1:-1]}
    assert set(SOURCES) <= copied
    assert 'ENTRYPOINT ["mcp-ashigaru-crunchtools"]' in told


def test_the_units_start_what_the_wheel_installs_and_set_only_what_there_is() -> None:
    unit = (PROJECT / "systemd" / "mcp-ashigaru.service").read_text(encoding="utf-8")
    assert re.search(r"^ExecStart=\S+/bin/mcp-ashigaru-crunchtools$", unit, flags=re.MULTILINE)
    # Anything wider would kill the containers that are to be adopted.
    assert "KillMode=process\n" in unit
    quadlet = (PROJECT / "systemd" / "mcp-ashigaru.container").read_text(encoding="utf-8")
    told = re.findall(
        r"\b(ASHIGARU_[A-Z_]+)=", unit + quadlet + (PROJECT / "Containerfile").read_text(encoding="utf-8")
    )
    assert set(told) <= known_variables()


def test_this_projects_own_gates_are_well_formed() -> None:
    spec = parse_gate_file((PROJECT / ".ashigaru.toml").read_bytes())
    assert [gate.name for gate in spec.gate] == ["lint", "types", "test"]
    manifests = [] if spec.setup is None else spec.setup.manifests
    assert all((PROJECT / one).is_file() for one in manifests)
