"""What runs came to and what they cost, and where a ticket starts because of it."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mcp_ashigaru.cli import app
from mcp_ashigaru.client import CallRefused
from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_records import SqlRecords
from runner.callers import OPERATOR, Caller, Scope
from runner.desk import Desk
from runner.model import Phase
from runner.records import AttemptRecord, RunRecord
from tests.story.house import Foreman, git
from tests.story.scenes import RIGHT, WRONG, bare, house_of, passes_when, writes

Row = dict[str, Any]
WHY = (
    "Starts at tier large: a merge is expected to cost $0.33 from there and $0.61 from small, "
    "which succeeded in 0 of 10 trials here."
)


def merged(foreman: Foreman, **ticket: Any) -> tuple[str, str]:
    """A run whose work was promoted: its id, and the commit on main."""
    run_id = foreman.work(**ticket)
    told = foreman.at_rest(run_id)
    assert told["phase"] == "awaiting_review"
    promoted = foreman.call("promote", repo="widgets", pr=told["pull"]["number"])
    assert promoted["promoted"], promoted
    return run_id, promoted["sha"]


def rows(answer: dict[str, Any]) -> dict[str | None, Row]:
    return {row["tier"]: row for row in answer["rows"]}


def by_command(state: Path, *arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["ledger", "--json", *arguments], env={"ASHIGARU_STATE_DIR": str(state)})
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_attempts_passes_merges_and_money_are_told_by_tier(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(WRONG), 2: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        merged(foreman)
        told = foreman.call("ledger", repo="Widgets")
        assert foreman.call("ledger", repo="others")["rows"] == []
        with pytest.raises(CallRefused, match="days must be from 1"):
            foreman.call("ledger", days=0)
    small, large, whole = (rows(told)[tier] for tier in ("small", "large", None))
    assert [(one["attempts"], one["passes"], one["merged"]) for one in (small, large, whole)] == [
        (1, 0, 0),
        (1, 1, 1),
        (2, 1, 1),
    ]
    assert whole["runs"] == 1
    assert whole["reverted"] == 0
    assert all(one["agent_minutes"] >= 0 for one in (small, large))
    assert by_command(state) == told
    assert by_command(state, "--repo", "others")["rows"] == []


def looks_for_reverts(foreman: Foreman) -> None:
    """What the daemon does by itself once an hour."""
    assert foreman.daemon.house.look() is not None


def test_a_merge_that_was_taken_back_is_found_and_one_that_came_back_is_forgiven(
    state: Path, source: Path, tmp_path: Path
) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    work = tmp_path / "work"
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        _, sha = merged(foreman)
        looks_for_reverts(foreman)
        assert rows(foreman.call("ledger"))[None]["reverted"] == 0
        git(tmp_path, "clone", "--quiet", str(bare(state)), str(work))
        git(work, "revert", "--no-edit", sha)
        git(work, "push", "--quiet", "origin", "HEAD:main")
        looks_for_reverts(foreman)
        assert rows(foreman.call("ledger"))["small"]["reverted"] == 1
        assert rows(foreman.call("ledger"))["small"]["usd_per_merge"] is None
        git(work, "revert", "--no-edit", "HEAD")
        git(work, "push", "--quiet", "origin", "HEAD:main")
        looks_for_reverts(foreman)
        assert rows(foreman.call("ledger"))["small"]["reverted"] == 0


def test_files_that_went_back_without_a_word_are_a_revert_too(state: Path, source: Path, tmp_path: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    work = tmp_path / "work"
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        merged(foreman)
        git(tmp_path, "clone", "--quiet", str(bare(state)), str(work))
        (work / "total.py").write_text("total = 0\n", encoding="utf-8")
        (work / "more.py").write_text("more = 0\n", encoding="utf-8")
        git(work, "add", "--all", ".")
        git(work, "commit", "--quiet", "-m", "Better so")
        git(work, "push", "--quiet", "origin", "HEAD:main")
        looks_for_reverts(foreman)
        assert rows(foreman.call("ledger"))["small"]["reverted"] == 1


@pytest.fixture
def failed_often(state: Path) -> None:
    """Records in which the first tier failed ten times of ten in `widgets`, and the second repaired each."""
    engine = open_engine(f"sqlite:///{state}/ashigaru.db")
    migrate(engine)
    records, now = SqlRecords(engine), time.time()
    for number in range(10):
        run_id = f"widgets-{number + 100}-old"
        records.claim(an_old_run(run_id, number + 100, now))
        for attempt, tier in ((1, "small"), (2, "large")):
            records.begin_attempt(an_old_attempt(run_id, attempt, tier, now))
            records.end_attempt(run_id, attempt, ending="completed", detail="", retry_at=None, at=now)
        records.change(run_id, {"phase": Phase.MERGED, "merged_sha": f"{number:040x}", "merged_at": now}, now)
        records.release(run_id)
    engine.dispose()
    with sqlite3.connect(state / "ashigaru.db") as db:
        db.execute("UPDATE attempts SET micro_usd = 300000")


def an_old_run(run_id: str, issue: int, at: float) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        repo="widgets",
        issue=issue,
        brief="Old.",
        model=None,
        phase=Phase.QUEUED,
        base_branch="main",
        branch="old",
        created_at=at,
        updated_at=at,
        start_tier=0,
    )


def an_old_attempt(run_id: str, attempt: int, tier: str, at: float) -> AttemptRecord:
    return AttemptRecord(
        run_id=run_id,
        attempt=attempt,
        round=1,
        tier=tier,
        model="m",
        effort="low",
        from_commit="0" * 40,
        placeholder="p",
        started_at=at,
    )


@pytest.mark.usefixtures("failed_often")
@pytest.mark.parametrize(("policy", "tier"), [("cheapest", "large"), ("first", "small")])
def test_a_ticket_starts_where_the_ledger_says_only_if_the_operator_wants_it(
    state: Path, source: Path, policy: str, tier: str
) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT), start_policy=policy)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        foreman.daemon.forge.add(str(source), "others")
        told = foreman.at_rest(foreman.work())
        elsewhere = foreman.at_rest(foreman.work(repo="others"))
        named = foreman.at_rest(foreman.work(issue=2, model="huge"))
    assert [tried["tier"] for tried in told["tiers_tried"]] == [tier]
    why = [one["text"] for one in told["notices"] if one["kind"] == "start"]
    assert why == ([WHY] if policy == "cheapest" else [])
    assert [tried["tier"] for tried in elsewhere["tiers_tried"]] == ["small"]
    assert [tried["tier"] for tried in named["tiers_tried"]] == ["huge"]


def test_a_caller_held_to_their_own_runs_has_a_ledger_of_those(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    theirs = Caller(name="bot", scopes=frozenset(Scope), own_runs=True)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        foreman.at_rest(foreman.work())
        told = [Desk(foreman.daemon.service, caller).ledger(since=0.0, repo=None) for caller in (OPERATOR, theirs)]
    assert [len(lines) for lines in told] == [1, 0]
