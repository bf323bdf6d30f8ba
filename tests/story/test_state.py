"""One state directory: put aside, put back, lost in part, and taken over by another version; nothing is doubled."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcp_ashigaru.backups import back_up, restore
from mcp_ashigaru.cli import app
from mcp_ashigaru.settings import ConfigError, load_settings
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


def test_backup_and_restore_say_what_they_did_and_refuse_what_would_be_lost(
    state: Path, source: Path, tmp_path: Path
) -> None:
    told = {"ASHIGARU_STATE_DIR": str(state), "ASHIGARU_HOST_ID": "here"}

    def say(command: str, directory: Path) -> tuple[int, str]:
        done = CliRunner().invoke(app, [command, str(directory)], env=told)
        return done.exit_code, done.output if done.exception is None else str(done.exception)

    house = house_of(state, {}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
    kept = tmp_path / "kept"
    assert say("backup", kept) == (0, f"{kept}: 1 repositories, 0 clones\n")
    assert "is not empty; name a new directory" in say("backup", kept)[1]
    assert "is not empty; move it away" in say("restore", kept)[1]
    shutil.move(state, tmp_path / "lost")
    assert "is no backup, or not a whole one" in say("restore", tmp_path / "lost")[1]
    whole = (kept / "ashigaru.db").read_bytes()
    (kept / "ashigaru.db").write_bytes(whole[:-1])
    assert "is damaged" in say("restore", kept)[1]
    assert not state.exists()
    (kept / "ashigaru.db").write_bytes(whole)
    assert say("restore", kept) == (0, f"restored to {state}\n")
    assert git(bare(state), "fsck", "--strict") == ""
    with house.daemon() as foreman:
        assert foreman.daemon.forge.repos() == ("widgets",)


@pytest.fixture
def kept(state: Path, source: Path, tmp_path: Path) -> Path:
    """A backup with a repository of the forge's in it; the state directory is gone."""
    house = house_of(state, {}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
    back_up(house.settings(8020), tmp_path / "kept")
    shutil.move(state, tmp_path / "lost")
    return tmp_path / "kept"


def test_a_backup_whose_repository_was_damaged_is_refused(state: Path, kept: Path) -> None:
    found = next(path for path in (kept / "forge").rglob("*") if path.is_file() and "objects" in path.parts)
    found.chmod(0o600)
    found.write_bytes(found.read_bytes()[:-1])
    with pytest.raises(ConfigError, match="is damaged"):
        restore(load_settings(state_dir=state), kept)
    assert not state.exists()


def test_a_backup_is_for_nobody_else_to_read_and_keeps_the_name_that_sandboxes_know_the_host_by(
    state: Path, kept: Path, tmp_path: Path
) -> None:
    assert restore(load_settings(state_dir=state), kept)
    word = (state / "host-word").read_bytes()
    assert word == (tmp_path / "lost" / "host-word").read_bytes()
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    back_up(load_settings(state_dir=state), shared)
    assert shared.stat().st_mode & 0o077 == 0


def test_records_that_were_backed_up_as_a_file_are_not_put_where_no_daemon_would_read_them(
    state: Path, kept: Path, tmp_path: Path
) -> None:
    settings = load_settings(state_dir=state, database_url=f"sqlite:///{tmp_path}/elsewhere.db")
    with pytest.raises(ConfigError, match="start without ASHIGARU_DATABASE_URL"):
        restore(settings, kept)
    assert not state.exists()


def test_a_backup_may_be_named_from_where_one_stands(
    state: Path, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert restore(load_settings(state_dir=state), Path(kept.name))
    made = back_up(load_settings(state_dir=state), Path("again"))
    assert (made.repositories, made.records) == (1, True)
    shutil.rmtree(state)
    assert restore(load_settings(state_dir=state), Path("again"))
    assert git(bare(state), "fsck", "--strict") == ""
