from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.head import Change, Taken, judge_head
from gates.judge import judge
from gates.observed import Counts, Observation, summarise
from gates.plan import Gate, GatePlan
from gates.report import MAX_REPORT_BYTES
from gates.verdict import Failed, Inconclusive, NeedsHuman, Passed, Verdict

TEST = Gate(name="test", run="python3 -m pytest -q", junit="junit-test.xml", timeout_s=60)
MAKE = Gate(name="make", run="make test", junit=None, timeout_s=60, printed=True)
NPM = Gate(name="npm", run="npm test", junit="junit-test.xml", timeout_s=60, printed=True)
LINT = Gate(name="lint", run="./lint.sh", junit=None, timeout_s=60)
BASE = Counts(tests=2, names=frozenset({"m::a", "m::b"}))

FAILURE = '<failure message="assert 1 == 2">E  assert 1 == 2</failure>'


def junit(**cases: str) -> bytes:
    told = "".join(f'<testcase classname="m" name="{name}">{inside}</testcase>' for name, inside in cases.items())
    return f"<testsuite>{told}</testsuite>".encode()


def seen(
    gate: Gate = TEST, exit_code: int | None = 0, *, report: bytes | None = None, output: bytes = b""
) -> Observation:
    return Observation(
        gate=gate, exit_code=exit_code, timed_out=False, oom=False, started=True, output=output, junit=report
    )


GREEN = seen(report=junit(a="", b=""))


def planned(*gates: Gate) -> GatePlan:
    return GatePlan(image=None, setup=None, gates=gates, environment=())


PLAN = planned(TEST)


def on_head_of(plan: GatePlan, observations: Sequence[Observation], base: Counts | None) -> Verdict:
    """The verdict on a base, or on a change whose gates were seen with its own tests alone."""
    if base is None:
        return judge(plan, observations)
    return judge_head(plan, [Taken(own=one) for one in observations], base, Change())


def test_a_gate_that_exits_0_with_tests_that_passed_is_green() -> None:
    assert judge(PLAN, [GREEN]) == Passed(summary="test: 2 tests passed")


def test_a_gate_that_promised_no_report_is_believed_by_its_exit_status() -> None:
    assert judge(planned(LINT), [seen(LINT)]) == Passed(summary="lint: green by exit status alone, no test was counted")


@pytest.mark.parametrize(
    ("report", "says"),
    [
        (None, "left no junit-test.xml"),
        (b"<testsuite>", "not well-formed"),
        (b"", "not well-formed"),
        (junit(), "ran no test"),
        (junit(a="<skipped/>"), "every test was skipped"),
        (junit(a="", b=FAILURE), "1 failed test"),
        (junit(a="", b="<error/>"), "1 failed test"),
    ],
)
def test_an_exit_status_of_0_is_not_believed_without_the_report_to_bear_it_out(report: bytes | None, says: str) -> None:
    told = judge(PLAN, [seen(report=report)])

    assert isinstance(told, Failed)
    assert told.summary.startswith("gate test exited 0 but ")
    assert says in told.summary


def test_a_red_gate_says_which_tests_failed_and_why() -> None:
    told = judge(PLAN, [seen(exit_code=1, report=junit(a="", b=FAILURE), output=b"1 failed, 1 passed in 0.1s")])

    assert isinstance(told, Failed)
    assert told.summary == "gate test: 1 of 2 tests failed"
    assert "FAILED m::b" in told.report
    assert "E  assert 1 == 2" in told.report
    assert "1 failed, 1 passed in 0.1s" in told.report
    assert TEST.run in told.report


def test_a_red_gate_without_a_report_shows_what_it_printed() -> None:
    told = judge(planned(LINT), [seen(LINT, 1, output=b"a.py:1: bad\n")])

    assert isinstance(told, Failed)
    assert told.summary == "gate lint exited 1"
    assert "a.py:1: bad" in told.report


def test_an_exit_status_other_than_0_is_red_though_every_test_passed() -> None:
    assert isinstance(judge(PLAN, [replace(GREEN, exit_code=1)]), Failed)


def test_a_gate_that_runs_out_of_time_says_no() -> None:
    told = judge(PLAN, [replace(GREEN, exit_code=None, timed_out=True)])

    assert isinstance(told, Failed)
    assert "did not finish within 60 s" in told.report


@pytest.mark.parametrize("base", [None, BASE])
@pytest.mark.parametrize(
    "observation",
    [
        replace(GREEN, started=False),
        replace(GREEN, oom=True),
        replace(GREEN, oom=True, exit_code=137),
        replace(GREEN, oom=True, timed_out=True),
        replace(GREEN, exit_code=None),
        replace(GREEN, exit_code=137),
        replace(GREEN, exit_code=143),
    ],
)
def test_what_happened_to_a_gate_from_outside_says_nothing_of_the_tree(
    observation: Observation, base: Counts | None
) -> None:
    assert isinstance(on_head_of(PLAN, [observation], base), Inconclusive)


@pytest.mark.parametrize(("gate", "code"), [(TEST, 3), (TEST, 4), (TEST, 126), (LINT, 126), (LINT, 127)])
def test_a_gate_that_cannot_work_is_inconclusive_on_a_base_and_the_changes_doing_on_a_head(
    gate: Gate, code: int
) -> None:
    observation = seen(gate, code, output=b"first\nImportError while loading conftest\n")

    on_base = judge(planned(gate), [observation])
    on_head = on_head_of(planned(gate), [observation], BASE)

    assert isinstance(on_base, Inconclusive)
    assert "ImportError while loading conftest" in on_base.reason
    assert isinstance(on_head, Failed)
    assert "ImportError while loading conftest" in on_head.report


@pytest.mark.parametrize("base", [None, BASE])
def test_pytest_finding_no_tests_says_no(base: Counts | None) -> None:
    told = on_head_of(PLAN, [seen(exit_code=5, report=junit())], base)

    assert isinstance(told, Failed)
    assert "no tests ran" in told.summary


@pytest.mark.parametrize("run", ["./lint.sh", "make not-pytest-at-all", "./pytest-report --fix"])
@pytest.mark.parametrize("code", [3, 4, 5])
def test_pytests_exit_codes_are_pytests_alone(run: str, code: int) -> None:
    gate = replace(LINT, run=run)

    assert judge(planned(gate), [seen(gate, code)]) == Failed(
        summary=f"gate lint exited {code}", report=f"gate lint exited {code} (command: {run})"
    )


def test_the_first_gate_that_is_not_green_decides() -> None:
    told = judge(planned(LINT, TEST), [seen(LINT, 1), replace(GREEN, started=False)])

    assert isinstance(told, Failed)
    assert told.summary.startswith("gate lint")


@pytest.mark.parametrize("observations", [[], [GREEN], [GREEN, seen(LINT)], [seen(LINT), GREEN, GREEN]])
def test_a_tree_does_not_pass_before_each_gate_of_the_plan_was_seen_green(observations: list[Observation]) -> None:
    assert isinstance(judge(planned(LINT, TEST), observations), Inconclusive)


def test_a_test_that_ran_on_the_base_and_not_on_the_head_is_for_a_person() -> None:
    told = on_head_of(PLAN, [seen(report=junit(a="", c=""))], BASE)

    assert told == NeedsHuman(
        summary="test: 2 tests passed", findings=("1 test that ran on the base did not run: m::b",)
    )


def test_a_test_that_is_skipped_now_is_for_a_person() -> None:
    told = on_head_of(PLAN, [seen(report=junit(a="", b="<skipped/>"))], BASE)

    assert told == NeedsHuman(
        summary="test: 1 test passed, 1 skipped",
        findings=("1 test that ran on the base did not run: m::b", "1 more test is skipped than on the base: m::b"),
    )


def test_fewer_tests_are_for_a_person_though_no_name_is_gone() -> None:
    told = on_head_of(PLAN, [GREEN], replace(BASE, tests=4))

    assert told == NeedsHuman(summary="test: 2 tests passed", findings=("2 tests that ran on the base did not run",))


def test_a_report_that_is_gone_altogether_cannot_pass_on_a_head() -> None:
    assert isinstance(on_head_of(planned(LINT), [seen(LINT)], BASE), NeedsHuman)


def test_more_tests_than_on_the_base_are_welcome() -> None:
    assert on_head_of(PLAN, [seen(report=junit(a="", b="", c=""))], BASE) == Passed(summary="test: 3 tests passed")


def test_names_in_a_finding_are_few_and_clean() -> None:
    names = frozenset(f"m::{number:03}\u202e\x1b[31m" + "x" * 500 for number in range(300))

    told = on_head_of(PLAN, [GREEN], Counts(tests=300, names=names))

    assert isinstance(told, NeedsHuman)
    assert told.findings[0].startswith("300 tests that ran on the base did not run: m::000xxx")
    assert told.findings[0].endswith(", …")
    assert len(told.findings[0]) < 800
    assert told.findings[0].isprintable()


def test_counts_add_up_over_gates_and_leave_out_what_was_not_promised_or_cannot_be_read() -> None:
    counts = summarise(
        [
            GREEN,
            seen(report=junit(c=FAILURE, d="<error/>", e="<skipped/>")),
            seen(report=b"<"),
            seen(LINT, report=junit(z="")),
        ]
    )

    names = frozenset({"m::a", "m::b", "m::c", "m::d"})
    assert replace(counts, of_gates=()) == Counts(
        tests=5, skipped=1, failed=2, names=names, red=frozenset({"m::c", "m::d"})
    )
    assert (counts.ran, counts.passed) == (4, 2)


_OBSERVATIONS = st.builds(
    Observation,
    gate=st.sampled_from([TEST, LINT]),
    exit_code=st.none() | st.integers(0, 255),
    timed_out=st.booleans(),
    oom=st.booleans(),
    started=st.booleans(),
    output=st.binary(max_size=50),
    junit=st.sampled_from([None, b"", b"<", junit(), junit(a=""), junit(a="", b=""), junit(a=FAILURE)]),
)


@given(st.lists(_OBSERVATIONS, max_size=3), st.none() | st.just(BASE))
def test_nothing_passes_but_a_plan_whose_every_gate_ran_to_its_end_with_its_evidence(
    observations: list[Observation], base: Counts | None
) -> None:
    plan = planned(LINT, TEST)

    told = on_head_of(plan, observations, base)

    if isinstance(told, Passed | NeedsHuman):
        assert tuple(one.gate for one in observations) == plan.gates
        for one in observations:
            assert (one.started, one.oom, one.timed_out, one.exit_code) == (True, False, False, 0)
        assert summarise(observations).failed == 0
        assert summarise(observations[1:]).passed > 0
    if isinstance(told, Failed):
        assert len(told.report.encode("utf-8")) <= MAX_REPORT_BYTES
    if isinstance(told, NeedsHuman):
        assert base is not None


# --- counts that are printed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", [MAKE, NPM])
def test_without_a_report_the_printed_counts_of_a_recognised_gate_are_its_evidence(gate: Gate) -> None:
    green = seen(gate, output=b"2 passed, 1 skipped in 0.1s\n")

    assert judge(planned(gate), [green]) == Passed(summary=f"{gate.name}: 2 tests passed, 1 skipped")
    assert summarise([green]) == Counts(tests=3, skipped=1)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (b"no tests ran in 0.1s\n", "exited 0 but ran no test"),
        (b"2 skipped in 0.1s\n", "exited 0 but every test was skipped"),
        (b"1 failed, 2 passed in 0.1s\n", "exited 0 but printed that 1 test failed"),
    ],
)
def test_an_exit_status_of_0_is_not_believed_against_what_was_printed(output: bytes, says: str) -> None:
    told = judge(planned(MAKE), [seen(MAKE, output=output)])

    assert isinstance(told, Failed)
    assert told.summary == f"gate make {says}"


def test_a_red_gate_without_a_report_says_how_many_of_its_tests_failed() -> None:
    told = judge(planned(MAKE), [seen(MAKE, 2, output=b"FAILED test_a\n1 failed, 2 passed in 0.1s\nmake: error 1\n")])

    assert isinstance(told, Failed)
    assert told.summary == "gate make: 1 of 3 tests failed"
    assert "FAILED test_a" in told.report


def test_a_gate_with_neither_report_nor_count_is_said_to_be_judged_by_its_exit_status_alone() -> None:
    alone = judge(planned(MAKE), [seen(MAKE, output=b"done\n")])
    beside = judge(planned(TEST, MAKE), [GREEN, seen(MAKE, output=b"done\n")])

    assert alone == Passed(summary="make: green by exit status alone, no test was counted")
    assert beside == Passed(summary="test, make: 2 tests passed; make by exit status alone")


def test_a_promised_report_that_is_missing_where_nothing_was_printed_is_no_evidence() -> None:
    assert isinstance(judge(planned(NPM), [seen(NPM, output=b"done\n")]), Failed)


def test_a_report_goes_before_what_was_printed_about_it() -> None:
    told = judge(planned(NPM), [seen(NPM, report=junit(a="", b=""), output=b"9 failed in 0.1s\n")])

    assert told == Passed(summary="npm: 2 tests passed")


def test_what_a_written_down_gate_prints_is_not_looked_at() -> None:
    assert isinstance(judge(planned(LINT), [seen(LINT, output=b"9 failed in 0.1s\n")]), Passed)


def test_fewer_printed_tests_than_on_the_base_are_for_a_person() -> None:
    base = summarise([seen(MAKE, output=b"3 passed in 0.1s\n")])

    told = on_head_of(planned(MAKE), [seen(MAKE, output=b"1 passed in 0.1s\n")], base)
    silent = on_head_of(planned(MAKE), [seen(MAKE, output=b"done\n")], base)

    assert isinstance(told, NeedsHuman)
    assert told.findings == ("2 tests that ran on the base did not run",)
    assert isinstance(silent, NeedsHuman)


@pytest.mark.parametrize("exit_code", [0, 1, 75, 137, None])
def test_a_gate_beside_a_service_that_is_down_says_nothing_of_the_tree(exit_code: int | None) -> None:
    saw = replace(seen(exit_code=exit_code or 0), exit_code=exit_code, timed_out=exit_code is None)
    down = replace(saw, service_down="service db ended; its last words: no space")
    verdict = judge(planned(TEST), [down])
    assert isinstance(verdict, Inconclusive)
    assert "no space" in verdict.reason
