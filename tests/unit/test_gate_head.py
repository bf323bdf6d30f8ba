"""The verdict on a change, from what its gates said on each of its trees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gates.findings import Finding, FindingKind, Weight
from gates.head import Change, Taken, contradicts, judge_head
from gates.judge import distrust, judge
from gates.observed import Counts, Observation, summarise
from gates.plan import Gate, GatePlan
from gates.policy import Policy
from gates.sentinels import sentinels
from gates.test_runners import TestRunner
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Verdict

GATE = Gate(name="test", run="pytest", junit="out.xml", timeout_s=60, runner=TestRunner.PYTEST)
BASE = Counts(tests=2, names=frozenset({"m::a", "m::b"}), proven=frozenset({("test", "test_m.py")}))
RED = "<failure message='no'>no</failure>"
SKIPPED = "<skipped/>"


def cases(**told: str) -> str:
    return "".join(f'<testcase classname="m" name="{name}">{inside}</testcase>' for name, inside in told.items())


def seen(
    text: str | None, code: int, *, gate: Gate = GATE, loud: bool | None = None, bent: bool = False
) -> Observation:
    """What a gate left. loud: with tests of ours, quiet or loud ones; bent: the first that must fail passed."""
    planted = () if loud is None else sentinels(TestRunner.PYTEST, {"test_m.py": b""}, "token", loud=loud)
    ours = ""
    for one in planted:
        ends = [RED if loud else SKIPPED for _ in one.fails]
        if bent:
            ends[0] = ""
        ours += cases(**{one.passes: ""}, **dict(zip(one.fails, ends, strict=True)))
    return Observation(
        gate=gate,
        exit_code=code,
        timed_out=False,
        oom=False,
        started=True,
        output=b"",
        junit=None if text is None else f"<testsuite>{text}{ours}</testsuite>".encode(),
        planted=planted,
    )


GREEN = seen(cases(a="", b=""), 0, loud=False)
BASES = seen(cases(a="", b=""), 1, loud=True)
BAD = seen(cases(a=RED, b=""), 1, loud=False)
BASES_BAD = seen(cases(a=RED, b=""), 1, loud=True)
EDITED = Change(edited=("test_m.py",))


def verdict(taken: Taken, change: Change = Change(), base: Counts = BASE, **policy: object) -> Verdict:  # noqa: B008
    plan = GatePlan(image=None, setup=None, gates=(GATE,), environment=(), policy=Policy(**policy))  # type: ignore[arg-type]
    return judge_head(plan, [taken], base, change)


def test_green_with_both_passes() -> None:
    assert verdict(Taken(own=GREEN, bases=BASES)) == Passed(summary="test: 2 tests passed")


def test_red_with_its_own_tests_fails_and_names_the_test() -> None:
    told = verdict(Taken(own=BAD, bases=BASES_BAD))
    assert isinstance(told, Failed)
    assert "1 of 2 tests failed" in told.summary
    assert "m::a" in told.report


def test_red_with_the_bases_tests_is_a_persons_where_tests_were_touched_and_a_no_where_they_were_not() -> None:
    asked = verdict(Taken(own=GREEN, bases=BASES_BAD), EDITED)
    assert isinstance(asked, NeedsHuman)
    assert asked.findings == ("the base's own tests are red on this tree: m::a",)
    assert "m::a" in asked.side_by_side
    assert isinstance(verdict(Taken(own=GREEN, bases=BASES_BAD)), Failed)


@pytest.mark.parametrize(
    "bases",
    [
        seen(cases(a="", b=""), 0, loud=True),
        seen(cases(a="", b=""), 1, loud=True, bent=True),
        replace(BASES, junit=seen(cases(a="", b=""), 1).junit),
    ],
    ids=["exit 0 all the same", "one that must fail passed", "ours are not in the report"],
)
def test_a_report_that_does_not_show_the_judges_tests_is_no_pass_whatever_was_touched(bases: Observation) -> None:
    for change in (Change(), EDITED, Change(runner=("conftest.py",))):
        told = verdict(Taken(own=GREEN, bases=bases), change)
        assert isinstance(told, Failed)
        assert "not trusted" in told.summary


def test_the_same_goes_for_its_own_tests() -> None:
    told = verdict(Taken(own=seen(cases(a="", b=""), 0, loud=False, bent=True), bases=BASES))
    assert isinstance(told, Failed)
    assert "not trusted" in told.summary


def test_a_report_that_says_no_is_not_doubted_for_what_else_it_lacks() -> None:
    broken = replace(BAD, junit=seen(cases(a=RED), 1).junit)
    assert distrust(broken) is None
    assert "1 of 1 test failed" in str(verdict(Taken(own=broken, bases=BASES_BAD)))


def test_loud_tests_of_ours_excuse_no_other_failure_and_no_missing_report() -> None:
    assert isinstance(verdict(Taken(own=GREEN, bases=replace(BASES, junit=None)), EDITED), Failed)
    assert isinstance(verdict(Taken(own=GREEN, bases=replace(BASES, junit=b"<testsuite>")), EDITED), Failed)


def test_what_happened_from_outside_with_the_bases_tests_says_nothing() -> None:
    assert isinstance(verdict(Taken(own=GREEN, bases=replace(BASES, started=False))), Inconclusive)


def test_one_red_of_two_equal_runs_contradicts_itself_and_of_two_unequal_ones_does_not() -> None:
    assert contradicts(Taken(own=BAD, bases=BASES), BASE, Change()) == {"m::a"}
    assert contradicts(Taken(own=GREEN, bases=BASES_BAD), BASE, Change()) == {"m::a"}
    assert contradicts(Taken(own=BAD, bases=BASES_BAD), BASE, Change()) == frozenset()
    assert contradicts(Taken(own=BAD, bases=BASES), BASE, EDITED) == frozenset()
    assert contradicts(Taken(own=BAD), BASE, Change()) == frozenset()


def test_a_test_that_failed_and_passed_is_for_a_person() -> None:
    told = verdict(Taken(own=GREEN, bases=BASES, flaky=frozenset({"m::a"})))
    assert told == NeedsHuman(summary="test: 2 tests passed", findings=("failed and passed on the same tree: m::a",))


def test_one_that_did_so_on_the_base_already_is_shown() -> None:
    known = replace(BASE, flaky=frozenset({"m::a"}))
    told = verdict(Taken(own=GREEN, bases=BASES, flaky=frozenset({"m::a"})), base=known)
    assert told == Passed(summary="test: 2 tests passed", shown=("failed and passed on the same tree: m::a",))


def test_a_red_base_that_is_worked_on_excuses_what_it_fails_and_nothing_else() -> None:
    plan = GatePlan(image=None, setup=None, gates=(GATE,), environment=(), policy=Policy(allow_red_base=True))
    base_seen = seen(cases(a=RED, b=""), 1, loud=False)
    assert isinstance(judge(plan, [base_seen]), Passed)
    assert isinstance(judge(replace(plan, policy=Policy()), [base_seen]), Failed)
    base = replace(summarise([base_seen]), proven=BASE.proven)
    assert isinstance(verdict(Taken(own=BAD, bases=BASES_BAD), base=base), Passed)
    worse = seen(cases(a=RED, b=RED), 1, loud=False)
    assert isinstance(verdict(Taken(own=worse, bases=BASES_BAD), base=base), Failed)
    bent = seen(cases(a=RED, b=""), 1, loud=False, bent=True)
    assert isinstance(verdict(Taken(own=bent, bases=BASES_BAD), base=base), Failed)


NEW = seen(cases(a="", b="", c=""), 0, loud=False)


@pytest.mark.parametrize(
    ("old", "proof"),
    [
        (seen(cases(a="", b="", c=RED), 1), True),
        (seen(cases(a="", b="", c=""), 0), False),
        (seen('<testcase classname="" name="test_c"><error/></testcase>', 2), True),
        (seen(None, 1), True),
        (seen(None, 0), False),
    ],
    ids=["red on the base", "green on the base", "does not load on the base", "breaks the run", "no report"],
)
def test_a_test_of_the_change_that_fails_on_the_base_reproduces_what_it_is_for(
    old: Observation, *, proof: bool
) -> None:
    change = Change(added=("test_c.py",))
    told = verdict(Taken(own=NEW, bases=BASES, old=old), change)
    assert isinstance(told, Passed)
    assert ("m::c" in str(told.shown)) is proof
    required = verdict(Taken(own=NEW, bases=BASES, old=old), change, require_reproducer=True)
    assert isinstance(required, Passed if proof else Failed)


def test_where_a_reproducer_is_required_a_change_without_tests_fails() -> None:
    assert isinstance(verdict(Taken(own=GREEN, bases=BASES), require_reproducer=True), Failed)


def test_tests_that_are_gone_or_skipped_are_for_a_person() -> None:
    gone = verdict(Taken(own=seen(cases(a=""), 0, loud=False), bases=BASES), EDITED)
    assert isinstance(gone, NeedsHuman)
    assert "1 test that ran on the base did not run: m::b" in gone.findings
    skipped = verdict(Taken(own=seen(cases(a="", b=SKIPPED), 0, loud=False), bases=BASES), EDITED)
    assert isinstance(skipped, NeedsHuman)
    assert any("skipped than on the base: m::b" in one for one in skipped.findings)


@pytest.mark.parametrize(
    ("weight", "kind"), [(Weight.FAIL, Failed), (Weight.NEEDS_HUMAN, NeedsHuman), (Weight.SHOW, Passed)]
)
def test_what_a_finding_does_is_as_the_repository_has_it(weight: Weight, kind: type[Verdict]) -> None:
    change = Change(findings=(Finding(kind=FindingKind.RUNNER_CHANGED, told="conftest.py was changed"),))
    told = verdict(Taken(own=GREEN, bases=BASES), change, weights=((FindingKind.RUNNER_CHANGED, weight),))
    assert isinstance(told, kind)
    assert "conftest.py was changed" in str(told)


def test_what_is_not_proven_on_the_base_is_said() -> None:
    told = verdict(Taken(own=seen(cases(a="", b=""), 0)), base=replace(BASE, proven=frozenset()))
    assert told == Passed(
        summary="test: 2 tests passed", shown=("gate test: its report could not be proven by tests of the judge's",)
    )


def test_what_an_advisory_gate_says_is_shown() -> None:
    style = Gate(name="style", run="style", junit=None, timeout_s=60, required=False)
    plan = GatePlan(image=None, setup=None, gates=(GATE, style), environment=())
    taken = [Taken(own=GREEN, bases=BASES), Taken(own=seen(None, 1, gate=style))]
    told = judge_head(plan, taken, BASE, Change())
    assert isinstance(told, Passed)
    assert told.shown == ("gate style exited 1",)


def test_lines_that_no_test_runs_are_shown_where_a_gate_left_a_coverage_report() -> None:
    covered = b'{"files": {"m.py": {"executed_lines": [1], "missing_lines": [2]}}}'
    told = verdict(Taken(own=replace(GREEN, coverage=covered), bases=BASES), Change(lines={"m.py": frozenset({1, 2})}))
    assert isinstance(told, Passed)
    assert told.shown == ("no test runs 1 changed line: m.py:2",)
