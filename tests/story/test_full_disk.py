"""A disk on which nothing can be written, at any moment of a round: the daemon stands still, says so, and goes on."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.behaviours import exits
from tests.fakes.containers import FakeContainers
from tests.fakes.lived_through import lived_through
from tests.story.house import House, free_port


def test_whenever_the_disk_fails_nothing_is_lost_or_done_twice_and_it_is_told_why(state: Path, source: Path) -> None:
    told = lived_through("full_disk_program", str(state), str(source))
    status = told["meanwhile"].pop("status")
    assert set(told["meanwhile"]) >= {"prepare", "run_agent", "collect", "judge_head", "publish", "close"}
    for said in told["meanwhile"].values():
        assert said["status"] == "stands still"
        assert "cannot be written: the disk fails" in said["reason"]
    assert "the disk fails" in status["standstill"]
    assert "the disk fails" in status["headline"]
    assert status["next"] == "Nothing is lost; it goes on by itself."
    assert told["ended"] == {
        "phase": "awaiting_review",
        "tier": "small",
        "standstill": None,
        "agents": 1,
        "heads": 1,
        "branches": 1,
        "pulls": 1,
    }


def test_a_daemon_started_on_a_full_disk_waits_and_says_why_in_the_place_of_ending_over_and_over(state: Path) -> None:
    with House(state=state, containers=FakeContainers(lambda _: exits())).daemon():
        pass
    told = lived_through("starting_program", str(state), str(free_port()))
    assert (told["before"]["code"], told["before"]["status"]) == (503, "stands still")
    assert "cannot be written" in told["before"]["reason"] or "The host refused" in told["before"]["reason"]
    assert told["after"] == {"code": 200, "status": "ok"}
