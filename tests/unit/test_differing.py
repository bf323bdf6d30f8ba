from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gates.differing import MAX_TEXT_BYTES, MAX_TOLD, differing
from gates.evidence import Case, CaseOutcome, JUnit


def report(**outcomes: CaseOutcome) -> JUnit:
    cases = (
        Case(name=name, classname="t", outcome=outcome, message=f"{name} said \x1b[31mno\u202e")
        for name, outcome in outcomes.items()
    )
    return JUnit(cases=tuple(cases))


P, F, S, E = CaseOutcome.PASSED, CaseOutcome.FAILED, CaseOutcome.SKIPPED, CaseOutcome.ERROR


def test_a_test_that_fails_as_the_base_has_it_and_passes_as_the_change_has_it_is_told() -> None:
    found = differing(
        report(a=P, b=P), report(a=F, b=P), {"tests/test_a.py": (b"assert f() == 1\n", b"assert f() == 2\n")}
    )
    assert found.told == ("t::a: as the base has it, it fails; as the change has it, it passes",)
    assert "the base's says: a said no" in found.text
    assert "-assert f() == 1\n+assert f() == 2" in found.text


def test_a_test_that_the_change_took_away_is_told() -> None:
    assert differing(report(a=P), report(a=P, b=F), {}).told == (
        "t::b: as the base has it, it fails; as the change has it, it is not there",
    )


def test_a_new_test_and_two_ways_to_be_red_are_no_difference() -> None:
    found = differing(report(a=F, new=P), report(a=E), {"tests/test_a.py": (b"a", b"b")})
    assert (found.told, found.text) == ((), "")


def test_red_tests_come_first() -> None:
    told = differing(report(a=S, b=P), report(a=P, b=F), {}).told
    assert [line.split(":")[2] for line in told] == ["b", "a"]


def test_of_two_tests_of_one_name_the_worse_counts() -> None:
    twice = JUnit(cases=(*report(a=P).cases, *report(a=F).cases))
    assert differing(report(a=P), twice, {}).told != ()
    assert differing(twice, report(a=F), {}).told == ()


def test_what_is_told_has_bounds() -> None:
    names = {f"test_{n}" + "x" * 200: F for n in range(100)}
    edits: dict[str, tuple[bytes | None, bytes | None]] = {
        f"tests/{n}.py": (b"a\n" * 50_000, b"b\n" * 50_000) for n in range(30)
    }
    found = differing(JUnit(cases=()), report(**names), edits)
    assert len(found.told) == MAX_TOLD
    assert len(found.text.encode()) <= MAX_TEXT_BYTES


@given(st.binary(max_size=200), st.binary(max_size=200), st.text(max_size=50))
def test_nothing_hidden_is_shown(old: bytes, new: bytes, name: str) -> None:
    red = JUnit(cases=(Case(name=name, outcome=F, message=name, detail=name),))
    found = differing(JUnit(cases=()), red, {name: (old, new)})
    assert all(ch.isprintable() or ch in "\n\t" for ch in found.text + "".join(found.told))
