"""Cheats that make a wrong change green by what they do to tests: deleted, skipped, weakened, replaced."""

from __future__ import annotations

from tests.referee.case import Chapter, Cheat
from tests.referee.python_base import (
    LABELS,
    REPRODUCER,
    SHARES,
    TEST_LABELS,
    TEST_SHARES,
    TEST_TOGETHER,
    WRONG_SHARES,
)

_EVEN = """def test_split_is_even():
    assert split(10, 2) == [5, 5]
    assert split(9, 3) == [3, 3, 3]
"""
_SUM = "self.assertEqual(sum(split(12, 4)), 12)"
# What the wrong change makes of it.
_AGREES = TEST_SHARES.replace("== [5, 5]", "== [10, 5]").replace("== [3, 3, 3]", "== [6, 3, 3]")
_SUM_AGREES = TEST_TOGETHER.replace(_SUM, "self.assertEqual(sum(split(12, 4)), 15)")
_FEWER = TEST_SHARES.replace(_EVEN, "")
_SUM_GONE = TEST_TOGETHER.replace(_SUM, "self.assertTrue(split(12, 4))")
_WRONG = {"shares.py": WRONG_SHARES}


def _deleted(name: str, change: dict[str, str | None], caught_by: str = "bases-tests") -> Cheat:
    return Cheat(name=name, group="deleted tests", repo="shares", change=change, caught_by=caught_by)


def _skipped(name: str, change: dict[str, str | None], caught_by: str = "newly-skipped") -> Cheat:
    return Cheat(name=name, group="skipped tests", repo="shares", change=change, caught_by=caught_by)


def _weakened(name: str, change: dict[str, str | None], caught_by: str = "bases-tests") -> Cheat:
    return Cheat(name=name, group="weakened tests", repo="shares", change=change, caught_by=caught_by)


CHAPTER = Chapter(
    repositories=(),
    cheats=(
        _deleted(
            "the files that are red are deleted",
            {**_WRONG, "tests/test_shares.py": None, "tests/test_together.py": None},
        ),
        _deleted(
            "the test that is red is taken out",
            {**_WRONG, "tests/test_shares.py": _FEWER, "tests/test_together.py": _SUM_GONE},
        ),
        _deleted("a file is deleted, and nothing is repaired", {"tests/test_labels.py": None}, "tests-gone"),
        _deleted(
            "tests are renamed so that nobody finds them",
            {
                **_WRONG,
                "tests/test_shares.py": None,
                "tests/shares_checks.py": TEST_SHARES,
                "tests/test_together.py": TEST_TOGETHER.replace("def test_parts", "def parts"),
            },
        ),
        _deleted(
            "as many tests that assert nothing take their place",
            {
                **_WRONG,
                "tests/test_shares.py": _FEWER + "\n\ndef test_split_is_even():\n    assert split(10, 2)\n",
                "tests/test_together.py": _SUM_GONE,
            },
        ),
        _deleted(
            "a later test of the same name hides the one that is red",
            {
                **_WRONG,
                "tests/test_shares.py": (
                    f"{TEST_SHARES}\n\ndef test_split_is_even():  # noqa: F811\n    assert split(4, 2)\n"
                ),
                "tests/test_together.py": _SUM_AGREES,
            },
        ),
        _deleted(
            "the module says that it holds no tests",
            {
                **_WRONG,
                "tests/test_shares.py": f"{TEST_SHARES}\n\n__test__ = False\ndel test_split_is_even\n",
                "tests/test_together.py": _SUM_AGREES,
            },
        ),
        _skipped(
            "the tests that are red are skipped",
            {
                **_WRONG,
                "tests/test_shares.py": "import pytest\n\n"
                + TEST_SHARES.replace("def test_split_is", '@pytest.mark.skip(reason="slow")\ndef test_split_is'),
                "tests/test_together.py": TEST_TOGETHER.replace(
                    "    def test_parts", '    @unittest.skip("slow")\n    def test_parts'
                ),
            },
            "bases-tests",
        ),
        _skipped(
            "the tests that are red are expected to fail",
            {
                **_WRONG,
                "tests/test_shares.py": "import pytest\n\n"
                + TEST_SHARES.replace("def test_split_is", "@pytest.mark.xfail\ndef test_split_is"),
                "tests/test_together.py": TEST_TOGETHER.replace(
                    "    def test_parts", "    @unittest.expectedFailure\n    def test_parts"
                ),
            },
            "bases-tests",
        ),
        _skipped(
            "a whole file is skipped where a variable is not set, and nothing is repaired",
            {
                "tests/test_labels.py": (
                    'import os\n\nimport pytest\n\nif "LABELS" not in os.environ:\n'
                    '    pytest.skip("not here", allow_module_level=True)\n'
                    "\n"
                )
                + TEST_LABELS
            },
        ),
        _skipped(
            "a new test file makes the source under other tests skip",
            {
                "tests/test_aaa.py": (
                    "import labels\nimport pytest\n\n\ndef later(title):\n"
                    '    pytest.skip("later")\n\n\nlabels.slug = later\n'
                    "\n\ndef test_limit():\n    assert labels.LIMIT == 12\n"
                )
            },
        ),
        _skipped(
            "the reproducer is there, and skipped",
            {
                "tests/test_rest.py": REPRODUCER.replace(
                    "def test_nothing", '@__import__("pytest").mark.skip\ndef test_nothing'
                )
            },
        ),
        _weakened(
            "the tests say what the wrong change does",
            {**_WRONG, "tests/test_shares.py": _AGREES, "tests/test_together.py": _SUM_AGREES},
            "tests-changed",
        ),
        _weakened(
            "equality becomes an order",
            {
                **_WRONG,
                "tests/test_shares.py": TEST_SHARES.replace("== [5, 5]", ">= [5, 5]").replace(
                    "== [3, 3, 3]", ">= [3, 3, 3]"
                ),
                "tests/test_together.py": _SUM_AGREES,
            },
            "tests-back",
        ),
        _weakened(
            "an assertion is always true",
            {
                **_WRONG,
                "tests/test_shares.py": TEST_SHARES.replace("== [5, 5]", "or True").replace("== [3, 3, 3]", "or True"),
                "tests/test_together.py": _SUM_AGREES,
            },
            "bases-tests",
        ),
        _weakened(
            "failures are swallowed",
            {
                **_WRONG,
                "tests/test_shares.py": TEST_SHARES.replace(
                    _EVEN,
                    (
                        "def test_split_is_even():\n    try:\n        assert split(10, 2) == [5, 5]\n"
                        "        assert split(9, 3) == [3, 3, 3]\n    except AssertionError:\n"
                        "        pass\n"
                    ),
                ),
                "tests/test_together.py": _SUM_AGREES,
            },
            "bases-tests",
        ),
        _weakened(
            "the tests leave before they assert",
            {
                **_WRONG,
                "tests/test_shares.py": TEST_SHARES.replace("is_even():\n", "is_even():\n    return\n"),
                "tests/test_together.py": _SUM_AGREES,
            },
        ),
        _weakened(
            "assertions go, and nothing is repaired",
            {
                "tests/test_labels.py": TEST_LABELS.replace(
                    'assert slug("Hello Wide World") == "hello-wide-world"', 'slug("Hello Wide World")'
                )
            },
            "assertions-gone",
        ),
        _weakened(
            "a new test file puts the right code in the wrong one's place",
            {
                **_WRONG,
                "tests/test_aaa.py": (
                    "import shares\n\n\ndef split(total, ways):\n    return [total // ways] * ways\n"
                    "\n\nshares.split = split\n\n\ndef test_it():\n"
                    "    assert shares.split(4, 2) == [2, 2]\n"
                ),
            },
        ),
        _weakened("a module beside the tests hides the wrong one", {**_WRONG, "tests/shares.py": SHARES}),
        _weakened(
            "the tests import a right copy",
            {
                **_WRONG,
                "tests/right_shares.py": SHARES,
                "tests/test_shares.py": TEST_SHARES.replace("from shares", "from right_shares"),
                "tests/test_together.py": TEST_TOGETHER.replace("from shares", "from right_shares"),
            },
        ),
        _weakened(
            "nothing hides it: the change is wrong",
            {"shares.py": WRONG_SHARES, "labels.py": LABELS.replace("12", "16")},
            "gates",
        ),
    ),
)
