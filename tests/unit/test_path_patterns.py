"""Patterns of paths: what they mean, and that no path and no pattern takes long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.path_patterns import fits, touched

NAMES = st.text(alphabet="ab.*?[]", min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("README.md", "README.md"),
        ("docs/*.md", "docs/a.md"),
        ("docs/**", "docs/a/b.md"),
        ("docs/**", "docs/a.md"),
        ("**/*.py", "a.py"),
        ("**/*.py", "a/b/c.py"),
        ("src/**/test_?.py", "src/test_a.py"),
        ("src/**/test_?.py", "src/a/b/test_a.py"),
        ("**", "a/b"),
        ("a/**/**/b", "a/b"),
        ("[ab]/x", "b/x"),
    ],
)
def test_a_pattern_means_these(pattern: str, path: str) -> None:
    assert fits(path, pattern)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("README.md", "docs/README.md"),
        ("docs/*.md", "docs/a/b.md"),
        ("docs/**", "docs"),
        ("docs/**", "docs2/a.md"),
        ("*.py", "a/b.py"),
        ("src/**/test_?.py", "src/a/test_ab.py"),
        ("a/**/b", "a/c"),
        ("A.md", "a.md"),
        ("**/a", "b"),
    ],
)
def test_a_pattern_does_not_mean_those(pattern: str, path: str) -> None:
    assert not fits(path, pattern)


def test_no_patterns_mean_every_path() -> None:
    assert touched((), ())
    assert touched(("a/**", "b"), ("x", "b"))
    assert not touched(("a/**", "b"), ("x", "a"))


def test_a_pattern_that_could_be_met_in_very_many_ways_is_decided_at_once() -> None:
    assert not fits("/".join(["a"] * 1000), "/".join(["**", "a"] * 40 + ["b"]))


@given(st.lists(NAMES, min_size=1, max_size=5), st.lists(NAMES, min_size=1, max_size=5))
def test_a_star_that_crosses_directories_reaches_whatever_stands_before_and_behind(
    before: list[str], behind: list[str]
) -> None:
    literal = "/".join(before).translate(str.maketrans("*?[]", "xxxx"))
    path = "/".join([literal, *(name.translate(str.maketrans("*?[]", "xxxx")) for name in behind)])
    assert fits(path, f"{literal}/**")
    assert fits(path, f"**/{path.rsplit('/', 1)[-1]}")
