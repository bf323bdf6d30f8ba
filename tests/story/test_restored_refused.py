"""A backup is put back, and the forge does not tell what became of its runs: nothing is done before it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_ashigaru.state_dir import was_restored
from runner.errors import ForgeDown
from runner.sandboxes import Role
from tests.fakes.github.faults import How
from tests.story.scenes import RIGHT, house_of, passes_when, started, writes
from tests.story.test_following import under_review
from tests.story.test_forge_trouble import RENEW, expired
from tests.story.test_restored import MERGES, SETTLED, merge, up_to_an_agent_and_on, wrote_once
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


def test_a_repository_that_cannot_be_seen_after_a_restore_keeps_no_start_and_its_run_opens_nothing_twice_later(
    state: Path, github: GithubWorld, tmp_path: Path
) -> None:
    agents = {number: writes(RIGHT) for number in range(1, 5)}
    house = house_of(state, agents, passes_when("total = 1"), **SETTLED)
    run_id = up_to_an_agent_and_on(house, github, tmp_path / "backup", lambda *_: None)
    branch = f"ashigaru/1-{run_id.rsplit('-', 1)[1]}"
    pushed = tip(github, branch)
    assert pushed is not None
    known = github.double.repo(github.repo)
    del github.double.state.world.repos[known.id]
    with github.daemon(house) as foreman:
        told = foreman.at_rest(run_id)
        assert told["phase"] == "blocked", told
        assert "GitHub has no repository acme/widgets; correct the name" in told["reason"]
        assert not was_restored(state)
        github.double.state.world.repos[known.id] = known
        foreman.call("retry", run_id=run_id)
        # What the forge has of it was never taken in: a person says what it is, and it stays as it was.
        told = foreman.until(run_id, lambda now: "take them in or rename it" in str(now["reason"]))
        assert told["phase"] == "blocked"
    assert tip(github, branch) == pushed
    assert wrote_once(github)
