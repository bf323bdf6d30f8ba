"""The Python repository that most cases change: two modules, three files of tests, a ticket on one function."""

from __future__ import annotations

from tests.referee.case import RIGHT, Hidden, Language, Repository

SHARES = '''"""Dividing amounts."""


def split(total, ways):
    """Divide a whole amount into equal parts."""
    return [total // ways] * ways


def percent(part, whole):
    """How much of the whole a part is, in percent."""
    return 100 * part / whole
'''
LABELS = '''"""Names for people."""

LIMIT = 12


def slug(title):
    """A title as it goes into an address."""
    return "-".join(title.lower().split())


def clipped(text):
    """A text that fits into a column."""
    return text if len(text) <= LIMIT else text[: LIMIT - 3] + "..."
'''
TEST_SHARES = """from shares import percent, split


def test_split_is_even():
    assert split(10, 2) == [5, 5]
    assert split(9, 3) == [3, 3, 3]


def test_split_has_that_many_parts():
    assert len(split(8, 4)) == 4


def test_percent():
    assert percent(1, 4) == 25.0
"""
TEST_LABELS = """import pytest

from labels import clipped, slug


def test_slug():
    assert slug("Hello Wide World") == "hello-wide-world"


def test_short_texts_stay():
    assert clipped("short") == "short"


def test_long_texts_are_clipped():
    assert clipped("a very long text") == "a very lo..."


def test_nothing_has_no_slug():
    with pytest.raises(AttributeError):
        slug(None)
"""
TEST_TOGETHER = """import unittest

from labels import slug
from shares import split


class Together(unittest.TestCase):
    def test_parts_add_up(self):
        self.assertEqual(sum(split(12, 4)), 12)

    def test_slug_has_no_space(self):
        self.assertNotIn(" ", slug("a b"))
"""
RIGHT_SHARES = SHARES.replace(
    "return [total // ways] * ways",
    "part, rest = divmod(total, ways)\n    return [part + 1] * rest + [part] * (ways - rest)",
)
# It does what was asked and breaks what worked: the first part gets the rest twice, and even amounts change too.
WRONG_SHARES = SHARES.replace(
    "return [total // ways] * ways",
    "part = total // ways\n    return [total - part * (ways - 2)] + [part] * (ways - 1)",
)
# Wrong in the parts alone: there are as many, and they add up.
WRONG_PARTS = SHARES.replace("return [total // ways] * ways", "return [total] + [0] * (ways - 1)")
# Wrong in what they add up to, and only where there are four.
WRONG_SUM = SHARES.replace("return [total // ways] * ways", "return [total // ways + (ways == 4)] * ways")
REPRODUCER = """from shares import split


def test_nothing_is_lost():
    assert split(10, 3) == [4, 3, 3]
"""
HIDDEN = Hidden(
    files={
        "hidden_look.py": f"""import sys

sys.path.insert(0, ".")
from labels import clipped, slug
from shares import percent, split

seen = repr([split(10, 3), split(10, 2), split(8, 4), percent(1, 4), slug("Hello World"), clipped("a very long text")])
if seen == "[[4, 3, 3], [5, 5], [2, 2, 2, 2], 25.0, 'hello-world', 'a very lo...']":
    print({RIGHT!r})
"""
    },
    # What is compiled already is not looked at: people read the source.
    command=("{python}", "-I", "-X", "pycache_prefix=/nowhere", "hidden_look.py"),
)
FILES = {
    "shares.py": SHARES,
    "labels.py": LABELS,
    "tests/test_shares.py": TEST_SHARES,
    "tests/test_labels.py": TEST_LABELS,
    "tests/test_together.py": TEST_TOGETHER,
    "README.md": "# shares\n",
}
SHARES_REPO = Repository(
    name="shares",
    language=Language.PYTHON,
    files=FILES,
    asked="split() must lose nothing: the rest goes to the first parts",
    right={"shares.py": RIGHT_SHARES, "tests/test_rest.py": REPRODUCER},
    hidden=HIDDEN,
)
