"""The judge against what changes do to tests: real pytest on the trees that the judge makes, in fake sandboxes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gates.verdict import Failed, NeedsHuman, Passed, Verdict
from mcp_ashigaru.judging_here import judge_here
from mcp_ashigaru.settings import load_settings
from tests.fakes.behaviours import Ended, Inside
from tests.fakes.containers import FakeContainers
from tests.git_rig import commit_all, git, make_repository, write
from tests.story.house import NoEgress

pytestmark = pytest.mark.slow

CALC = "def add(a, b):\n    return a + b\n\n\ndef half(a):\n    return a // 2\n"
TESTS = """from calc import add, half


def test_add():
    assert add(1, 2) == 3
    assert add(-1, 1) == 0


def test_half():
    assert half(4) == 2
"""
MORE = "from calc import add\n\n\ndef test_more():\n    assert add(2, 2) == 4\n"
FILES = {"calc.py": CALC, "tests/test_calc.py": TESTS, "tests/test_more.py": MORE}
STATE = Path("/tmp/unused")  # noqa: S108 - short, and never made: the judge here makes a directory of its own
BROKEN = CALC.replace("a + b", "a + b + 1")


def runs_pytest(inside: Inside) -> Ended:
    """The gate's own command would be pytest; this is pytest, with the same report."""
    root = str(inside.tree)
    command = f"import sys; sys.path.insert(0, {root!r}); import pytest; sys.exit(pytest.main())"
    options = ["-p", "no:cacheprovider", "-o", "junit_family=xunit2", f"--junitxml={inside.out}/junit-test.xml"]
    ran = subprocess.run(
        [sys.executable, "-I", "-c", command, *options, f"--rootdir={root}", "-p", "no:randomly"],
        cwd=root,
        env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "ASH_OUT": str(inside.out)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    inside.say(ran.stdout + ran.stderr)
    return Ended(code=ran.returncode)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    make_repository(tmp_path / "widgets", FILES)
    return tmp_path / "widgets"


@pytest.fixture
def containers() -> Iterator[FakeContainers]:
    made = FakeContainers(lambda _spec: runs_pytest)
    yield made
    assert made.faults == []


def judged(repo: Path, containers: FakeContainers, change: Mapping[str, str | None], policy: str = "") -> Verdict:
    """The verdict on that change to main: path to content, None where it is deleted."""
    if policy:
        run = 'run = "python3 -m pytest --junitxml=/ashigaru/out/junit-test.xml"\njunit = "junit-test.xml"\n'
        write(repo, {".ashigaru.toml": f'{policy}\n[[gate]]\nname = "test"\n{run}'})
        commit_all(repo, "gates")
    git(repo, "checkout", "--quiet", "-b", "change", "main")
    write(repo, {path: text for path, text in change.items() if text is not None})
    for path, text in change.items():
        if text is None:
            (repo / path).unlink()
    commit_all(repo, "change")
    with judge_here(load_settings(state_dir=STATE), containers=containers, egress=NoEgress()) as judge:
        return judge(repo, "main", "change").verdict


def test_an_honest_change_with_a_test_that_shows_it_passes_and_the_reproducer_is_named(
    repo: Path, containers: FakeContainers
) -> None:
    fixed = CALC.replace("a // 2", "a / 2")
    told = judged(
        repo,
        containers,
        {
            "calc.py": fixed,
            "tests/test_half.py": "from calc import half\n\n\ndef test_odd():\n    assert half(3) == 1.5\n",
        },
    )
    assert isinstance(told, Passed), told
    assert any("red on the base, green here" in one and "test_odd" in one for one in told.shown), told


def test_a_wrong_change_is_red_and_the_test_is_named_without_ours(repo: Path, containers: FakeContainers) -> None:
    told = judged(repo, containers, {"calc.py": BROKEN})
    assert isinstance(told, Failed)
    assert "2 of 3 tests failed" in told.summary
    assert "test_add" in told.report


def test_a_test_added_to_a_file_of_the_bases_passes_and_says_so(repo: Path, containers: FakeContainers) -> None:
    told = judged(repo, containers, {"tests/test_calc.py": f"{TESTS}\n\ndef test_zero():\n    assert add(0, 0) == 0\n"})
    assert isinstance(told, Passed), told
    assert any("edited" in one for one in told.shown)


@pytest.mark.parametrize(
    "change",
    [
        {"tests/test_calc.py": TESTS.replace("== 3", ">= 3").replace("== 0", ">= 0"), "tests/test_more.py": None},
        {
            "tests/test_calc.py": TESTS.replace("def test_add", "def no_test_add"),
            "tests/test_more.py": MORE.replace("== 4", "== 5"),
        },
        {"conftest.py": "def pytest_collection_modifyitems(items):\n    items[:] = items[-1:]\n"},
        {"conftest.py": "import calc\ncalc.add = lambda a, b: a + b\n"},
        {"tests/test_aaa.py": "import calc\ncalc.add = lambda a, b: a + b\n\n\ndef test_it():\n    pass\n"},
        {"pytest.ini": "[pytest]\naddopts = -k half\n"},
    ],
    ids=["weakened", "renamed", "deselected", "patched by conftest", "patched by a test", "patched by configuration"],
)
def test_who_bends_the_tests_of_a_wrong_change_gets_a_person_to_look(
    repo: Path, containers: FakeContainers, change: Mapping[str, str | None]
) -> None:
    told = judged(repo, containers, {"calc.py": BROKEN, **change})
    assert isinstance(told, NeedsHuman | Failed), told
    if isinstance(told, NeedsHuman):
        assert any("the base's own tests are red" in one for one in told.findings), told


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos._exit(0)\n",
        "import sys\nsys.exit(0)\n",
        "import atexit, os\natexit.register(os._exit, 0)\n",
        "import unittest\nunittest.TestCase.assertEqual = lambda *_, **__: None\n",
        (
            "import _pytest.reports as r\nold = r.TestReport.from_item_and_call.__func__\n"
            "def new(cls, item, call):\n    call.excinfo = None\n    return old(cls, item, call)\n"
            "r.TestReport.from_item_and_call = classmethod(new)\n"
        ),
        (
            "import atexit, os\n"
            "def forged():\n"
            "    names = ['test_add', 'test_half']\n"
            "    cases = ''.join(f'<testcase classname=\"tests.test_calc\" name=\"{n}\"/>' for n in names)\n"
            "    open(os.environ['ASH_OUT'] + '/junit-test.xml', 'w').write(f'<testsuite>{cases}</testsuite>')\n"
            "    os._exit(0)\n"
            "atexit.register(forged)\n"
        ),
    ],
    ids=["leaves", "leaves politely", "leaves at the end", "bends asserts", "bends reports", "forges the report"],
)
def test_source_that_bends_or_ends_the_run_is_red(repo: Path, containers: FakeContainers, source: str) -> None:
    told = judged(repo, containers, {"calc.py": source + BROKEN})
    assert isinstance(told, Failed), told


def test_a_contract_that_is_honestly_changed_needs_a_person(repo: Path, containers: FakeContainers) -> None:
    change = {
        "calc.py": CALC.replace("a // 2", "a / 2"),
        "tests/test_calc.py": TESTS.replace("half(4) == 2", "half(3) == 1.5"),
    }
    told = judged(repo, containers, change)
    assert isinstance(told, Passed), told
    change = {
        "calc.py": CALC.replace("a // 2", "a // 2 + 1"),
        "tests/test_calc.py": TESTS.replace("half(4) == 2", "half(4) == 3"),
    }
    git(repo, "checkout", "--quiet", "main")
    git(repo, "branch", "-D", "change")
    told = judged(repo, containers, change)
    assert isinstance(told, NeedsHuman), told
    assert any("the base's own tests are red" in one and "test_half" in one for one in told.findings)


def test_a_test_that_fails_and_passes_on_one_tree_is_called_flaky_and_needs_a_person(
    tmp_path: Path, containers: FakeContainers
) -> None:
    mark = tmp_path / "mark"
    # It fails once: the first time that it finds the mark, which is not there while the base is judged.
    flaky = (
        f"import pathlib\n\nMARK = pathlib.Path({str(mark)!r})\n\n\n"
        "def test_chance():\n    there = MARK.exists()\n    MARK.unlink(missing_ok=True)\n    assert not there\n"
    )
    repo = tmp_path / "widgets"
    make_repository(repo, {**FILES, "tests/test_chance.py": flaky})
    git(repo, "checkout", "--quiet", "-b", "change", "main")
    write(repo, {"calc.py": CALC + "\n\nZERO = 0\n"})
    commit_all(repo, "change")
    with judge_here(load_settings(state_dir=STATE), containers=containers, egress=NoEgress()) as judge:
        assert isinstance(judge(repo, "main", "main").verdict, Passed)
        mark.touch()
        told = judge(repo, "main", "change").verdict
    assert isinstance(told, NeedsHuman), told
    assert any("failed and passed on the same tree" in one and "test_chance" in one for one in told.findings)
