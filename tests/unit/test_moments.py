"""How much time has passed, whatever happened to the clock meanwhile."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.adapters.system_clock import SystemClock, boot_id, up_s
from runner.moments import Moment, before, moment_from_json, moment_to_json, passed_s, worked_s
from runner.timeline import Timeline, begun
from tests.fakes.clocks import DAY_S, HandClock

seconds = st.floats(0, 1e7)
settings_of_it = st.floats(-1e8, 1e8)


@given(seconds, settings_of_it, settings_of_it)
def test_setting_the_wall_clock_neither_makes_time_nor_takes_it(worked: float, first: float, then: float) -> None:
    clock = HandClock()
    since = clock.moment()
    clock.is_set(first)
    clock.passes(worked)
    clock.is_set(then)
    assert worked_s(since, clock.moment()) == pytest.approx(worked)
    assert passed_s(since, clock.moment()) == pytest.approx(worked)


@given(seconds, seconds)
def test_a_host_that_sleeps_lets_time_pass_and_does_no_work(worked: float, slept: float) -> None:
    clock = HandClock()
    since = clock.moment()
    clock.passes(worked)
    clock.is_suspended(slept)
    assert worked_s(since, clock.moment()) == pytest.approx(worked)
    assert passed_s(since, clock.moment()) == pytest.approx(worked + slept)


@given(seconds, settings_of_it)
def test_after_a_boot_the_wall_clock_is_asked_and_no_time_is_ever_taken_back(away: float, setting: float) -> None:
    clock = HandClock()
    since = clock.moment()
    clock.boots(away)
    clock.is_set(setting)
    assert passed_s(since, clock.moment()) == pytest.approx(max(0.0, away + setting), abs=1e-3)


def test_a_host_that_was_brought_back_to_an_earlier_state_of_itself_is_asked_for_its_wall_clock() -> None:
    since, now = Moment(utc=100.0, boot="b", awake=50.0, up=50.0), Moment(utc=160.0, boot="b", awake=20.0, up=20.0)
    assert worked_s(since, now) == passed_s(since, now) == 60.0


def test_two_unknown_boots_are_not_the_same() -> None:
    since, now = Moment(utc=100.0, awake=50.0, up=50.0), Moment(utc=103.0, awake=60.0, up=60.0)
    assert worked_s(since, now) == 3.0


@given(seconds, seconds)
def test_what_began_a_while_before_a_moment_is_that_old_in_it(ago: float, later: float) -> None:
    clock = HandClock()
    since = before(clock.moment(), ago)
    clock.passes(later)
    clock.is_set(DAY_S)
    assert worked_s(since, clock.moment()) == pytest.approx(ago + later)


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.builds(Moment, utc=numbers, boot=st.text(max_size=5), awake=numbers, up=numbers))
def test_a_moment_is_kept_as_it_is(moment: Moment) -> None:
    assert moment_from_json(json.loads(json.dumps(moment_to_json(moment)))) == moment


SAID = {"utc": 1.0, "boot": "", "awake": 1.0, "up": 1.0}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"at": 5.0},
        {"utc": 1.0, "boot": 2, "awake": 1.0, "up": 1.0},
        {"utc": float("nan"), "boot": "", "awake": 1.0},
    ],
)
def test_anything_else_is_no_moment(said: dict[str, object]) -> None:
    assert moment_from_json(said) is None


# --- where something began -----------------------------------------------------------------------------------


def test_where_something_began_is_worked_out_once_and_then_kept(tmp_path: Path) -> None:
    clock = HandClock()
    path = tmp_path / "attempt" / "begun"
    started_at = clock.now()
    clock.passes(10.0)
    first = begun(path, started_at, clock.moment())
    assert worked_s(first, clock.moment()) == pytest.approx(10.0)
    clock.passes(5.0)
    clock.is_set(-DAY_S)
    assert begun(path, started_at, clock.moment()) == first
    assert worked_s(begun(path, started_at, clock.moment()), clock.moment()) == pytest.approx(15.0)


@pytest.mark.parametrize("left", [b"", b'{"utc": 1.0', b"[]", b'{"utc": "now"}'])
def test_a_torn_file_is_written_anew(tmp_path: Path, left: bytes) -> None:
    clock = HandClock()
    path = tmp_path / "begun"
    path.write_bytes(left)
    assert begun(path, clock.now() - 7.0, clock.moment()) == before(clock.moment(), 7.0)
    assert moment_from_json(json.loads(path.read_bytes())) == before(clock.moment(), 7.0)


# --- the machine's own clock ---------------------------------------------------------------------------------


def test_the_machines_own_moments_are_of_one_boot_and_go_forward() -> None:
    told = Timeline(clock=SystemClock(), boot=boot_id(), up=up_s)
    first, second = told.now(), told.now()
    assert first.boot == second.boot != ""
    assert second.up >= first.up >= first.awake > 0
    assert worked_s(first, second) >= 0
    # What other processes of this boot, the next daemon among them, count by as well.
    assert time.get_clock_info("monotonic").implementation == "clock_gettime(CLOCK_MONOTONIC)"
