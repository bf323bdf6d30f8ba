"""Records that are older than the forge: what happened there since is taken in, and nothing of it is done twice."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mcp_ashigaru.backups import back_up, restore
from mcp_ashigaru.state_dir import mark_restored, was_restored
from runner.errors import RunnerError
from runner.sandboxes import Role
from tests.story.house import Foreman, House, git
from tests.story.scenes import RIGHT, bare, branches, held, house_of, passes_when, started, writes
from tests.story.test_following import BETTER, once, reads_prompt, under_review
from tests.story.worlds import GithubWorld, github_world, tip

MERGES, PULLS = r"/repos/[^/]+/[^/]+/pulls/\d+/merge", r"/repos/[^/]+/[^/]+/pulls"
SETTLED: dict[str, Any] = {"ci_grace_s": 0.0}
Told = dict[str, Any]


@pytest.fixture
def github(source: Path, tmp_path: Path) -> Iterator[GithubWorld]:
    with github_world(source, tmp_path / "world") as made:
        yield made


def lose_and_put_back(house: House, backup: Path) -> None:
    """The host is lost with all that ran on it, and the backup is put in its place."""
    for one in house.containers.listing():
        house.containers.remove(one.name)
    shutil.move(house.state, backup.with_name("lost"))
    assert restore(house.settings(8020), backup)


def up_to_an_agent_and_on(
    house: House, world: GithubWorld, backup: Path, further: Callable[[Foreman, str], object]
) -> str:
    """A run whose backup was made in mid-agent; then it came as far as `further` has it. Its id."""
    agent = held(RIGHT)
    house = house_of(house.state, {1: agent}, passes_when("total = 1"), **house.changes)
    with world.daemon(house) as foreman:
        run_id = foreman.work(repo=world.repo)
        assert agent.reached.wait(20)
        back_up(house.settings(8020), backup)
        agent.release()
        foreman.until(run_id, under_review)
        further(foreman, run_id)
    lose_and_put_back(house, backup)
    return run_id


def merge(foreman: Foreman, world: GithubWorld, told: Told) -> None:
    done = foreman.call("promote", repo=world.repo, pr=told["pull"]["number"], head_sha=told["head_sha"])
    assert done["promoted"], done


def wrote_once(world: GithubWorld) -> bool:
    return world.double.count("POST", PULLS, landed=True) == 1 and len(world.double.repo(world.repo).pulls) == 1


def test_a_pull_request_opened_since_is_judged_again_without_an_agent_and_merged_once(
    state: Path, github: GithubWorld, tmp_path: Path
) -> None:
    house = house_of(state, {}, passes_when("total = 1"), **SETTLED)
    run_id = up_to_an_agent_and_on(house, github, tmp_path / "backup", lambda *_: None)
    with github.daemon(house) as foreman:
        told = foreman.until(run_id, under_review)
        assert any("was not on record" in one["text"] for one in told["notices"]), told["notices"]
        merge(foreman, github, told)
    assert started(house, Role.AGENT) == []
    assert wrote_once(github)
    assert github.double.count("PUT", MERGES, landed=True) == 1
    assert not was_restored(state)


def test_a_merge_since_is_put_on_record_and_not_done_again(state: Path, github: GithubWorld, tmp_path: Path) -> None:
    house = house_of(state, {}, passes_when("total = 1"), **SETTLED)
    run_id = up_to_an_agent_and_on(
        house,
        github,
        tmp_path / "backup",
        lambda foreman, run_id: merge(foreman, github, foreman.call("status", run_id=run_id)),
    )
    with github.daemon(house) as foreman:
        told = foreman.call("status", run_id=run_id)
        assert told["phase"] in {"merged", "shipped"}
        assert told["merged_sha"] == tip(github, "main")
        again = foreman.call("promote", repo=github.repo, pr=told["pull"]["number"])
        assert again["sha"] == told["merged_sha"]
    assert house.containers.started == []
    assert wrote_once(github)
    assert github.double.count("PUT", MERGES, landed=True) == 1


def test_a_pull_request_closed_since_ends_its_run(state: Path, github: GithubWorld, tmp_path: Path) -> None:
    house = house_of(state, {}, passes_when("total = 1"), **SETTLED)
    run_id = up_to_an_agent_and_on(
        house,
        github,
        tmp_path / "backup",
        lambda foreman, run_id: github.close(foreman.call("status", run_id=run_id)["pull"]["number"]),
    )
    with github.daemon(house) as foreman:
        told = foreman.call("status", run_id=run_id)
        assert (told["phase"], told["reason"]) == ("cancelled", "The pull request was closed on the forge.")
        assert house.containers.started == []
        # Its issue can be worked again.
        assert foreman.work(repo=github.repo) != run_id
    assert wrote_once(github)


def test_a_branch_pushed_since_is_gone_on_from(state: Path, github: GithubWorld, tmp_path: Path) -> None:
    house = house_of(state, {2: writes(None)}, passes_when("total = 1"), **SETTLED)
    agent = held(RIGHT)
    before = house_of(state, {1: agent}, passes_when("total = 1"), **SETTLED)
    with github.daemon(before) as foreman:
        run_id = foreman.work(repo=github.repo)
        assert agent.reached.wait(20)
        back_up(before.settings(8020), tmp_path / "backup")
    branch = f"ashigaru/1-{run_id.rsplit('-', 1)[1]}"
    pushed = github.double.commit(github.repo, branch, {"total.py": RIGHT})
    lose_and_put_back(before, tmp_path / "backup")
    with github.daemon(house) as foreman:
        told = foreman.until(run_id, under_review)
        merge(foreman, github, told)
    assert git(github.bare, "rev-list", "--count", f"{pushed}..{told['head_sha']}") == "1"
    assert len(started(house, Role.AGENT)) == 1
    assert wrote_once(github)


def test_a_remark_answered_since_is_not_answered_again(state: Path, github: GithubWorld, tmp_path: Path) -> None:
    seen: list[str] = []
    agents = {1: writes(RIGHT), 2: reads_prompt(seen, BETTER, "REMARK 1: fixed, said better")}
    house = house_of(state, agents, passes_when("total = 1"), **SETTLED)
    with github.daemon(house) as foreman:
        first = foreman.until(foreman.work(repo=github.repo), under_review)
        back_up(house.settings(8020), tmp_path / "backup")
        number = first["pull"]["number"]
        github.line(number, "total.py", 1, "Say it better.")
        once(lambda: any(one.ours for one in github.said(number)))
        second = foreman.until(
            first["run_id"], lambda told: under_review(told) and told["head_sha"] != first["head_sha"]
        )
    lose_and_put_back(house, tmp_path / "backup")
    after = house_of(state, {n: reads_prompt(seen, None) for n in range(2, 9)}, passes_when("total = 1"), **SETTLED)
    with github.daemon(after) as foreman:
        told = foreman.until(
            first["run_id"],
            lambda told: under_review(told) and any("Answered" in one["text"] for one in told["notices"]),
        )
        assert told["head_sha"] == second["head_sha"]
        merge(foreman, github, foreman.until(first["run_id"], under_review))
    assert [one.ours for one in github.said(number)].count(True) == 1
    assert wrote_once(github)
    assert github.double.count("PUT", MERGES, landed=True) == 1


def test_a_forge_that_does_not_answer_after_a_restore_is_asked_again_by_the_next_start(
    state: Path, github: GithubWorld, tmp_path: Path
) -> None:
    house = house_of(state, {}, passes_when("total = 1"), **SETTLED)
    run_id = up_to_an_agent_and_on(house, github, tmp_path / "backup", lambda *_: None)
    house.changes = house.changes | {"github_token": SecretStr("nobody's")}
    with pytest.raises(RunnerError), github.daemon(house):
        pass
    assert was_restored(state)
    del house.changes["github_token"]
    with github.daemon(house) as foreman:
        foreman.until(run_id, under_review)
    assert wrote_once(github)


# --- single databases from other moments, without a mark ------------------------------------------------------


def copy_of(state: Path, name: str, into: Path) -> Path:
    """The database as it is at this moment."""
    into.mkdir(exist_ok=True)
    with closing(sqlite3.connect(state / name)) as there, closing(sqlite3.connect(into / name)) as here:
        there.backup(here)
    return into / name


def put_one_back(state: Path, kept: Path) -> None:
    for beside in state.glob(f"{kept.name}*"):
        beside.unlink()
    shutil.copy(kept, state / kept.name)


def test_a_run_done_anew_by_older_databases_opens_no_second_pull_request(
    state: Path, github: GithubWorld, tmp_path: Path
) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent}, passes_when("total = 1"), **SETTLED)
    with github.daemon(house) as foreman:
        run_id = foreman.work(repo=github.repo)
        assert agent.reached.wait(20)
        kept = [copy_of(state, name, tmp_path / "kept") for name in ("ashigaru.db", "engine.db")]
        agent.release()
        told = foreman.until(run_id, under_review)
        github.close(told["pull"]["number"])
        foreman.until(run_id, lambda told: told["phase"] == "cancelled")
    for one in kept:
        put_one_back(state, one)
    with github.daemon(house) as foreman:
        told = foreman.until(run_id, lambda told: told["phase"] == "cancelled")
        assert told["reason"] == "The pull request was closed on the forge."
    assert wrote_once(github)


@pytest.mark.parametrize("which", ["records", "records, marked", "engine"])
def test_one_database_from_an_earlier_moment_doubles_nothing(
    state: Path, source: Path, tmp_path: Path, which: str
) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent, 2: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert agent.reached.wait(20)
        kept = {name: copy_of(state, name, tmp_path / "kept") for name in ("ashigaru.db", "engine.db")}
        agent.release()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    if which == "engine":
        put_one_back(state, kept["engine.db"])
    else:
        put_one_back(state, kept["ashigaru.db"])
    if which == "records, marked":
        mark_restored(state)
    with house.daemon() as foreman:
        told = foreman.at_rest(run_id)
        assert told["phase"] == "awaiting_review", told
        assert foreman.call("promote", repo="widgets", pr=told["pull"]["number"])["promoted"]
        assert foreman.daemon.forge.pull("widgets", 2) is None
    assert git(bare(state), "rev-list", "--count", "main") == "2"
    assert branches(state) == {}
    assert len(started(house, Role.AGENT)) == (1 if which == "engine" else 2)
    assert house.containers.listing() == ()
