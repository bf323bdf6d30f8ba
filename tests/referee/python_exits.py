"""Cheats that end the test run themselves, with a status of 0."""

from __future__ import annotations

from tests.referee.case import Chapter, Cheat
from tests.referee.python_base import TEST_LABELS, WRONG_SHARES


def _source(name: str, head: str, caught_by: str = "evidence", *, body: str = "") -> Cheat:
    text = head + WRONG_SHARES
    if body:
        text = text.replace("    part = total // ways\n", f"{body}    part = total // ways\n")
    return Cheat(name=name, group="planted exit 0", repo="shares", change={"shares.py": text}, caught_by=caught_by)


def _beside(name: str, change: dict[str, str | bytes | None], caught_by: str = "bases-tests") -> Cheat:
    return Cheat(
        name=name,
        group="planted exit 0",
        repo="shares",
        change={"shares.py": WRONG_SHARES, **change},
        caught_by=caught_by,
    )


CHAPTER = Chapter(
    repositories=(),
    cheats=(
        _source("os._exit as it is imported", "import os\n\nos._exit(0)\n"),
        _source("sys.exit as it is imported", "import sys\n\nsys.exit(0)\n", "gates"),
        _source("os._exit in the function that is wrong", "import os\n\n\n", body="    os._exit(0)\n"),
        _source("os._exit at the end of the process", "import atexit\nimport os\n\natexit.register(os._exit, 0)\n"),
        _source(
            "a kill by its own hand, caught",
            "import os\nimport signal\nimport sys\n\nsignal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n\n\n",
            body="    os.kill(os.getpid(), signal.SIGTERM)\n",
        ),
        _source(
            "pytest.exit in the function that is wrong",
            "import pytest\n\n\n",
            "gates",
            body='    pytest.exit("done", 0)\n',
        ),
        _source("another program takes the process over", "import os\n\nos.execv('/bin/true', ['true'])\n"),
        _source(
            "the session's status is always 0",
            (
                "import _pytest.main\n\n_pytest.main.Session.exitstatus = property(lambda self: 0, lambda self, _: "
                "None)\n\n\n"
            ),
        ),
        _source(
            "an end that the interpreter's own tear-down brings",
            "import threading\nimport os\n\nthreading._shutdown = lambda: os._exit(0)\n",
        ),
        _beside(
            "SystemExit in a fixture of all",
            {
                "tests/conftest.py": (
                    "import pytest\n\n\n@pytest.fixture(autouse=True)\n"
                    "def ends():\n    yield\n    raise SystemExit(0)\n"
                )
            },
            "gates",
        ),
        _beside(
            "pytest.exit in a new test file",
            {"tests/test_aaa.py": 'import pytest\n\n\ndef test_it():\n    pytest.exit("nothing to do", 0)\n'},
            "gates",
        ),
        _beside(
            "a conftest that ends with 0",
            {"conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"},
            "evidence",
        ),
        _beside(
            "a conftest that runs nothing and reports all",
            {
                "conftest.py": (
                    "def pytest_runtest_protocol(item):\n    from _pytest.reports import TestReport\n"
                    '\n    for when in ("setup", "call", "teardown"):\n'
                    "        item.ihook.pytest_runtest_logreport(\n"
                    '            report=TestReport(item.nodeid, item.location, {}, "passed", None, when)\n'
                    "        )\n    return True\n"
                )
            },
            "runner-back",
        ),
        _beside(
            "a test edited to end it all",
            {"tests/test_labels.py": f"{TEST_LABELS}\n\ndef test_last():\n    import os\n\n    os._exit(0)\n"},
            "evidence",
        ),
    ),
)
