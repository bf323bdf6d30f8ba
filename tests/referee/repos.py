"""The repositories that are changed."""

from __future__ import annotations

import json
from typing import Final

from tests.referee.case import Kind, Repo

PYTHON: Final = Repo(
    kind=Kind.PYTHON,
    files={
        "pyproject.toml": '[project]\nname = "calc"\nversion = "1"\n\n[tool.pytest.ini_options]\ntestpaths = ["tests"]\n',
        "README.md": "# calc\n",
        "calc/__init__.py": '"""Sums and words."""\n',
        "calc/ops.py": '''"""Sums."""


def add(a, b):
    return a + b


def mean(of):
    if not of:
        raise ValueError("nothing to take the mean of")
    return sum(of) / len(of)


def is_even(n):
    return n % 2 == 0
''',
        "calc/words.py": '"""Words."""\n\n\ndef count(text):\n    return len(text.split())\n',
        "tests/test_ops.py": """import pytest

from calc.ops import add, is_even, mean


def test_add():
    assert add(1, 2) == 3
    assert add(0, 0) == 0


@pytest.mark.parametrize(("left", "told"), [(1, 8), (2, 9), (-7, 0)])
def test_add_seven(left, told):
    assert add(left, 7) == told


def test_mean():
    assert mean([1, 2, 3]) == 2


def test_mean_of_nothing():
    with pytest.raises(ValueError, match="nothing"):
        mean([])


def test_is_even():
    assert is_even(2)
    assert not is_even(3)
""",
        "tests/test_words.py": "from calc.words import count\n\n\ndef test_count():\n    assert count('a b c') == 3\n",
    },
)
WRONG: Final = PYTHON.edited("calc/ops.py", ("return a + b", "return a + b + 1"))

UNITTEST: Final = Repo(
    kind=Kind.PYTHON,
    files={
        "shop.py": "def price(n, each):\n    return n * each\n",
        "test_shop.py": """import unittest

import shop


class TestPrice(unittest.TestCase):
    def test_price(self):
        self.assertEqual(shop.price(2, 3), 6)

    def test_nothing(self):
        self.assertEqual(shop.price(0, 3), 0)
""",
    },
)

NODE: Final = Repo(
    kind=Kind.NODE,
    files={
        "package.json": json.dumps({"name": "total", "scripts": {"test": "node --test"}}, indent=2),
        "total.js": "module.exports.total = (a, b) => a + b;\nmodule.exports.twice = (a) => 2 * a;\n",
        "test/total.test.js": """const test = require('node:test');
const assert = require('node:assert');
const { total, twice } = require('../total.js');

test('adds up', () => {
  assert.strictEqual(total(1, 2), 3);
  assert.strictEqual(total(0, 0), 0);
});

test('doubles', () => {
  assert.strictEqual(twice(4), 8);
});
""",
    },
)
NODE_WRONG: Final = NODE.edited("total.js", ("a + b", "a - b"))

MAKE: Final = Repo(
    kind=Kind.MAKE,
    files={
        "Makefile": ".PHONY: test\ntest:\n\tsh tests/run.sh\n",
        "greet.sh": 'echo "hello $1"\n',
        "tests/run.sh": """set -e
test "$(sh greet.sh ann)" = "hello ann"
test "$(sh greet.sh bob)" = "hello bob"
echo "2 passed"
""",
    },
)
MAKE_WRONG: Final = MAKE.edited("greet.sh", ("hello", "goodbye"))

GO: Final = Repo(
    kind=Kind.GO,
    files={
        "go.mod": "module example.org/calc\n\ngo 1.19\n",
        "calc.go": "package calc\n\nfunc Add(a, b int) int { return a + b }\n\nfunc Twice(a int) int { return 2 * a }\n",
        "calc_test.go": """package calc

import "testing"

func TestAdd(t *testing.T) {
	if Add(1, 2) != 3 {
		t.Errorf("got %d", Add(1, 2))
	}
}

func TestTwice(t *testing.T) {
	if Twice(4) != 8 {
		t.Fatal("not twice")
	}
}
""",
    },
)
GO_WRONG: Final = GO.edited("calc.go", ("a + b", "a - b"))

RUST: Final = Repo(
    kind=Kind.RUST,
    files={
        "Cargo.toml": '[package]\nname = "calc"\nversion = "0.1.0"\nedition = "2021"\n',
        "Cargo.lock": 'version = 3\n\n[[package]]\nname = "calc"\nversion = "0.1.0"\n',
        "src/lib.rs": "pub fn add(a: i64, b: i64) -> i64 {\n    a + b\n}\n\npub fn twice(a: i64) -> i64 {\n    2 * a\n}\n",
        "tests/calc.rs": """use calc::{add, twice};

#[test]
fn adds() {
    assert_eq!(add(1, 2), 3);
}

#[test]
fn doubles() {
    assert_eq!(twice(4), 8);
}
""",
    },
)
RUST_WRONG: Final = RUST.edited("src/lib.rs", ("a + b", "a - b"))
