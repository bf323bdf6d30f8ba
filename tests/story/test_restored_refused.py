"""A backup is put back, and the forge does not tell what became of its runs: nothing is done before it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_ashigaru.backups import back_up
from mcp_ashigaru.state_dir import was_restored
from runner.errors import ForgeDown
from runner.sandboxes import Role
from tests.fakes.github.faults import How
from tests.story.house import Foreman
from tests.story.scenes import RIGHT, held, house_of, passes_when, started, writes
from tests.story.test_following import once, under_review
from tests.story.test_forge_trouble import RENEW, expired
from tests.story.test_restored import (
    MERGES,
    PULLS,
    SETTLED,
    Told,
    lose_and_put_back,
    merge,
    up_to_an_agent_and_on,
    wrote_once,
)
from tests.story.worlds import GithubWorld, github_world, tip

UNASKED = "The forge cannot be asked what became of the runs since the backup"


@pytest.fixture
def github(source: Path, tmp_path: Path) -> Iterator[GithubWorld]:
    with github_world(source, tmp_path / "world") as made:
        yield made


def writings(world: GithubWorld) -> int:
    """Requests so far that change something on the forge."""
    return sum(world.double.count(method, r".*", landed=True) for method in ("POST", "PUT", "PATCH", "DELETE"))


def test_a_forge_that_is_down_or_refuses_the_token_has_each_start_say_so_and_do_nothing_until_it_answers(
    state: Path, github: GithubWorld, tmp_path: Path
) -> None:
    house = house_of(state, {}, passes_when("total = 1"), **SETTLED)
    run_id = up_to_an_agent_and_on(house, github, tmp_path / "backup", lambda *_: None)
    before = writings(github)
    github.double.fail("GET", r"/repos/.*", How.ERROR_BEFORE, status=503, times=1000)
    down = rf"^{UNASKED} \(GitHub answered 503\); .*start again when it answers\.$"
    with pytest.raises(ForgeDown, match=down), github.daemon(house):
        pass
    github.double.clear_failures()
    refused = rf"^{UNASKED} \({RENEW}.*start again when it answers\.$"
    with expired(github), pytest.raises(ForgeDown, match=refused), github.daemon(house):
        pass
    assert was_restored(state)
    assert house.containers.started == []
    assert writings(github) == before
    with github.daemon(house) as foreman:
        told = foreman.until(run_id, under_review)
        merge(foreman, github, told)
    assert not was_restored(state)
    assert started(house, Role.AGENT) == []
    assert wrote_once(github)
    assert github.double.count("PUT", MERGES, landed=True) == 1


def set_aside(foreman: Foreman, run_id: str) -> Told:
    told = foreman.call("status", run_id=run_id)
    assert told["phase"] == "waiting", told
    assert "GitHub has no repository acme/widgets; correct the name" in told["reason"]
    return told


@pytest.mark.parametrize("restarts", [0, 1])
def test_a_run_whose_repository_is_hidden_after_a_restore_goes_on_by_itself_when_it_is_seen_again(
    state: Path, github: GithubWorld, tmp_path: Path, restarts: int
) -> None:
    house = house_of(state, {}, passes_when("total = 1"), **SETTLED)
    run_id = up_to_an_agent_and_on(house, github, tmp_path / "backup", lambda *_: None)
    branch, before = f"ashigaru/1-{run_id.rsplit('-', 1)[1]}", writings(github)
    pushed = tip(github, branch)
    github.hide()
    for _ in range(restarts):
        with github.daemon(house) as foreman:
            set_aside(foreman, run_id)
        # For the next start it is no restored backup, and the engine knows nothing of the round that its agent began.
        assert not was_restored(state)
    with github.daemon(house) as foreman:
        set_aside(foreman, run_id)
        assert (house.containers.started, writings(github)) == ([], before)
        github.show()
        told = foreman.until(run_id, under_review)
        assert [one["kind"] for one in told["notices"]].count("restored") == 1
        assert told["head_sha"] == pushed == tip(github, branch)
        merge(foreman, github, told)
    assert started(house, Role.AGENT) == []
    assert wrote_once(github)
    assert github.double.count("PUT", MERGES, landed=True) == 1


def test_one_that_had_shown_nothing_yet_begins_again_when_its_repository_is_seen_and_opens_one_pull_request(
    state: Path, github: GithubWorld, tmp_path: Path
) -> None:
    agent = held(RIGHT)
    house = house_of(state, {1: agent, 2: writes(RIGHT)}, passes_when("total = 1"), **SETTLED)
    with github.daemon(house) as foreman:
        run_id = foreman.work(repo=github.repo)
        assert agent.reached.wait(20)
        back_up(house.settings(8020), tmp_path / "backup")
    lose_and_put_back(house, tmp_path / "backup")
    github.hide()
    with github.daemon(house) as foreman:
        set_aside(foreman, run_id)
    with github.daemon(house) as foreman:
        set_aside(foreman, run_id)
        # The issue is its own meanwhile.
        github.show()
        told = foreman.until(run_id, under_review)
        assert foreman.work(repo=github.repo) == run_id
        merge(foreman, github, told)
    assert len(started(house, Role.AGENT)) == 2
    assert wrote_once(github)
    assert github.double.count("PUT", MERGES, landed=True) == 1


def test_one_under_review_is_not_followed_before_the_forge_has_said_what_became_of_it(
    state: Path, github: GithubWorld, tmp_path: Path
) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when("total = 1"), **SETTLED)
    with github.daemon(house) as foreman:
        first = foreman.until(foreman.work(repo=github.repo), under_review)
        back_up(house.settings(8020), tmp_path / "backup")
        merge(foreman, github, first)
    lose_and_put_back(house, tmp_path / "backup")
    one, asked = rf"{PULLS}/1", github.double.count("GET", PULLS)
    looks = github.double.count("GET", one)
    # Of its branch the forge tells nothing; whoever looks at the pull request itself would see that it is merged.
    github.double.fail("GET", PULLS, How.ERROR_BEFORE, status=404, times=1000)
    with github.daemon(house) as foreman:
        once(lambda: github.double.count("GET", PULLS) >= asked + 4)
        told = foreman.call("status", run_id=first["run_id"])
        assert told["phase"] == "awaiting_review", told
        assert told["reason"].startswith("The forge cannot be asked: ")
        assert github.double.count("GET", one) == looks
        github.double.clear_failures()
        told = foreman.until(first["run_id"], lambda told: told["phase"] in {"merged", "shipped"})
        assert [one["kind"] for one in told["notices"]].count("restored") == 1
    assert wrote_once(github)
    assert github.double.count("PUT", MERGES, landed=True) == 1
