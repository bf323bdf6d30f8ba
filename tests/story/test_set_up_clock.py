"""A set-up that takes too long: it has its own time and no more, it is ended then, and the run says so."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.sandboxes import Role
from tests.fakes.behaviours import Ended, Inside
from tests.fakes.clocks import SetClock
from tests.story.house import LADDER, repository
from tests.story.scenes import started, writes
from tests.story.test_clock_jumps import looked_at
from tests.story.test_environment import house_with, installs, lib_seen_by

pytestmark = pytest.mark.slow

# Longer than any gate has here.
TIME_S = 900
GATE = f"""\
[setup]
run = ["install"]
manifests = ["needs.txt"]
timeout_s = {TIME_S}
[[gate]]
name = "test"
run = "check"
"""
BASE, EDITED = "lib==1\n", "lib==666\n"


def ends_in(told: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """The phase, and what was judged how, each once: what cannot be judged is tried again a few times."""
    return told["phase"], list(dict.fromkeys((one["what"], one["outcome"]) for one in told["verdicts"]))


@pytest.mark.parametrize(
    ("slow", "end"),
    [
        (BASE, ("blocked", [("base", "inconclusive")])),
        # Of the change's own dependencies too: that they take long says nothing against them.
        (EDITED, ("escalated", [("base", "passed"), ("head", "inconclusive")])),
    ],
)
def test_a_set_up_is_ended_when_its_own_time_is_over_and_the_run_says_so(
    state: Path, tmp_path: Path, slow: str, end: tuple[str, list[tuple[str, str]]]
) -> None:
    source = repository(tmp_path / "widgets", {"total.py": "total = 0\n", "needs.txt": BASE, ".ashigaru.toml": GATE})
    reached, ended = threading.Event(), list[str]()

    def fetches_for_ever(inside: Inside) -> Ended:
        if (inside.tree / "needs.txt").read_text(encoding="utf-8") != slow:
            return installs(inside)
        inside.say(b"fetching lib, 1 of 9000\n")
        if reached.is_set():
            # Each further try has the whole of its time, too.
            clock.passed_s += TIME_S
        reached.set()
        if inside.stopping.wait(20):
            ended.append(inside.spec.name)
        return Ended(code=143)

    house, egress = house_with(state, fetches_for_ever, writes(EDITED, "needs.txt"), lib_seen_by([]))
    egress.refused = ()
    house.changes = {"ladder": tuple(replace(tier, wall_s=10_000, idle_s=10_000) for tier in LADDER)}
    house.clock = clock = SetClock()
    looks = looked_at(house)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert reached.wait(20)
        under_way = started(house, Role.SETUP)[-1]
        foreman.until(run_id, lambda _: looks.times[under_way] > 0)
        clock.passed_s += TIME_S - 30.0
        looks.again(under_way)
        assert ended == []
        clock.passed_s += 30.0
        told = foreman.at_rest(run_id)
    assert ends_in(told) == end
    assert "the set-up step did not finish in time" in told["reason"]
    assert "fetching lib, 1 of 9000" in told["reason"]
    assert set(egress.opened) == set(egress.shut_owners)
    assert [one.name for one in house.containers.listing() if "setup" in one.name] == []
    assert len(started(house, Role.AGENT)) == 1
    slow_ones = started(house, Role.SETUP)
    assert ended == slow_ones[slow_ones.index(under_way) :]
