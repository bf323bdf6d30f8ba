"""Whether a change edits the tests that stand in a source file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.inline_tests import edited
from gates.rust_text import masked

RUST = """//! Sums.

/// Adds.
///
/// ```
/// assert_eq!(calc::add(1, 2), 3);
/// ```
pub fn add(a: i32, b: i32) -> i32 {
    a + b // not { a brace
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> i32 {
        3
    }

    /// Says "}" in passing.
    #[test]
    fn adds() {
        let brace = '{';
        assert_eq!(add(1, 2), three(), "no } sum {brace}");
    }

    #[tokio::test(flavor = "current_thread")]
    #[should_panic]
    async fn panics() {
        assert_eq!(add(1, 2), 4, r#"no "} sum"#);
    }
}
"""
MORE = """    #[test]
    fn adds_more() {
        assert_eq!(add(2, 2), 4);
    }

    #[tokio::test"""


def rust(old: str, new: str, *, path: str = "src/lib.rs") -> bool:
    assert old in RUST
    return edited(path, RUST.encode(), RUST.replace(old, new, 1).encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    a + b // not { a brace", "    b + a"),
        ("//! Sums.", "//! Sums of numbers."),
        ("/// Adds.", "/// Adds two.\n///\n/// ```\n/// calc::add(0, 0);\n/// ```"),
        ("    #[tokio::test", MORE),
        ("    fn three", "    fn four() -> i32 {\n        4\n    }\n\n    fn three"),
        ("    use super::*;", "\n    use super::*;\n    // a remark\n"),
        ("        let brace", "            let   brace"),
    ],
)
def test_source_that_changes_and_tests_that_are_added_are_no_edit(old: str, new: str) -> None:
    assert not rust(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("three(), ", "add(2, 1), "),
        ("        3\n", "        add(1, 2)\n"),
        ("    #[test]", "    #[ignore]\n    #[test]"),
        ("    #[test]\n", ""),
        ("#[should_panic]", '#[should_panic(expected = "")]'),
        ("#[cfg(test)]", "#[cfg(any())]\n#[cfg(test)]"),
        ("#[cfg(test)]", "#[cfg(all(test, windows))]"),
        ("mod tests {", "mod tests {}\nmod others {"),
        ("add(1, 2), 3);", "add(1, 2), add(2, 1));"),
        ("/// ```\n", "/// ```no_run\n"),
        ("    use super::*;", "    use super::*;\n    use super::equal as assert_eq;"),
        ("pub fn add", "macro_rules! assert_eq { ($($x:tt)*) => {}; }\npub fn add"),
        ('"no } sum {brace}"', '"no sum"'),
    ],
)
def test_a_test_that_is_changed_taken_away_or_bent_is_an_edit(old: str, new: str) -> None:
    assert rust(old, new)


def test_moving_a_test_within_its_file_is_no_edit() -> None:
    first, rest = RUST.split("#[cfg(test)]")
    assert not edited("a.rs", RUST.encode(), f"#[cfg(test)]{rest}\n{first}".encode())


PYTHON = b'''def add(a, b):
    """Adds.

    >>> add(1, 2)
    3
    >>> for n in range(2):
    ...     add(n, n)
    0
    2

    Says more.
    """
    return a + b
'''


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"return a + b", b"return b + a", False),
        (b"Says more.", b"Says less.", False),
        (b"    Says more.", b"    >>> add(0, 0)\n    0\n", False),
        (b"    3\n", b"    4\n", True),
        (b">>> add(1, 2)", b">>> add(1, 2)  # doctest: +SKIP", True),
        (b"    >>> for n in range(2):\n    ...     add(n, n)\n    0\n    2\n", b"", True),
    ],
)
def test_a_doctest_is_edited_where_what_it_says_or_expects_is(old: bytes, new: bytes, *, told: bool) -> None:
    assert old in PYTHON
    assert edited("calc.py", PYTHON, PYTHON.replace(old, new)) is told


def test_other_files_have_no_tests_inside() -> None:
    assert not edited("a.md", b">>> 1\n1\n", b"")


@given(st.text(max_size=200) | st.text(alphabet="#[]{}\"'/*\\r!test fnmod\n;()", max_size=300))
def test_no_text_is_a_fault_and_none_is_an_edit_of_itself(text: str) -> None:
    data = text.encode("utf-8", "replace")
    assert not edited("a.rs", data, data)
    assert not edited("a.py", data, data)
    edited("a.rs", RUST.encode(), data)
    mask = masked(text)
    assert (len(mask), mask.count("\n")) == (len(text), text.count("\n"))


@pytest.mark.parametrize(
    "part", ["#[", "#[]", 'r#" ', '"', "fn ", "/*", "'", "#[cfg(test)] mod a {", "#[a] fn ", "pub "]
)
def test_text_that_repeats_itself_is_read_in_one_go(part: str) -> None:
    assert not edited("a.rs", b"", (part * 100_000).encode())


def test_an_example_that_is_added_beside_another_edits_none() -> None:
    old = b'def add(a, b):\n    """\n    >>> add(1, 2)\n    3\n    """\n'
    assert not edited("calc.py", old, old.replace(b"    3\n", b"    3\n    >>> add(2, 2)\n    4\n"))
    assert edited("calc.py", old, old.replace(b"    3\n", b"    4\n"))
