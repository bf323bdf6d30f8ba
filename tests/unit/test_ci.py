"""What checks say together, and that only those whom the operator trusts are heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.ci import AWAITED, Ci, CiPolicy, CiState, weigh
from runner.model import Check, CheckState, RequiredCheck

POLICY = CiPolicy(trusted=("github-actions",), grace_s=90.0, wait_s=3600.0)
EARLY, LATER, AT_LAST = 10.0, 100.0, 4000.0


def check(
    name: str, state: CheckState = CheckState.PASSED, source: str = "github-actions", workflow: str = ""
) -> Check:
    return Check(name=name, state=state, source=source, workflow=workflow)


def said(*checks: Check, required: tuple[RequiredCheck, ...] = (), policy: CiPolicy = POLICY, now: float = LATER) -> Ci:
    return weigh(checks, required, policy, since=0.0, now=now)


def test_nothing_registered_is_its_own_state_until_the_grace_is_over() -> None:
    assert said(now=EARLY).state is CiState.NONE_YET
    assert said(now=LATER).state is CiState.NONE


def test_green_without_required_checks_waits_for_the_grace_for_more_may_register() -> None:
    assert said(check("build"), now=EARLY).state is CiState.RUNNING
    assert said(check("build"), now=LATER).state is CiState.GREEN


def test_required_checks_alone_decide_and_need_no_grace() -> None:
    build = RequiredCheck(name="build")
    assert said(check("build"), required=(build,), now=EARLY).state is CiState.GREEN
    red_beside = (check("build"), check("docs", CheckState.FAILED))
    assert said(*red_beside, required=(build,), now=EARLY).state is CiState.GREEN
    assert said(*red_beside).state is CiState.RED


def test_red_is_said_when_nothing_runs_any_more_so_that_all_of_it_is_known() -> None:
    failed, running = check("a", CheckState.FAILED), check("b", CheckState.PENDING)
    assert said(failed, running).state is CiState.RUNNING
    over = said(failed, running, now=AT_LAST)
    assert (over.state, [one.name for one in over.failed]) == (CiState.RED, ["a"])


def test_a_check_that_never_ends_is_for_a_person() -> None:
    assert said(check("b", CheckState.PENDING), now=AT_LAST).state is CiState.STALLED
    assert said(check("b", CheckState.STALLED), check("a")).state is CiState.STALLED


def test_a_required_check_that_never_registers_is_missing_and_never_green() -> None:
    required = (RequiredCheck(name="build"), RequiredCheck(name="lint"))
    assert said(check("build"), required=required, now=EARLY).state is CiState.NONE_YET
    missing = said(check("build"), required=required, now=LATER)
    assert missing.state is CiState.MISSING
    assert "lint" in missing.summary


def test_only_sources_that_the_operator_trusts_count() -> None:
    evil = check("build", source="helpful-bot")
    assert said(evil).state is CiState.NONE
    assert said(evil, required=(RequiredCheck(name="build"),)).state is CiState.MISSING
    assert said(check("build", CheckState.FAILED, source="helpful-bot"), check("test")).state is CiState.GREEN
    status = check("build", source="status:jenkins")
    assert said(status, policy=CiPolicy(trusted=("status:jenkins",))).state is CiState.GREEN


def test_a_required_check_counts_only_from_the_app_that_protection_names() -> None:
    both = CiPolicy(trusted=("github-actions", "other"))
    required = (RequiredCheck(name="build", source="github-actions"),)
    assert said(check("build", source="other"), required=required, policy=both).state is CiState.MISSING
    assert said(check("build"), required=required, policy=both).state is CiState.GREEN


def test_only_workflows_that_the_operator_trusts_count() -> None:
    policy = CiPolicy(trusted=("github-actions",), workflows=(".github/workflows/ci.yml",))
    mine = check("build", workflow=".github/workflows/ci.yml")
    other = check("extra", CheckState.FAILED, workflow=".github/workflows/new.yml")
    assert said(mine, other, policy=policy).state is CiState.GREEN
    assert said(other, policy=policy).state is CiState.NONE


def test_our_own_checks_never_count_whoever_reports_them() -> None:
    assert said(check("ashigaru/gate")).state is CiState.NONE
    assert said(check("build"), required=(RequiredCheck(name="ashigaru/gate"),)).state is CiState.GREEN


STATES = st.sampled_from(CheckState)
CHECKS = st.lists(
    st.builds(check, st.sampled_from(["a", "b", "c"]), STATES, st.sampled_from(["github-actions", "x"])), max_size=6
)
REQUIRED = st.lists(st.builds(RequiredCheck, name=st.sampled_from(["a", "b", "d"])), max_size=3)


@given(CHECKS, REQUIRED, st.sampled_from([EARLY, LATER, AT_LAST]))
def test_green_means_that_everything_that_decides_passed(
    checks: list[Check], required: list[RequiredCheck], now: float
) -> None:
    told = said(*checks, required=tuple(required), now=now)
    trusted = [one for one in checks if one.source == "github-actions"]
    deciding = [one for one in trusted if not required or one.name in {r.name for r in required}]
    if told.state is CiState.GREEN:
        assert deciding
        assert all(one.state is CheckState.PASSED for one in deciding)
        assert {one.name for one in required} <= {one.name for one in trusted}
    if told.state is CiState.RED:
        assert told.failed
        assert all(one.state is CheckState.FAILED for one in told.failed)


@given(CHECKS, REQUIRED)
def test_nothing_is_awaited_for_ever(checks: list[Check], required: list[RequiredCheck]) -> None:
    assert said(*checks, required=tuple(required), now=AT_LAST).state not in AWAITED


@pytest.mark.parametrize("count", [1, 9])
def test_a_summary_is_a_short_sentence(count: int) -> None:
    told = said(*(check(f"{'n' * 300}{i}", CheckState.FAILED) for i in range(count)))
    assert len(told.summary) < 500
    assert told.summary.endswith(".")
