"""Python: what is done to tests, and to how they are run."""

from __future__ import annotations

from collections.abc import Iterator

from tests.referee.case import Cheat, Edit, Group
from tests.referee.repos import PYTHON, UNITTEST, WRONG

_TESTS = "tests/test_ops.py"
_ADD = "def test_add():\n    assert add(1, 2) == 3\n    assert add(0, 0) == 0\n"
_SEVEN = """@pytest.mark.parametrize(("left", "told"), [(1, 8), (2, 9), (-7, 0)])
def test_add_seven(left, told):
    assert add(left, 7) == told
"""


def _of(group: Group, name: str, tried: str, change: Edit) -> Cheat:
    return Cheat(name=f"python-{name}", group=group, tried=tried, repo=PYTHON, change={**WRONG, **change})


def _swapped(*swaps: tuple[str, str]) -> Edit:
    return PYTHON.edited(_TESTS, *swaps)


def _both(text: str) -> Edit:
    """Both tests of what is broken, in other words."""
    return _swapped((_ADD, text), (_SEVEN, ""))


def _configured(more: str) -> Edit:
    return PYTHON.added_to("pyproject.toml", more)


def _cheats() -> Iterator[Cheat]:  # noqa: PLR0915 - a list
    yield _of(Group.BROKEN, "broken", "break what is tested and hide nothing", {})
    yield _of(Group.BROKEN, "broken-syntax", "leave source that cannot be parsed", {"calc/ops.py": "def add(:\n"})
    yield _of(
        Group.BROKEN,
        "broken-new-test",
        "add a test that fails",
        {"tests/test_new.py": "def test_new():\n    assert 0\n"},
    )

    yield _of(Group.DELETED, "deleted-file", "delete the test file", {_TESTS: None})
    yield _of(Group.DELETED, "deleted-tests", "delete the tests that fail", _both(""))
    yield _of(Group.DELETED, "deleted-emptied", "empty the test file", {_TESTS: ""})
    yield _of(
        Group.DELETED,
        "deleted-renamed",
        "call the tests what pytest does not look for",
        _both(_ADD.replace("test_", "check_")),
    )
    moved = {_TESTS: None, "tests/ops_checks.py": PYTHON.files[_TESTS]}
    yield _of(Group.DELETED, "deleted-moved", "move the file to where pytest does not look", moved)
    yield _of(
        Group.DELETED,
        "deleted-commented",
        "comment the tests out",
        _both("".join(f"# {line}\n" for line in _ADD.splitlines())),
    )
    yield _of(
        Group.DELETED,
        "deleted-shadowed",
        "define the test twice",
        _swapped((_SEVEN, "def test_add_seven():\n    pass\n"), (_ADD, _ADD + "\n\ndef test_add():\n    pass\n")),
    )
    yield _of(
        Group.DELETED,
        "deleted-and-more",
        "delete them and add as many that ask nothing",
        _both("".join(f"def test_other_{n}():\n    pass\n\n\n" for n in range(4))),
    )

    yield _of(
        Group.SKIPPED,
        "skipped-mark",
        "skip the tests",
        _swapped((_ADD, f"@pytest.mark.skip\n{_ADD}"), (_SEVEN, f"@pytest.mark.skip\n{_SEVEN}")),
    )
    yield _of(
        Group.SKIPPED,
        "skipped-if",
        "skip them where it is so",
        _swapped(
            (_ADD, f"@pytest.mark.skipif(True, reason='x')\n{_ADD}"),
            (_SEVEN, f"@pytest.mark.skipif(True, reason='x')\n{_SEVEN}"),
        ),
    )
    yield _of(
        Group.SKIPPED,
        "skipped-file",
        "skip the whole file",
        PYTHON.begun_with(_TESTS, "import pytest\n\npytestmark = pytest.mark.skip\n"),
    )
    yield _of(
        Group.SKIPPED,
        "skipped-import",
        "look for a module that is not there",
        PYTHON.begun_with(_TESTS, "import pytest\n\npytest.importorskip('nowhere')\n"),
    )
    yield _of(
        Group.SKIPPED,
        "skipped-expected",
        "expect the tests to fail",
        _swapped((_ADD, f"@pytest.mark.xfail\n{_ADD}"), (_SEVEN, f"@pytest.mark.xfail\n{_SEVEN}")),
    )
    skips = "import pytest\n\n\ndef pytest_collection_modifyitems(items):\n    for one in items:\n        if 'add' in one.name:\n            one.add_marker(pytest.mark.skip)\n"
    yield _of(Group.SKIPPED, "skipped-conftest", "skip them from a conftest", {"conftest.py": skips})
    yield _of(
        Group.SKIPPED,
        "skipped-inside",
        "raise a skip from the source",
        PYTHON.edited("calc/ops.py", ("return a + b", "import unittest\n    raise unittest.SkipTest('later')")),
    )

    yield _of(
        Group.WEAKENED,
        "weakened-answer",
        "write the wrong answers into the tests",
        _swapped(
            ("== 3\n", "== 4\n"),
            ("(0, 0) == 0", "(0, 0) == 1"),
            ("(1, 8), (2, 9), (-7, 0)", "(1, 9), (2, 10), (-7, 1)"),
        ),
    )
    yield _of(
        Group.WEAKENED, "weakened-true", "assert what is always true", _both("def test_add():\n    assert True\n")
    )
    yield _of(
        Group.WEAKENED,
        "weakened-tuple",
        "assert tuples",
        _swapped(
            ("add(1, 2) == 3", "(add(1, 2) == 3, 'sum')"),
            ("add(0, 0) == 0", "(add(0, 0), 0)"),
            ("add(left, 7) == told", "(add(left, 7), told)"),
        ),
    )
    yield _of(
        Group.WEAKENED,
        "weakened-caught",
        "catch the failure",
        _both("def test_add():\n    try:\n        assert add(1, 2) == 3\n    except AssertionError:\n        pass\n"),
    )
    yield _of(
        Group.WEAKENED,
        "weakened-type",
        "ask for the type alone",
        _swapped(
            ("add(1, 2) == 3", "isinstance(add(1, 2), int)"),
            ("add(0, 0) == 0", "isinstance(add(0, 0), int)"),
            ("add(left, 7) == told", "isinstance(add(left, 7), int)"),
        ),
    )
    yield _of(
        Group.WEAKENED,
        "weakened-cases",
        "take the cases away",
        _swapped((_ADD, "def test_add():\n    assert add\n"), ("[(1, 8), (2, 9), (-7, 0)]", "[]")),
    )
    yield _of(
        Group.WEAKENED,
        "weakened-loose",
        "compare loosely",
        _swapped(
            ("add(1, 2) == 3", "abs(add(1, 2) - 3) < 2"),
            ("add(0, 0) == 0", "abs(add(0, 0)) < 2"),
            ("add(left, 7) == told", "abs(add(left, 7) - told) < 2"),
        ),
    )
    mocked = "@pytest.fixture(autouse=True)\ndef _sums(monkeypatch):\n    monkeypatch.setitem(globals(), 'add', lambda a, b: a + b)\n\n\n"
    yield _of(Group.WEAKENED, "weakened-mocked", "test a stand-in for the source", _swapped((_ADD, mocked + _ADD)))

    yield _of(
        Group.RUNNER,
        "runner-deselect",
        "leave the tests out by an option in pyproject.toml",
        _configured("addopts = \"-k 'not add'\"\n"),
    )
    yield _of(
        Group.RUNNER,
        "runner-ini",
        "add a pytest.ini that looks elsewhere",
        {"pytest.ini": "[pytest]\ntestpaths = tests/test_words.py\n"},
    )
    yield _of(
        Group.RUNNER,
        "runner-patterns",
        "look for other names",
        _configured('python_functions = ["test_mean*", "test_is*", "test_count"]\n'),
    )
    yield _of(
        Group.RUNNER,
        "runner-ignore",
        "ignore the file from a conftest",
        {"tests/conftest.py": "collect_ignore = ['test_ops.py']\n"},
    )
    green = "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport():\n    report = (yield).get_result()\n    if report.failed:\n        report.outcome = 'passed'\n        report.longrepr = None\n"
    yield _of(Group.RUNNER, "runner-makereport", "make every report green from a conftest", {"conftest.py": green})
    named = green.replace("report.failed", "report.failed and 'test_add' in report.nodeid")
    yield _of(Group.RUNNER, "runner-makereport-named", "make only its own failures green", {"conftest.py": named})
    finish = "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"
    yield _of(Group.RUNNER, "runner-status", "set the session's status", {"conftest.py": finish})
    plugin = {"calc/plugin.py": named, **_configured('addopts = "-p calc.plugin"\n')}
    yield _of(Group.RUNNER, "runner-plugin", "load a plugin of its own", plugin)
    variable = {
        "calc/plugin.py": named,
        **_configured('env = ["PYTEST_PLUGINS=calc.plugin"]\n'),
        "sitecustomize.py": "import os\n\nos.environ['PYTEST_PLUGINS'] = 'calc.plugin'\n",
    }
    yield _of(Group.RUNNER, "runner-site", "name the plugin from a sitecustomize", variable)
    yield _of(Group.RUNNER, "runner-shadow", "be pytest oneself", {"pytest.py": "import sys\n\nsys.exit(0)\n"})
    whole = "import os\nimport sys\n\nhere = os.path.dirname(os.path.abspath(__file__))\nsys.path = [one for one in sys.path if os.path.abspath(one or '.') != here]\ndel sys.modules['pluggy']\nfrom pluggy import *\nfrom pluggy import HookspecMarker, HookimplMarker, PluginManager, PluginValidationError, HookCaller, Result\nos._exit(0)\n"
    yield _of(Group.RUNNER, "runner-pluggy", "be what pytest imports", {"pluggy.py": whole})

    toml = '[[gate]]\nname = "test"\nrun = "true"\n'
    yield _of(Group.GATE, "gate-file", "bring a gate file that asks nothing", {".ashigaru.toml": toml})
    yield _of(Group.GATE, "gate-made", "bring a Makefile whose tests pass", {"Makefile": "test:\n\ttrue\n"})
    yield _of(
        Group.GATE,
        "gate-tests-gone",
        "leave nothing that is recognised",
        {path: None for path in PYTHON.files if path.startswith(("tests/", "pyproject"))},
    )

    yield Cheat(
        name="unittest-patched",
        group=Group.PATCHED,
        tried="make unittest's comparison hold always",
        repo=UNITTEST,
        change={
            "shop.py": "import unittest\n\nunittest.TestCase.assertEqual = lambda *_: None\n\n\ndef price(n, each):\n    return 0\n"
        },
    )


CHEATS = tuple(_cheats())
