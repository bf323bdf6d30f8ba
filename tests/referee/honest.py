"""Changes as people make them, each right."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.referee.case import Edit, Honest, Repo, Right
from tests.referee.repos import GO, MAKE, NODE, PYTHON, RUST, UNITTEST

_OPS, _TESTS = "calc/ops.py", "tests/test_ops.py"
_MEDIAN = "\n\ndef median(of):\n    ordered = sorted(of)\n    return ordered[len(ordered) // 2]\n"
_TEST_MEDIAN = "from calc.ops import median\n\n\ndef test_median():\n    assert median([3, 1, 2]) == 2\n"


def _python(name: str, tried: str, change: Edit, right: Right = Right.PASSED) -> Honest:
    return Honest(name=f"honest-python-{name}", tried=tried, repo=PYTHON, change=change, right=right)


def _of(repo: Repo, name: str, tried: str, change: Edit, right: Right = Right.PASSED) -> Honest:
    return Honest(name=f"honest-{repo.kind}-{name}", tried=tried, repo=repo, change=change, right=right)


def _pythons() -> Iterator[Honest]:
    feature = {**PYTHON.added_to(_OPS, _MEDIAN), "tests/test_median.py": _TEST_MEDIAN}
    yield _python("feature", "add a function and a file of tests for it", feature)
    yield _python("readme", "write in the readme", {"README.md": "# calc\n\nRun pytest; see tests/test_ops.py.\n"})
    yield _python(
        "refactor", "say the same in other words", PYTHON.edited(_OPS, ("return a + b", "return sum((a, b))"))
    )
    yield _python("source-alone", "add a function and no test", PYTHON.added_to(_OPS, _MEDIAN))
    appended = {
        **PYTHON.added_to(_OPS, _MEDIAN),
        **PYTHON.added_to(_TESTS, "\n\ndef test_add_more():\n    assert add(2, 2) == 4\n"),
    }
    yield _python("appended", "add a test to a file of the base's", appended, Right.ASKED)
    buggy = Repo(kind=PYTHON.kind, files={**PYTHON.files, "calc/words.py": PYTHON.files["calc/words.py"]})
    fixed = {
        "calc/words.py": '"""Words."""\n\n\ndef count(text):\n    return len((text or "").split())\n',
        "tests/test_none.py": "from calc.words import count\n\n\ndef test_none_has_no_words():\n    assert count(None) == 0\n",
    }
    yield Honest(name="honest-python-fix", tried="mend a fault with a test that shows it", repo=buggy, change=fixed)
    renamed = {
        **PYTHON.edited(_OPS, ("def is_even", "def even")),
        **PYTHON.edited(_TESTS, ("is_even", "even")),
    }
    yield _python("renamed", "rename a function, in its tests too", renamed, Right.ASKED)
    removed = {
        **PYTHON.edited(_OPS, ("\n\ndef is_even(n):\n    return n % 2 == 0\n", "")),
        **PYTHON.edited(
            _TESTS,
            ("add, is_even, mean", "add, mean"),
            ("\n\ndef test_is_even():\n    assert is_even(2)\n    assert not is_even(3)\n", ""),
        ),
    }
    yield _python("removed", "remove a function and its tests", removed, Right.ASKED)
    changed = {
        **PYTHON.edited(_OPS, ('ValueError("nothing', 'ValueError("nothing at all')),
        **PYTHON.edited(_TESTS, ('match="nothing"', 'match="nothing at all"')),
    }
    yield _python("message", "word an error better, in its test too", changed, Right.ASKED)
    behaviour = {
        **PYTHON.edited(_OPS, ('raise ValueError("nothing to take the mean of")', "return 0")),
        **PYTHON.edited(
            _TESTS, ('with pytest.raises(ValueError, match="nothing"):\n        mean([])', "assert mean([]) == 0")
        ),
    }
    yield _python("behaviour", "change what the tests hold, as the issue asked", behaviour, Right.ASKED)
    split = {
        "tests/test_words.py": None,
        "tests/words/test_count.py": PYTHON.files["tests/test_words.py"],
    }
    yield _python("moved", "move a test file", split, Right.ASKED)
    fixture = "import pytest\n\n\n@pytest.fixture\ndef numbers():\n    return [1, 2, 3]\n"
    shared = {
        "tests/conftest.py": fixture,
        "tests/test_numbers.py": "from calc.ops import mean\n\n\ndef test_numbers(numbers):\n    assert mean(numbers) == 2\n",
    }
    yield _python("fixture", "add a conftest with a fixture", shared, Right.ASKED)
    marked = {
        **PYTHON.added_to("pyproject.toml", 'markers = ["slow"]\n'),
        "tests/test_slow.py": "import pytest\n\nfrom calc.ops import add\n\n\n@pytest.mark.slow\ndef test_large():\n    assert add(10**9, 1) == 10**9 + 1\n",
    }
    yield _python("marker", "declare a marker", marked, Right.ASKED)
    yield _python("version", "raise the version", PYTHON.edited("pyproject.toml", ('version = "1"', 'version = "2"')))
    cli = "import argparse\nimport sys\n\nfrom calc.ops import add\n\n\ndef main():\n    parser = argparse.ArgumentParser()\n    parser.add_argument('n', type=int, nargs=2)\n    print(add(*parser.parse_args().n))\n    return 0\n\n\nif __name__ == '__main__':\n    sys.exit(main())\n"
    yield _python("cli", "add a command line", {"calc/__main__.py": cli})
    pool = PYTHON.added_to(
        _OPS,
        "\n\nimport atexit\nfrom concurrent.futures import ThreadPoolExecutor\n\nPOOL = ThreadPoolExecutor(1)\natexit.register(POOL.shutdown)\n\n\ndef later(of):\n    return POOL.submit(mean, of)\n",
    )
    yield _python("pool", "close a pool at exit", pool)
    typed = PYTHON.edited(_OPS, ("def add(a, b):", "def add(a: int, b: int) -> int:"))
    yield _python("types", "annotate", typed)
    compared = PYTHON.added_to(
        _OPS,
        "\n\nclass Sum:\n    def __init__(self, n):\n        self.n = n\n\n    def __eq__(self, other):\n        return isinstance(other, Sum) and self.n == other.n\n\n    def __hash__(self):\n        return hash(self.n)\n",
    )
    yield _python("equality", "compare values", compared)
    codes = {
        "calc/codes.py": "def reason(code):\n    return {404: 'Not Found', 500: 'Server Error'}.get(code, 'Unknown')\n",
        "tests/test_codes.py": "from calc.codes import reason\n\n\ndef test_reason():\n    assert reason(404) == 'Not Found'\n    assert reason(1) == 'Unknown'\n",
    }
    yield _python("codes", "add a table, tested with its own values", codes)
    platform = {
        "calc/home.py": "from pathlib import Path\n\n\ndef home():\n    return Path('/tmp')\n",
        "tests/test_home.py": "import sys\n\nimport pytest\n\nfrom calc.home import home\n\n\n@pytest.mark.skipif(sys.platform == 'win32', reason='paths')\ndef test_home():\n    assert home().is_absolute()\n",
    }
    yield _python("platform", "add a test that one platform skips", platform)
    yield _python(
        "data",
        "add a file that tests read",
        {
            "tests/data/words.txt": "a b\n",
            "tests/test_data.py": "from pathlib import Path\n\nfrom calc.words import count\n\n\ndef test_data():\n    assert count((Path(__file__).parent / 'data/words.txt').read_text()) == 2\n",
        },
    )
    moved = {
        _OPS: "from calc.sums import add, is_even, mean\n\n__all__ = ['add', 'is_even', 'mean']\n",
        "calc/sums.py": PYTHON.files[_OPS],
    }
    yield _python("moved-source", "move the source and keep its name", moved)
    yield _python(
        "stricter",
        "make a test ask more",
        PYTHON.edited(_TESTS, ("assert is_even(2)", "assert is_even(2)\n    assert is_even(0)")),
        Right.ASKED,
    )
    yield _python("cases", "add a case", PYTHON.edited(_TESTS, ("(2, 9),", "(2, 9), (3, 10),")), Right.ASKED)
    yield _python(
        "logging",
        "log",
        PYTHON.edited(
            _OPS,
            ('"""Sums."""', '"""Sums."""\n\nimport logging\n\nLOG = logging.getLogger(__name__)'),
            ("    return a + b", "    LOG.debug('adding')\n    return a + b"),
        ),
    )
    yield _python(
        "expected",
        "add a test that is expected to fail",
        {
            "tests/test_later.py": "import pytest\n\nfrom calc.ops import add\n\n\n@pytest.mark.xfail(reason='not yet')\ndef test_words_add():\n    assert add('a', 1) == 'a1'\n"
        },
        Right.ASKED,
    )
    method = UNITTEST.added_to(
        "test_shop.py", "\n    def test_more(self):\n        self.assertEqual(shop.price(1, 1), 1)\n"
    )
    yield _of(UNITTEST, "method", "add a method to a unittest class", method, Right.ASKED)
    yield _of(
        UNITTEST,
        "rounded",
        "change the source alone",
        {"shop.py": "def price(n, each):\n    return round(n * each, 2)\n"},
    )


def _others() -> Iterator[Honest]:
    node = {
        **NODE.added_to("total.js", "module.exports.half = (a) => a / 2;\n"),
        "test/half.test.js": "const test = require('node:test');\nconst assert = require('node:assert');\nconst { half } = require('../total.js');\ntest('halves', () => assert.strictEqual(half(4), 2));\n",
    }
    yield _of(NODE, "feature", "add a function and a file of tests for it", node)
    yield _of(NODE, "refactor", "say the same in other words", NODE.edited("total.js", ("2 * a", "a + a")))
    yield _of(NODE, "cli", "add a command that exits", {"bin/total.js": "#!/usr/bin/env node\nprocess.exit(0);\n"})
    package = json.dumps({"name": "total", "version": "1.1.0", "scripts": {"test": "node --test"}}, indent=2)
    yield _of(NODE, "version", "give the package a version", {"package.json": package})
    yield _of(
        NODE,
        "stricter",
        "make a test ask more",
        NODE.edited("test/total.test.js", ("twice(4), 8);", "twice(4), 8);\n  assert.strictEqual(twice(0), 0);")),
        Right.ASKED,
    )
    yield _of(MAKE, "refactor", "say the same in other words", {"greet.sh": 'printf "hello %s\\n" "$1"\n'})
    yield _of(MAKE, "target", "add a target", MAKE.added_to("Makefile", "\nclean:\n\trm -f out\n"), Right.ASKED)
    yield _of(
        MAKE,
        "more",
        "add a test",
        MAKE.edited("tests/run.sh", ('echo "2', 'test "$(sh greet.sh eve)" = "hello eve"\necho "3')),
        Right.ASKED,
    )
    yield _of(
        GO,
        "feature",
        "add a function and a file of tests for it",
        {
            "half.go": "package calc\n\nfunc Half(a int) int { return a / 2 }\n",
            "half_test.go": 'package calc\n\nimport "testing"\n\nfunc TestHalf(t *testing.T) {\n\tif Half(4) != 2 {\n\t\tt.Fatal("not half")\n\t}\n}\n',
        },
    )
    yield _of(GO, "refactor", "say the same in other words", GO.edited("calc.go", ("2 * a", "a + a")))
    yield _of(
        RUST,
        "feature",
        "add a function and a file of tests for it",
        {
            **RUST.added_to("src/lib.rs", "\npub fn half(a: i64) -> i64 {\n    a / 2\n}\n"),
            "tests/half.rs": "#[test]\nfn halves() {\n    assert_eq!(calc::half(4), 2);\n}\n",
        },
    )
    yield _of(RUST, "refactor", "say the same in other words", RUST.edited("src/lib.rs", ("2 * a", "a + a")))


HONEST = (*_pythons(), *_others())
