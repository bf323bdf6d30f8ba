"""One state directory: put aside, put back, lost in part, and taken over by another version; nothing is doubled."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mcp_ashigaru.backups import back_up, restore
from mcp_ashigaru.state_dir import was_restored
from runner.errors import NotPossible
from runner.model import ENGINE_PROTOCOL
from runner.sandboxes import Role
from tests.story.house import House, git
from tests.story.scenes import RIGHT, bare, branches, held, house_of, passes_when, started, writes


def put_back(house: House, backup: Path) -> None:
    """The host is lost with all that ran on it, and the backup is put in its place."""
    for one in house.containers.listing():
        house.containers.remove(one.name)
    shutil.move(house.state, backup.with_name("lost"))
    assert restore(house.settings(8020), backup)


def sql(file: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file, timeout=30.0, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def test_a_backup_made_in_mid_agent_is_put_back_and_its_run_goes_to_one_pull_request(
    state: Path, source: Path, tmp_path: Path
) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent, 2: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        made = back_up(house.settings(8020), tmp_path / "backup")
        assert (made.repositories, made.clones, made.records) == (1, 1, True)
    put_back(house, tmp_path / "backup")
    with house.daemon() as foreman:
        told = foreman.at_rest(run_id)
        assert told["phase"] == "awaiting_review", told
        assert foreman.call("promote", repo="widgets", pr=told["pull"]["number"])["promoted"]
        assert foreman.daemon.forge.pull("widgets", 2) is None
    assert git(bare(state), "rev-list", "--count", "main") == "2"
    assert not was_restored(state)
    assert house.containers.listing() == ()


def test_a_round_of_another_protocol_is_fenced_its_work_kept_and_started_again(state: Path, source: Path) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent, 2: writes(None)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
    older(state)
    with house.daemon() as foreman:
        told = foreman.at_rest(run_id)
        assert told["phase"] == "awaiting_review", told
    assert [name[-2:] for name in started(house, Role.AGENT)] == ["-1", "-2"]
    assert git(bare(state), "show", f"{next(iter(branches(state)))}:total.py") == RIGHT.strip()
    assert house.containers.listing() == ()


def older(state: Path) -> None:
    """All that was written of rounds was written under an earlier protocol."""
    was, now = f'"protocol": {ENGINE_PROTOCOL}', '"protocol": 0'
    sql(state / "ashigaru.db", "update rounds set input = replace(input, ?, ?)", was, now)
    engine = state / "engine.db"
    sql(engine, "update workflow_input set inputs = replace(inputs, ?, ?)", was, now)
    sql(engine, "update workflow_status set application_version = 'protocol-0'")


def test_a_second_daemon_of_the_same_host_on_the_same_records_is_refused_whatever_its_directory(
    state: Path, database_url: str
) -> None:
    one = house_of(state, {}, passes_when(RIGHT), database_url=database_url)
    other = house_of(state / "other", {}, passes_when(RIGHT), database_url=database_url)
    with one.daemon() as foreman:
        with pytest.raises(NotPossible, match="works as host here on these records"), other.daemon():
            pass
        assert foreman.call("list_runs")["runs"] == []
