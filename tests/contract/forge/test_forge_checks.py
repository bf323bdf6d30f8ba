"""What every `Forge` promises of checks: set, told, with their logs, and required."""

from __future__ import annotations

import pytest

from runner.model import Check, CheckState, RequiredCheck
from tests.contract.forge_rig import REPO, Report, Rig


def told(checks: tuple[Check, ...]) -> list[tuple[str, str, CheckState]]:
    return [(check.source, check.name, check.state) for check in checks]


def test_checks_are_set_changed_and_sorted(rig: Rig) -> None:
    head = rig.branch("work", a="changed\n")
    assert rig.forge.checks(REPO, head) == ()
    rig.forge.set_check(REPO, head, "lint", CheckState.PASSED, "clean")
    rig.forge.set_check(REPO, head, "gate", CheckState.PENDING, "")
    rig.forge.set_check(REPO, head, "gate", CheckState.FAILED, "2 failed")
    rig.forge.set_check(REPO, head, "gate", CheckState.FAILED, "2 failed")
    seen = rig.forge.checks(REPO, head)
    assert told(seen) == [(rig.source, "gate", CheckState.FAILED), (rig.source, "lint", CheckState.PASSED)]
    assert [check.summary for check in seen] == ["2 failed", "clean"]
    assert rig.forge.checks(REPO, rig.tip("main") or "") == ()


def test_of_every_check_the_latest_of_each_source_is_told(rig: Rig) -> None:
    head = rig.branch("work", a="changed\n")
    others = rig.others
    for state in (CheckState.PENDING, CheckState.FAILED, CheckState.PASSED):
        others.report(head, Report(name="test", state=state, source=others.ci))
    others.report(head, Report(name="test", state=CheckState.FAILED, source=others.other_ci))
    rig.forge.set_check(REPO, head, "gate", CheckState.PASSED, "")
    seen = rig.forge.checks(REPO, head)
    assert [check.name for check in seen] == ["gate", "test", "test"]
    assert set(told(seen)) == {
        (rig.source, "gate", CheckState.PASSED),
        (others.ci, "test", CheckState.PASSED),
        (others.other_ci, "test", CheckState.FAILED),
    }


@pytest.mark.parametrize("state", CheckState)
def test_a_check_of_others_is_told_in_its_state(rig: Rig, state: CheckState) -> None:
    head = rig.branch("work", a="changed\n")
    rig.others.report(head, Report(name="test", state=state, source=rig.others.ci))
    assert told(rig.forge.checks(REPO, head)) == [(rig.others.ci, "test", state)]


LOG = "".join(f"line {n} of the log, Ünïcödé\n" for n in range(200))


def failed(rig: Rig, *, summary: str = "", log: str = "") -> Check:
    head = rig.branch("work", a="changed\n")
    report = Report(name="test", state=CheckState.FAILED, source=rig.others.ci, summary=summary, log=log)
    rig.others.report(head, report)
    (check,) = rig.forge.checks(REPO, head)
    return check


@pytest.mark.parametrize("max_bytes", [1, 2, 30, 31, 32, 33, 1000])
def test_the_end_of_a_check_s_log_is_told_within_its_bound(rig: Rig, max_bytes: int) -> None:
    log = rig.forge.check_log(REPO, failed(rig, log=LOG), max_bytes)
    assert len(log.encode()) <= max_bytes
    assert LOG.rstrip().endswith(log.rstrip())
    assert len(log.encode()) >= max_bytes - 3


def test_a_short_log_is_told_whole(rig: Rig) -> None:
    log = rig.forge.check_log(REPO, failed(rig, summary="1 failed", log="E  one is not two\n"), 10_000)
    assert log.strip() == "E  one is not two"


def test_a_check_without_a_log_tells_its_summary_within_the_bound(rig: Rig) -> None:
    check = failed(rig, summary="1 test failed")
    assert "1 test failed" in rig.forge.check_log(REPO, check, 10_000)
    assert len(rig.forge.check_log(REPO, check, 5).encode()) <= 5


def test_a_check_that_left_no_word_tells_nothing(rig: Rig) -> None:
    assert rig.forge.check_log(REPO, failed(rig), 10_000) == ""


def test_what_a_branch_requires_is_told_sorted(rig: Rig) -> None:
    assert rig.forge.required_checks(REPO, "main") == ()
    rig.others.require("main", ("test", "lint"))
    assert rig.forge.required_checks(REPO, "main") == (RequiredCheck(name="lint"), RequiredCheck(name="test"))
    assert rig.forge.required_checks(REPO, "work") == ()
