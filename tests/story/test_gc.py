"""The house is kept: what nobody has a use for any more goes, and a run at work never notices."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mcp_ashigaru.cli import app
from mcp_ashigaru.client import CallRefused
from runner.adapters.system_clock import SystemClock
from runner.errors import RunnerError
from runner.retention import Retention
from tests.fakes.behaviours import Held
from tests.story.house import DEADLINE_S, Foreman, House
from tests.story.scenes import RIGHT, WRONG, held, house_of, passes_when, writes

DAY = 86_400.0
Gc = Callable[..., dict[str, Any]]


class LongAgo(SystemClock):
    """The time, and so many days less."""

    days = 0.0

    def now(self) -> float:
        return super().now() - self.days * DAY


@pytest.fixture
def gc(state: Path) -> Gc:
    def run(*arguments: str, code: int = 0, keep: dict[str, int] | None = None) -> dict[str, Any]:
        env = {
            "ASHIGARU_STATE_DIR": str(state),
            "ASHIGARU_PODMAN_URL": "unix:///nowhere",
            "ASHIGARU_HOST_ID": "here",
            "ASHIGARU_KEEP": json.dumps(keep or {}),
        }
        done = CliRunner().invoke(app, ["gc", "--json", *arguments], env=env)
        if isinstance(done.exception, RunnerError):
            raise done.exception
        assert done.exit_code == code, done.output
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run


def backdate(place: Path, days: float) -> None:
    """Whatever lies there has not been touched for so long."""
    for one in (*place.rglob("*"), place):
        then = one.lstat().st_mtime - days * DAY
        os.utime(one, (then, then), follow_symlinks=False)


def kinds(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["kind"], one["name"]) for one in answer["gone"]]


def an_ended_run(state: Path, source: Path, days: float) -> tuple[House, str]:
    """A house in which a run was escalated so many days ago; its daemon has left."""
    clock = LongAgo()
    clock.days = days
    house = house_of(state, {number: writes(WRONG) for number in (1, 2, 3)}, passes_when(RIGHT))
    house.clock = clock
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert foreman.at_rest(run_id)["phase"] == "escalated"
    backdate(state / "git", days)
    clock.days = 0.0
    return house, run_id


def test_what_an_ended_run_left_goes_in_its_time_and_its_record_stays(state: Path, source: Path, gc: Gc) -> None:
    house, run_id = an_ended_run(state, source, days=100)
    would = gc("--dry-run")
    assert would["dry_run"]
    assert {kind for kind, _ in kinds(would)} == {"clone", "history", "mirror"}
    clone = state / "git" / "clones" / f"{run_id}.git"
    assert clone.exists()
    swept = gc()
    assert kinds(swept) == kinds(would)
    assert swept["freed_bytes"] > 0
    assert not clone.exists()
    assert gc()["gone"] == []
    with house.daemon() as foreman:
        told = foreman.call("status", run_id=run_id)
        logs = foreman.call("logs", run_id=run_id)["entries"]
    assert told["phase"] == "escalated"
    assert [tried["tier"] for tried in told["tiers_tried"]] == ["small", "large", "huge"]
    assert {one["outcome"] for one in told["verdicts"]} == {"passed", "failed"}
    assert {one["kind"] for one in logs if one["source"] == "agent"} == {"ended"}


def test_what_is_more_than_a_cache_goes_with_a_receipt(state: Path, source: Path, gc: Gc) -> None:
    _, run_id = an_ended_run(state, source, days=100)
    gc()
    shown = receipts(state, run_id)
    put_away = [(one["stage"], one["detail"].get("what")) for one in shown if one["kind"] == "put_away"]
    assert put_away == [("intent", "clone"), ("done", None), ("intent", "history"), ("done", None)]


def receipts(state: Path, run_id: str) -> list[dict[str, Any]]:
    env = {"ASHIGARU_STATE_DIR": str(state), "ASHIGARU_HOST_ID": "here"}
    verified = CliRunner().invoke(app, ["receipts", "verify"], env=env)
    assert verified.output.startswith("ok: ")
    found: list[dict[str, Any]] = json.loads(
        CliRunner().invoke(app, ["receipts", "show", run_id, "--json"], env=env).stdout
    )
    return found


def test_a_run_whose_clone_went_says_how_it_is_worked_again(state: Path, source: Path, gc: Gc) -> None:
    house, run_id = an_ended_run(state, source, days=100)
    gc()
    house.containers = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT)).containers
    with house.daemon() as foreman:
        for from_start in (True, False):
            with pytest.raises(CallRefused, match="dispatch the ticket again with work_ticket"):
                foreman.call("retry", run_id=run_id, from_start=from_start)
        with pytest.raises(CallRefused, match="it is put away"):
            foreman.call("diff", run_id=run_id)
        assert foreman.at_rest(foreman.work())["phase"] == "awaiting_review"


def test_a_run_at_work_is_not_disturbed_beside_its_daemon(state: Path, source: Path, gc: Gc) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when(RIGHT))
    with house.daemon() as foreman:
        run_id, agent = at_work(foreman, source, agent)
        backdate(state / "git", 1000)
        backdate(state / "runs", 1000)
        backdate(state / "s", 1000)
        assert gc(keep={"clone_days": 0, "mirror_days": 0, "history_days": 0, "rounds_days": 0})["gone"] == []
        agent.release()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert len(house.containers.started) == len({spec.name for spec in house.containers.started})


def at_work(foreman: Foreman, source: Path, agent: Held) -> tuple[str, Held]:
    foreman.daemon.forge.add(str(source), "widgets")
    run_id = foreman.work()
    foreman.until(run_id, lambda told: bool(told["phase"] == "agent" and told["recent_actions"]))
    return run_id, agent


def test_ended_rounds_go_and_those_of_a_live_run_stay(state: Path, source: Path, gc: Gc) -> None:
    house, run_id = an_ended_run(state, source, days=0)
    house.containers = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT)).containers
    with house.daemon() as foreman:
        live = foreman.work(issue=2)
        assert foreman.at_rest(live)["phase"] == "awaiting_review"
    with sqlite3.connect(state / "engine.db") as db:
        for column in ("created_at", "updated_at", "completed_at"):
            db.execute(f"UPDATE workflow_status SET {column} = {column} - 40 * 86400000")  # noqa: S608
    assert kinds(gc()) == [("rounds", f"round:{run_id}:1")]
    with sqlite3.connect(state / "engine.db") as db:
        left = [row[0] for row in db.execute("SELECT workflow_uuid FROM workflow_status")]
        inputs = [row[0] for row in db.execute("SELECT workflow_uuid FROM workflow_input")]
    assert left == [f"round:{live}:1"] == inputs


def test_the_daemon_keeps_the_house_by_itself(state: Path, source: Path) -> None:
    house, run_id = an_ended_run(state, source, days=100)
    house.changes["keep"] = Retention(every_s=1)
    clone = state / "git" / "clones" / f"{run_id}.git"
    tick = threading.Event()
    with house.daemon():
        deadline = time.monotonic() + DEADLINE_S
        while clone.exists():
            assert time.monotonic() < deadline
            tick.wait(0.05)


def test_a_full_disk_is_tidied_and_the_run_that_waits_says_what_room_is_kept_for(state: Path, source: Path) -> None:
    house = house_of(state, {}, passes_when(RIGHT), disk_floor=2**60)
    stale = state / "environments" / "0123"
    (stale / "env").mkdir(parents=True)
    for number in range(3):
        (state / "environments" / f"{number}" / "env").mkdir(parents=True)
    backdate(stale, 30)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "waiting"
    assert "`gc` has just freed" in told["reason"]
    assert not stale.exists()
