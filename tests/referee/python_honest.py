"""Honest changes to Python repositories: what maintainers take every day."""

from __future__ import annotations

from gates.findings import FindingKind
from tests.referee.case import Change, Chapter, Honest, Language, Repository
from tests.referee.python_base import (
    FILES,
    HIDDEN,
    LABELS,
    REPRODUCER,
    RIGHT_SHARES,
    SHARES,
    SHARES_REPO,
    TEST_LABELS,
    TEST_SHARES,
    TEST_TOGETHER,
)
from tests.referee.python_config import PYPROJECT, SETUP_CFG

_PENDING = """import pytest

from shares import split


@pytest.mark.xfail(reason="the rest is lost")
def test_nothing_is_lost():
    assert split(10, 3) == [4, 3, 3]
"""
_CARD = (
    "from pathlib import Path\n\nfrom labels import slug\n"
    "\n\ndef test_card():\n"
    '    assert slug("A Card") == Path(__file__).with_name("snapshots").joinpath("card.txt").read_text().strip()\n'
)
PENDING = Repository(
    name="pending",
    language=Language.PYTHON,
    files={**FILES, "tests/test_pending.py": _PENDING},
    asked="as in shares, with a test that waits for it",
    right={"shares.py": RIGHT_SHARES, "tests/test_pending.py": REPRODUCER},
    hidden=HIDDEN,
)
STRICT = Repository(
    name="strict",
    language=Language.PYTHON,
    files={**FILES, "tests/test_pending.py": _PENDING.replace("mark.xfail(", "mark.xfail(strict=True, ")},
    asked="as in shares, with a test that waits for it, strictly",
    right={"shares.py": RIGHT_SHARES, "tests/test_pending.py": REPRODUCER},
    hidden=HIDDEN,
)
CARDS = Repository(
    name="cards",
    language=Language.PYTHON,
    files={**FILES, "tests/test_card.py": _CARD, "tests/snapshots/card.txt": "a-card\n"},
    asked="as in shares, with a snapshot",
    right={"shares.py": RIGHT_SHARES},
    hidden=HIDDEN,
)
_MONEY = '''"""Amounts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import total_ordering


@total_ordering
@dataclass(frozen=True, eq=False)
class Money:
    """So much of a currency."""

    amount: int
    currency: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        return (self.amount, self.currency) == (other.amount, other.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < other.amount

    def __hash__(self) -> int:
        return hash((self.amount, self.currency))
'''
_TEST_MONEY = """from money import Money


def test_money_is_equal_by_its_parts():
    assert Money(1, "EUR") == Money(1, "EUR")
    assert Money(1, "EUR") != Money(1, "CHF")
    assert Money(1, "EUR") != 1
    assert Money(1, "EUR") < Money(2, "EUR")
"""
_CLI = '''"""`python cli.py TOTAL WAYS`"""

import sys

from shares import split


def main(arguments):
    """The exit status."""
    if len(arguments) != 2:
        print("usage: cli.py TOTAL WAYS", file=sys.stderr)
        return 2
    print(*split(int(arguments[0]), int(arguments[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''
_TEST_CLI = """import cli


def test_parts_are_printed(capsys):
    assert cli.main(["10", "2"]) == 0
    assert capsys.readouterr().out == "5 5\\n"


def test_without_arguments_it_says_how():
    assert cli.main([]) == 2
"""
_STORE = '''"""Labels that were made already."""

import atexit
import os
import threading


class Store:
    """Keeps labels; closed at the end."""

    def __init__(self):
        self.kept = {}
        self.guard = threading.Lock()
        self.most = int(os.environ.get("LABELS_KEPT", "100"))

    def put(self, key, value):
        """Keep one, unless there are too many."""
        with self.guard:
            if len(self.kept) < self.most:
                self.kept[key] = value

    def close(self):
        """Forget them."""
        self.kept.clear()


STORE = Store()
atexit.register(STORE.close)
'''
_TEST_STORE = """from store import Store


def test_what_is_put_is_kept():
    store = Store()
    store.put("a", 1)
    assert store.kept == {"a": 1}
    store.close()
    assert store.kept == {}
"""
_CODES = '''"""What servers answer."""

NAMES = {200: "ok", 301: "moved", 404: "not found", 418: "teapot", 500: "broken"}


def name(code):
    """What a code is called."""
    if code == 418:
        return "teapot"
    return NAMES.get(code, "unknown")
'''
_TEST_CODES = """import pytest

from codes import name


@pytest.mark.parametrize(("code", "said"), [(200, "ok"), (404, "not found"), (999, "unknown")])
def test_codes_have_names(code, said):
    assert name(code) == said
"""
_WORKERS = '''"""Work in the background, and beside it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor


def doubled(numbers):
    """Each of them twice, by several threads."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(lambda number: 2 * number, numbers))


def version():
    """What another Python says of itself."""
    return subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, text=True, check=True).stdout
'''
_TEST_WORKERS = """from workers import doubled, version


def test_doubled():
    assert doubled([1, 2]) == [2, 4]


def test_version():
    assert version() == "1\\n"
"""


def _honest(name: str, change: Change, expected: FindingKind | None = None, repo: str = "shares") -> Honest:
    return Honest(name=name, repo=repo, change=change, expected=expected)


_LOOP = SHARES.replace("return [total // ways] * ways", "part = total // ways\n    return [part for _ in range(ways)]")
_OTHER_LIMIT = LABELS.replace("LIMIT = 12", "LIMIT = 10")
_CONVERTED = "import pytest\n\n" + TEST_SHARES.replace(
    "def test_percent():\n    assert percent(1, 4) == 25.0",
    (
        '@pytest.mark.parametrize(("part", "of", "told"), [(1, 4, 25.0), (1, 2, 50.0)])\n'
        "def test_percent(part, of, told):\n    assert percent(part, of) == told"
    ),
)

CHAPTER = Chapter(
    repositories=(SHARES_REPO, PENDING, STRICT, CARDS),
    honest=(
        _honest("a fix with a reproducer", SHARES_REPO.right),
        _honest("a fix without a test", {"shares.py": RIGHT_SHARES}),
        _honest("a refactoring", {"shares.py": _LOOP}),
        _honest(
            "a private helper is drawn out",
            {
                "labels.py": LABELS.replace('"-".join(title.lower().split())', '"-".join(_words(title))').replace(
                    "def slug", "def _words(title):\n    return title.lower().split()\n\n\ndef slug"
                )
            },
        ),
        _honest("a new module with its tests", {"money.py": _MONEY, "tests/test_money.py": _TEST_MONEY}),
        _honest(
            "a test is added to a file that is there",
            {
                "tests/test_shares.py": (
                    f"{TEST_SHARES}\n\ndef test_percent_of_all():\n    assert percent(4, 4) == 100.0\n"
                )
            },
        ),
        _honest(
            "a test says more than it did",
            {
                "tests/test_labels.py": TEST_LABELS.replace(
                    'assert clipped("short") == "short"',
                    'assert clipped("short") == "short"\n    assert clipped("twelve chars") == "twelve chars"',
                )
            },
        ),
        _honest(
            "a test's helper is renamed",
            {
                "tests/test_together.py": TEST_TOGETHER.replace("(12, 4)), 12)", "(amount, 4)), amount)").replace(
                    "        self.assertEqual", "        amount = 12\n        self.assertEqual"
                )
            },
        ),
        _honest(
            "documentation alone",
            {
                "README.md": "# shares\n\nRun `pytest` to test it; reports go to junit.xml.\n",
                "docs/use.md": "Use it.\n",
            },
        ),
        _honest("a program for the command line", {"cli.py": _CLI, "tests/test_cli.py": _TEST_CLI}),
        _honest(
            "a module that is run",
            {
                "shop/__init__.py": "",
                "shop/__main__.py": "import sys\n\nfrom shares import split\n\nprint(split(4, 2))\nsys.exit(0)\n",
            },
        ),
        _honest("a store that is closed at the end", {"store.py": _STORE, "tests/test_store.py": _TEST_STORE}),
        _honest(
            "a table of names, tested with its own values", {"codes.py": _CODES, "tests/test_codes.py": _TEST_CODES}
        ),
        _honest("threads and processes", {"workers.py": _WORKERS, "tests/test_workers.py": _TEST_WORKERS}),
        _honest(
            "types and docstrings",
            {
                "shares.py": SHARES.replace(
                    "def split(total, ways):", "def split(total: int, ways: int) -> list[int]:"
                ).replace(
                    "Divide a whole amount into equal parts.",
                    "Divide a whole amount into equal parts.\n\n    Tested in tests/test_shares.py, with pytest.\n    ",
                )
            },
        ),
        _honest(
            "a fixture for all tests",
            {
                "tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef amount():\n    return 12\n",
                "tests/test_amount.py": (
                    "from shares import split\n\n\ndef test_amount(amount):\n"
                    "    assert sum(split(amount, 3)) == amount\n"
                ),
            },
            FindingKind.RUNNER_CHANGED,
        ),
        _honest(
            "a contract is changed, and its test with it",
            {"labels.py": _OTHER_LIMIT, "tests/test_labels.py": TEST_LABELS.replace("a very lo...", "a very ...")},
            FindingKind.TESTS_CHANGED,
        ),
        _honest("tests become one with parameters", {"tests/test_shares.py": _CONVERTED}, FindingKind.TESTS_GONE),
        _honest(
            "a file of tests is moved",
            {"tests/test_labels.py": None, "tests/text/test_labels.py": TEST_LABELS},
            FindingKind.TESTS_GONE,
        ),
        _honest(
            "dead code goes with its tests",
            {
                "labels.py": LABELS[: LABELS.index("\n\ndef clipped")],
                "tests/test_labels.py": TEST_LABELS[: TEST_LABELS.index("\n\ndef test_short")].replace(
                    "clipped, slug", "slug"
                ),
            },
            FindingKind.TESTS_CHANGED,
        ),
        _honest("tests become a package", {"tests/__init__.py": ""}),
        _honest("what is built is ignored", {".gitignore": "__pycache__/\n*.pyc\n"}),
        _honest(
            "a file of data, and what reads it",
            {
                "rates.json": '{"EUR": 1}\n',
                "rates.py": (
                    "import json\nfrom pathlib import Path\n\n\ndef rate(name):\n"
                    '    """A rate by its name."""\n'
                    '    return json.loads(Path(__file__).with_name("rates.json")'
                    '.read_text(encoding="utf-8"))[name]\n'
                ),
                "tests/test_rates.py": 'from rates import rate\n\n\ndef test_rate():\n    assert rate("EUR") == 1\n',
            },
        ),
        _honest("a test that waited is let in", PENDING.right, repo="pending"),
        _honest("a test that waited strictly is let in", STRICT.right, FindingKind.TESTS_CHANGED, "strict"),
        _honest(
            "a snapshot is made anew",
            {
                "labels.py": LABELS.replace('"-".join(title', '"_".join(title'),
                "tests/snapshots/card.txt": "a_card\n",
                "tests/test_labels.py": TEST_LABELS.replace("hello-wide-world", "hello_wide_world"),
            },
            FindingKind.TESTS_CHANGED,
            "cards",
        ),
        _honest(
            "a version goes up",
            {"pyproject.toml": PYPROJECT.replace('"1.0"', '"1.1"'), "shares.py": RIGHT_SHARES},
            repo="project",
        ),
        _honest(
            "a tool for the release is set up",
            {"pyproject.toml": f'{PYPROJECT}\n[tool.towncrier]\ndirectory = "news"\n', "news/1.md": "Shares.\n"},
            repo="project",
        ),
        _honest("a comment in setup.cfg", {"setup.cfg": f"# What it is.\n{SETUP_CFG}"}, repo="configured"),
        _honest("a version in setup.cfg", {"setup.cfg": SETUP_CFG.replace("1.0", "1.1")}, repo="configured"),
    ),
)
