from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.assertions import MAX_TOLD, lost, weaker
from gates.languages import MAX_BYTES

PY = "tests/test_sum.py"
WHOLE = b"""import pytest

def test_adds():
    assert add(1, 2) == 3
    assert add(0, 0) == 0

class TestSum:
    def test_refuses(self):
        with pytest.raises(ValueError):
            add("a", 1)

@pytest.mark.parametrize("n", [1, 2, 3])
def test_each(n):
    assert add(n, 0) == n
"""


def edited(*swaps: tuple[str, str]) -> bytes:
    text = WHOLE.decode()
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def test_an_assertion_taken_away_is_counted() -> None:
    assert lost(PY, WHOLE, edited(("    assert add(0, 0) == 0\n", ""))) == 1


def test_assertions_that_moved_are_not_lost() -> None:
    assert lost(PY, WHOLE, b"import pytest\n" + WHOLE + b"\n\ndef test_more():\n    assert add(2, 2) == 4\n") == 0


def test_a_file_that_is_gone_has_lost_all_of_its_assertions() -> None:
    assert lost(PY, WHOLE, b"") == 4


def test_mocks_and_unittest_methods_are_assertions_too() -> None:
    old = (
        b"class T:\n    def test_a(self):\n        self.assertEqual(f(), 1)\n        sent.assert_called_once_with(2)\n"
    )
    assert lost(PY, old, b"class T:\n    def test_a(self):\n        f()\n") == 2


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("a.test.js", b"test('a', () => { expect(f()).toBe(1); });", b"test('a', () => { f(); });"),
        ("a.test.js", b"test('a', () => { assert.strictEqual(f(), 1); });", b"test('a', () => { // assert(f())\n });"),
        ("a.test.ts", b"it('a', () => { expect(f()).toBe(1) })", b"it('a', () => { const s = 'expect(1)' })"),
        ("a_test.go", b'if f() != 1 { t.Errorf("x") }', b"f()"),
        ("a_test.go", b"require.Equal(t, 1, f())", b"/* require.Equal(t, 1, f()) */"),
        ("tests/a.rs", b"assert_eq!(f(), 1);", b"f();"),
        ("ATest.java", b"assertEquals(1, f());", b"f();"),
    ],
)
def test_an_assertion_that_went_is_counted_in_other_languages(path: str, old: bytes, new: bytes) -> None:
    assert lost(path, old, new) == 1


def test_a_language_that_is_not_known_has_lost_nothing() -> None:
    assert lost("tests/a.bats", b"assert x", b"") == 0
    assert weaker("tests/a.bats", b"assert x", b"") == ()


@pytest.mark.parametrize(
    ("swap", "told"),
    [
        (("def test_adds", "@pytest.mark.skip\ndef test_adds"), "test_adds is skipped, always or under a condition"),
        (("    assert add(1, 2)", "    pytest.skip('x')\n    assert add(1, 2)"), "test_adds is skipped"),
        (("def test_adds", "@pytest.mark.xfail(reason='x')\ndef test_adds"), "test_adds is expected to fail"),
        (("add(1, 2) == 3", "True"), "test_adds asserts what is always true"),
        (("add(1, 2) == 3", "(add(1, 2) == 3, 'sum')"), "test_adds asserts what is always true"),
        (("add(1, 2) == 3", "add(1, 2) == 3 or True"), "test_adds asserts what is always true"),
        (("add(1, 2) == 3", "add(1, 2) == ANY"), "test_adds asserts what is always true"),
        (
            ("    assert add(1, 2)", "    return\n    assert add(1, 2)"),
            "test_adds has assertions that are never reached",
        ),
        (
            ("    assert add(1, 2)", "    if False:\n        assert add(1, 2)"),
            "test_adds has assertions that are never",
        ),
        (
            (
                "    assert add(1, 2) == 3",
                "    try:\n        assert add(1, 2) == 3\n    except Exception:\n        pass",
            ),
            "test_adds swallows the failure of its own assertion",
        ),
        (("raises(ValueError)", "raises(Exception)"), "TestSum.test_refuses expects any exception at all"),
        (("[1, 2, 3]", "[1]"), "test_each is given fewer cases"),
        (("    assert add(n, 0) == n", "    pass"), "test_each has an empty body"),
        (("    assert add(n, 0) == n", "    ..."), "test_each has an empty body"),
        (("import pytest\n", "import pytest\npytestmark = pytest.mark.skip\n"), "the whole file is skipped"),
        (("class TestSum", "@pytest.mark.skip\nclass TestSum"), "the whole file is skipped"),
        (("class TestSum:\n", "class TestSum:\n    __test__ = False\n"), "the whole file is skipped"),
        (("\n@pytest.mark.para", "\ndel test_adds\n@pytest.mark.para"), "the whole file is skipped"),
        (
            ("\nclass TestSum", "\ndef test_adds():\n    assert add(0, 0) == 0\n\nclass TestSum"),
            "test_adds is defined twice, so that one of them never runs",
        ),
    ],
)
def test_a_test_that_asks_less_is_named(swap: tuple[str, str], told: str) -> None:
    said = weaker(PY, WHOLE, edited(swap))
    assert any(line.startswith(told) for line in said), said


def test_a_test_that_is_commented_out_is_named() -> None:
    new = WHOLE.replace(
        b"def test_adds():\n    assert add(1, 2) == 3\n    assert add(0, 0) == 0\n", b"# def test_adds():\n"
    )
    assert weaker(PY, WHOLE, new) == ("test_adds is commented out",)


@pytest.mark.parametrize(
    "swap",
    [
        ("add(1, 2) == 3", "add(1, 2) == 4"),
        ("add(1, 2) == 3", "add(1, 2) == add(2, 1)"),
        ("[1, 2, 3]", "[1, 2, 3, 4]"),
        ("def test_adds", "@pytest.mark.slow\ndef test_adds"),
        ("def test_each", "def test_each_number"),
    ],
)
def test_an_edit_that_asks_as_much_says_nothing(swap: tuple[str, str]) -> None:
    assert weaker(PY, WHOLE, edited(swap)) == ()


def test_what_was_so_before_is_not_told() -> None:
    old = edited(("def test_adds", "@pytest.mark.skip\ndef test_adds"))
    assert weaker(PY, old, old + b"\nx = 1\n") == ()


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("a.test.js", "test('a', () => { f(); });", "test.skip('a', () => { f(); });"),
        ("a.test.js", "it('a', () => { f(); });", "xit('a', () => { f(); });"),
        ("a.test.js", "it('a', () => { f(); });", "it.only('a', () => { f(); });"),
        ("a.test.js", "it('a', () => { f(); });", "it('a', { skip: true }, () => { f(); });"),
        ("a.test.js", "it('a', () => { f(); });", "it('a', () => {});"),
        ("a.test.js", "it('a', () => { f(); });", "// it('a', () => { f(); });"),
        ("a.test.js", "expect(f()).toBe(1)", "expect(true).toBe(true)"),
        ("a.test.mjs", "assert.ok(f())", "assert.ok(true)"),
        ("a.test.js", "check();", "try { check(); } catch (e) {}"),
        ("a_test.go", "func TestA(t *testing.T) { f(t) }", "func TestA(t *testing.T) { t.Skip() }"),
        ("a_test.go", "func TestA(t *testing.T) { f(t) }", "func TestA(t *testing.T) {}"),
        ("a_test.go", "func TestA(t *testing.T) { f(t) }", "// func TestA(t *testing.T) { f(t) }"),
        ("tests/a.rs", "#[test]\nfn a() { f(); }", "#[test]\n#[ignore]\nfn a() { f(); }"),
        ("tests/a.rs", "#[test]\nfn a() { f(); }", "#[test]\nfn a() {}"),
        ("ATest.java", "@Test void a() { f(); }", "@Test @Disabled void a() { f(); }"),
        ("ATest.java", "@Test void a() { f(); }", "@Test void a() { }"),
    ],
)
def test_a_test_that_asks_less_is_seen_in_other_languages(path: str, old: str, new: str) -> None:
    assert weaker(path, old.encode(), new.encode()) != ()
    assert weaker(path, new.encode(), new.encode()) == ()


def test_what_is_told_has_a_bound() -> None:
    old = "".join(f"def test_{n}():\n    assert f()\n" for n in range(50)).encode()
    assert len(weaker(PY, old, old.replace(b"assert f()", b"pass"))) == MAX_TOLD


@pytest.mark.parametrize("path", [PY, "a.test.js", "a_test.go", "a.rs", "A.java"])
@pytest.mark.parametrize(
    "text", [b'r#"' * 20_000, b"@Test " * 20_000, b"catch (" * 20_000, b"(" * 5_000, b"/*" * 20_000]
)
def test_text_made_to_hold_a_reader_up_is_read_in_time(path: str, text: bytes) -> None:
    assert lost(path, text, text) == 0
    assert weaker(path, text, text) == ()


def test_a_file_too_large_to_be_read_is_not_said_to_have_lost_anything() -> None:
    assert lost(PY, WHOLE, b"#" * (MAX_BYTES + 1)) == 0


@given(st.sampled_from([PY, "a.js", "a.go", "a.rs", "A.java"]), st.binary(max_size=300), st.binary(max_size=300))
def test_whatever_is_given_nothing_is_raised(path: str, old: bytes, new: bytes) -> None:
    assert lost(path, old, new) >= 0
    assert lost(path, old, old) == 0
    assert weaker(path, old, old) == ()
    weaker(path, old, new)
