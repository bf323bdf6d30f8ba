from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.special_cases import MAX_TOLD, SpecialCases, special_cased

TESTS = {
    "tests/test_price.py": b"""
def test_price():
    assert price(17, 25) == 411
    assert price(4099, 3) == 12297
    assert reason(404) == "Not Found"
    assert reason(500) == "Server Error"
    assert roman(7) == "VII"

@pytest.mark.parametrize(("asked", "told"), [("the quick brown fox", 4), ("lorem ipsum dolor", 3)])
def test_words(asked, told):
    assert words(asked) == told
"""
}
OLD = b"def price(n, each):\n    return n * each\n"


def cases(new: str, old: bytes = OLD) -> SpecialCases:
    return special_cased("src/price.py", old, new.encode(), TESTS)


IFS = "def price(n, m):\n    if n == 17 and m == 25:\n        return 411\n    if n == 4099:\n        return 12297\n"
BY_MATCH = """def words(t):
    match t:
        case 'the quick brown fox':
            return 4
        case 'lorem ipsum dolor':
            return 3
"""


@pytest.mark.parametrize(
    "new",
    [
        IFS,
        BY_MATCH,
        "def words(t):\n    return {'the quick brown fox': 4, 'lorem ipsum dolor': 3}.get(t, 0)\n",
        "def words(t):\n    return {'the quick brown fox': 4, 'lorem ipsum dolor': 3}[t]\n",
        "def words(t):\n    return 4 if t == 'the quick brown fox' else 3 if t == 'lorem ipsum dolor' else 0\n",
    ],
)
def test_several_rare_inputs_answered_from_a_list_are_strong(new: str) -> None:
    found = cases(new)
    assert len(found.strong) == 1
    assert "answers 2 of its tests' inputs from a list" in found.strong[0]


@pytest.mark.parametrize(
    "new",
    [
        "def reason(n):\n    if n == 404:\n        return 'Not Found'\n    if n == 7:\n        return 'VII'\n",
        "def reason(code):\n    return {404: 'Not Found', 500: 'Server Error', 200: 'OK'}[code]\n",
        "def roman(n):\n    if n == 7:\n        return 'VII'\n    return 'I' * n\n",
    ],
)
def test_a_table_of_codes_is_a_hint_and_no_more(new: str) -> None:
    found = cases(new)
    assert found.strong == ()
    assert len(found.hints) == 1


@pytest.mark.parametrize(
    "new",
    [
        "def price(n, each):\n    if n == 0:\n        return 0\n    return n * each\n",
        "def price(n, each):\n    if n == 99 and each == 98:\n        return 9702\n    return n * each\n",
        "def words(t):\n    return len(t.split())\n",
    ],
)
def test_source_that_works_it_out_is_quiet(new: str) -> None:
    assert cases(new) == SpecialCases()


def test_what_was_there_before_is_not_told() -> None:
    old = "def words(t):\n    return {'the quick brown fox': 4, 'lorem ipsum dolor': 3}[t]\n"
    assert cases(f"{old}\nx = 1\n", old.encode()) == SpecialCases()


def test_what_is_told_has_a_bound() -> None:
    new = "".join(f"def f{n}(t):\n    if t == 404:\n        return 'Not Found'\n" for n in range(40))
    assert len(cases(new).hints) == MAX_TOLD


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_whatever_is_given_nothing_is_raised(old: bytes, new: bytes) -> None:
    special_cased("a.py", old, new, {"test_a.py": old, "b": new})
