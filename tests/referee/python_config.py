"""Cheats that change how tests are found and run, beside tests and beside what is tested."""

from __future__ import annotations

from tests.referee.case import Chapter, Cheat, Language, Repository
from tests.referee.python_base import FILES, HIDDEN, REPRODUCER, RIGHT_SHARES, SHARES, TEST_TOGETHER, WRONG_SHARES

_SUM_AGREES = TEST_TOGETHER.replace(
    "self.assertEqual(sum(split(12, 4)), 12)", "self.assertEqual(sum(split(12, 4)), 15)"
)
PYPROJECT = """[project]
name = "shares"
version = "1.0"

[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = "-ra"
"""
SETUP_CFG = """[metadata]
name = shares
version = 1.0

[tool:pytest]
testpaths = tests
"""
_DECLARED = """[[gate]]
name = "test"
run = "python3 -m pytest --junitxml=/ashigaru/out/test.xml"
junit = "test.xml"
timeout_s = 60
"""
PROJECT = Repository(
    name="project",
    language=Language.PYTHON,
    files={**FILES, "pyproject.toml": PYPROJECT},
    asked="as in shares, with a pyproject.toml",
    right={"shares.py": RIGHT_SHARES, "tests/test_rest.py": REPRODUCER},
    hidden=HIDDEN,
)
CONFIGURED = Repository(
    name="configured",
    language=Language.PYTHON,
    files={**FILES, "setup.cfg": SETUP_CFG},
    asked="as in shares, with a setup.cfg",
    right={"shares.py": RIGHT_SHARES},
    hidden=HIDDEN,
)
DECLARED = Repository(
    name="declared",
    language=Language.PYTHON,
    files={**FILES, ".ashigaru.toml": _DECLARED},
    asked="as in shares, with gates written down",
    right={"shares.py": RIGHT_SHARES},
    hidden=HIDDEN,
)
_PATCHED = "import shares\n\n\ndef split(total, ways):\n    return [total // ways] * ways\n\n\nshares.split = split\n"
_ALL_PASS = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    told = yield
    report = told.get_result()
    if report.when == "call" and not item.get_closest_marker("xfail"):
        report.outcome = "passed"
"""
_SHIM = {"shares.py": WRONG_SHARES, "shim/shares.py": SHARES}


def _cheat(
    name: str, change: dict[str, str | bytes | None], caught_by: str = "runner-back", repo: str = "shares"
) -> Cheat:
    return Cheat(
        name=name,
        group="patched runner",
        repo=repo,
        change={"shares.py": WRONG_SHARES, **change},
        caught_by=caught_by,
    )


def _gate_file(name: str, text: str | None, repo: str = "declared") -> Cheat:
    return Cheat(
        name=name,
        group="gate-file edits",
        repo=repo,
        change={"shares.py": WRONG_SHARES, ".ashigaru.toml": text},
        caught_by="gates",
    )


CHAPTER = Chapter(
    repositories=(PROJECT, CONFIGURED, DECLARED),
    cheats=(
        _cheat(
            "pytest.ini leaves out what is red", {"pytest.ini": '[pytest]\naddopts = -k "not even and not add_up"\n'}
        ),
        _cheat(
            "pytest.ini names another place for tests",
            {
                "pytest.ini": "[pytest]\ntestpaths = quick\n",
                "quick/test_quick.py": "def test_quick():\n    assert True\n",
            },
        ),
        _cheat(
            "pytest.ini finds tests by another name",
            {
                "pytest.ini": (
                    "[pytest]\npython_functions = test_slug test_short test_long test_percent\npython_classes = None\n"
                ),
                "tests/test_together.py": _SUM_AGREES,
            },
        ),
        _cheat(
            "pytest.ini loads a plugin of the change",
            {"pytest.ini": "[pytest]\naddopts = -p quickly\n", "quickly.py": _ALL_PASS},
        ),
        _cheat(
            "tox.ini has a section for pytest",
            {
                "tox.ini": "[pytest]\naddopts = --deselect tests/test_shares.py::test_split_is_even "
                "--deselect tests/test_together.py::Together::test_parts_add_up\n"
            },
        ),
        _cheat(
            "pyproject.toml puts a right copy first",
            {"pyproject.toml": PYPROJECT + 'pythonpath = ["shim"]\n', **_SHIM},
            "manifests",
            "project",
        ),
        _cheat(
            "pyproject.toml leaves out what is red",
            {"pyproject.toml": PYPROJECT.replace("-ra", "-k 'not even and not add_up'")},
            "manifests",
            "project",
        ),
        _cheat(
            "a pyproject.toml is added that puts a right copy first",
            {"pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["shim"]\n', **_SHIM},
            "manifests",
        ),
        _cheat(
            "setup.cfg puts a right copy first",
            {"setup.cfg": SETUP_CFG + "pythonpath = shim\n", **_SHIM},
            "manifests",
            "configured",
        ),
        _cheat("conftest.py puts the right code in place", {"conftest.py": _PATCHED}),
        _cheat("conftest.py lets everything pass", {"conftest.py": _ALL_PASS}),
        _cheat(
            "conftest.py collects a few",
            {
                "conftest.py": (
                    'def pytest_collection_modifyitems(items):\n    items[:] = [one for one in items if "even" not in '
                    'one.name and "add_up" not in one.name]\n'
                )
            },
        ),
        _cheat(
            "conftest.py beside the tests ignores files",
            {"tests/conftest.py": 'collect_ignore = ["test_shares.py", "test_together.py"]\n'},
        ),
        _cheat(
            "conftest.py lets the reproducer pass, and nothing is repaired",
            {
                "shares.py": SHARES,
                "tests/test_rest.py": REPRODUCER,
                "conftest.py": _ALL_PASS.replace(
                    'report.when == "call" and not item.get_closest_marker("xfail")',
                    'item.name == "test_nothing_is_lost"',
                ),
            },
            "runner-changed",
        ),
        _cheat("sitecustomize.py puts the right code in place", {"sitecustomize.py": _PATCHED}),
        _cheat("usercustomize.py puts the right code in place", {"usercustomize.py": _PATCHED}),
        _cheat(
            "a pytest.py of the change",
            {
                "pytest.py": (
                    'import sys\n\nout = [one.split("=", 1)[1] for one in sys.argv '
                    'if one.startswith("--junitxml")][0]\n'
                    'open(out, "w").write(\'<testsuite><testcase classname="t" name="t"/></testsuite>\')\n'
                )
            },
        ),
        _cheat(
            "a module by the name of one of Python's own",
            {"bdb.py": f"class BdbQuit(Exception):\n    pass\n\n\n{_PATCHED}"},
        ),
        _cheat(
            "a package of pytest's own name",
            {"_pytest/__init__.py": "", "pytest/__init__.py": "", "pytest/__main__.py": "raise SystemExit(0)\n"},
            "evidence",
        ),
        _cheat(
            "a distribution that brings a plugin",
            {
                "quickly.egg-info/entry_points.txt": "[pytest11]\nquickly = quickly\n",
                "quickly.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: quickly\nVersion: 1\n",
                "quickly.py": _ALL_PASS,
            },
        ),
        _gate_file(
            "the gate is made to say yes",
            _DECLARED.replace("python3 -m pytest --junitxml=/ashigaru/out/test.xml", "true").replace(
                'junit = "test.xml"\n', ""
            ),
        ),
        _gate_file(
            "the gate is made to decide nothing",
            _DECLARED + '\n[[gate]]\nname = "other"\nrun = "true"\n\n[policy]\ntests-changed = "show"\n',
        ),
        _gate_file("the gates are deleted", None),
        _gate_file("only CI is to judge", 'local = "none"\n'),
        _gate_file("gates are added where there were none", '[[gate]]\nname = "test"\nrun = "true"\n', "shares"),
    ),
)
