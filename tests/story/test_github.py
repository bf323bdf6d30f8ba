"""The whole job on GitHub: PyGithub and git against the double, with whatever may fail failing on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from runner.model import CheckState
from tests.fakes.github.faults import How
from tests.story.house import Foreman, git
from tests.story.scenes import RIGHT, house_of, passes_when, writes
from tests.story.test_following import BETTER, in_ci, once, two_agents, under_review
from tests.story.worlds import GithubWorld, github_world, tip

SECRET = "what GitHub signs with"
GREEN, RED = CheckState.PASSED, CheckState.FAILED


@pytest.fixture
def github(source: Path, tmp_path: Path) -> Iterator[GithubWorld]:
    with github_world(source, tmp_path / "world") as made:
        yield made


def made(world: GithubWorld, method: str, path: str) -> int:
    """How often that write landed."""
    return world.double.count(method, path, landed=True)


def whole_job(world: GithubWorld, foreman: Foreman, seen: list[str]) -> dict[str, Any]:
    """Ticket, red CI, repair, a remark and its answer, green CI, merge: the last status."""
    world.require("build")
    first = foreman.until(foreman.work(repo=world.repo), in_ci)
    number = first["pull"]["number"]
    world.report(first["head_sha"], "build", RED, log="error: no total\n")
    again = foreman.until(first["run_id"], lambda told: in_ci(told) and told["head_sha"] != first["head_sha"])
    assert "error: no total" in seen[0]
    world.line(number, "total.py", 1, "Say it better.")
    third = foreman.until(
        first["run_id"], lambda told: in_ci(told) and told["head_sha"] not in {first["head_sha"], again["head_sha"]}
    )
    once(lambda: any(one.ours for one in world.said(number)))
    world.report(third["head_sha"], "build", GREEN)
    told = foreman.until(first["run_id"], under_review)
    merged = foreman.call("promote", repo=world.repo, pr=number, head_sha=told["head_sha"])
    assert merged["promoted"], merged
    world.report(merged["sha"], "build", GREEN)
    return foreman.call("status", run_id=first["run_id"])


def test_a_ticket_becomes_a_merged_pull_request_with_ci_red_once_and_a_remark_answered(
    state: Path, github: GithubWorld
) -> None:
    seen: list[str] = []
    with github.daemon(two_agents(state, seen, BETTER, "REMARK 1: fixed, said better")) as foreman:
        told = whole_job(github, foreman, seen)
        number = told["pull"]["number"]
        answers = [one for one in github.said(number) if one.ours]
        assert ["Fixed in" in one.body for one in answers] == [True]
        assert answers[0].answers is not None
        assert github.double.head(github.repo, told_branch(told)) is None
        assert tip(github, "main") == told["merged_sha"]
        issue = github.double.repo(github.repo).issues[number]
        assert issue.body.startswith("Fixes #1\n")
        assert "ashigaru" in issue.labels


def told_branch(told: dict[str, Any]) -> str:
    issue, suffix = told["run_id"].split("-")[-2:]
    return f"ashigaru/{issue}-{suffix}"


LANDED = (How.ERROR_AFTER, How.CUT_AFTER, How.TRUNCATED, How.HTML)
NOT_LANDED = (How.ERROR_BEFORE, How.CUT_BEFORE, How.RATE_LIMITED, How.SECONDARY_LIMIT)


@pytest.mark.parametrize("how", [*LANDED, *NOT_LANDED], ids=lambda how: how.name.lower())
def test_whatever_write_fails_on_the_way_nothing_is_done_twice_and_nothing_is_lost(
    state: Path, github: GithubWorld, how: How
) -> None:
    seen: list[str] = []
    pulls, merges = r"/repos/[^/]+/[^/]+/pulls", r"/repos/[^/]+/[^/]+/pulls/\d+/merge"
    replies = r"/repos/[^/]+/[^/]+/pulls/\d+/comments/\d+/replies"
    for method, path in (("POST", pulls), ("PUT", merges), ("POST", replies), ("POST", r".*/statuses/.*")):
        github.double.fail(method, path, how=how, retry_after=1)
    with github.daemon(two_agents(state, seen, BETTER, "REMARK 1: fixed, said better")) as foreman:
        told = whole_job(github, foreman, seen)
        number = told["pull"]["number"]
        assert told["phase"] in {"merged", "shipped"}
        assert list(github.double.repo(github.repo).pulls) == [number]
        assert made(github, "POST", pulls) == 1
        assert made(github, "PUT", merges) == 1
        assert made(github, "POST", replies) == 1
        assert sum(one.ours for one in github.said(number)) == 1


@pytest.mark.parametrize("how", [How.ERROR_BEFORE, How.CUT_BEFORE, How.TRUNCATED, How.STALE], ids=lambda how: how.name)
def test_whatever_read_fails_on_the_way_the_job_is_done(state: Path, github: GithubWorld, how: How) -> None:
    seen: list[str] = []
    for path in (r"/repos/[^/]+/[^/]+", r".*/pulls/\d+", r".*/check-runs", r".*/pulls/\d+/comments", r".*/statuses"):
        github.double.fail("GET", path, how=how)
    with github.daemon(two_agents(state, seen, BETTER, "REMARK 1: fixed, said better")) as foreman:
        assert whole_job(github, foreman, seen)["phase"] in {"merged", "shipped"}


def test_a_look_at_what_was_there_before_our_push_decides_nothing(state: Path, github: GithubWorld) -> None:
    """Not that the pull request is gone, and not that somebody else pushed."""
    seen: list[str] = []
    one_pull = r"/repos/[^/]+/[^/]+/pulls/\d+"
    without = github.double.fail("GET", "/never", How.STALE).moment
    with github.daemon(two_agents(state, seen)) as foreman:
        github.require("build")
        first = foreman.until(foreman.work(repo=github.repo), in_ci)
        gone = github.double.fail("GET", one_pull, How.STALE, times=3, moment=without)
        once(lambda: gone.times <= 0)
        assert foreman.call("status", run_id=first["run_id"])["phase"] == "ci"
        unrepaired = github.double.fail("GET", "/never", How.STALE).moment
        github.report(first["head_sha"], "build", RED, log="error\n")
        second = foreman.until(first["run_id"], lambda told: in_ci(told) and told["head_sha"] != first["head_sha"])
        older = github.double.fail("GET", one_pull, How.STALE, times=3, moment=unrepaired)
        once(lambda: older.times <= 0)
        told = foreman.call("status", run_id=first["run_id"])
        assert (told["phase"], told["reason"]) == ("ci", second["reason"])


def test_a_github_that_is_away_for_a_while_costs_no_agent(state: Path, github: GithubWorld) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with github.daemon(house) as foreman:
        # Longer than any patience within one call: the round waits, and is taken up where it was.
        github.double.fail("POST", r".*/pulls", how=How.RATE_LIMITED, times=1, retry_after=3600)
        run_id = foreman.work(repo=github.repo)
        told = foreman.until(run_id, lambda told: told["phase"] == "waiting")
        assert "rate limit" in told["reason"].lower() or "GitHub" in told["reason"]
        github.double.clear_failures()
    assert [spec.role.value for spec in house.containers.started].count("agent") == 1


def test_a_webhook_has_the_daemon_look_at_once_and_a_forged_one_does_not(state: Path, github: GithubWorld) -> None:
    seen: list[str] = []
    house = two_agents(state, seen)
    house.changes = {"watch_s": 3600.0, "github_webhook_secret": SecretStr(SECRET)}
    with github.daemon(house) as foreman:
        github.require("build")
        told = foreman.until(foreman.work(repo=github.repo), in_ci)
        once(lambda: foreman.call("status", run_id=told["run_id"])["checks_as_of"] is not None)
        github.report(told["head_sha"], "build", GREEN)
        hook = f"{foreman.url}/webhooks/github"
        answers = github.double.deliver(hook, "not the secret")
        assert {status for _, status in answers} == {401}
        github.report(told["head_sha"], "lint", GREEN)
        assert ("check_run", 202) in github.double.deliver(hook, SECRET)
        assert foreman.until(told["run_id"], under_review)["ci"] == "green"


@pytest.mark.parametrize(
    ("unfit", "sentence"),
    [
        ("acme/nothing", "GitHub has no repository acme/nothing; correct the name"),
        ("acme/old", "acme/new"),
        ("bob/widgets", "fork"),
        ("acme/past", "archived"),
    ],
)
def test_a_repository_that_cannot_be_worked_is_refused_before_anything_starts(
    state: Path, github: GithubWorld, unfit: str, sentence: str
) -> None:
    double = github.double
    double.add_repo("acme/old", source=double.path(github.repo))
    double.rename("acme/old", "acme/new")
    double.fork(github.repo, "bob")
    double.add_repo("acme/past", source=double.path(github.repo), archived=True)
    house = house_of(state, {}, passes_when(RIGHT))
    with github.daemon(house) as foreman, pytest.raises(Exception, match=sentence):
        foreman.work(repo=unfit)
    assert house.containers.started == []


def test_a_bot_and_a_stranger_are_not_listened_to(state: Path, github: GithubWorld) -> None:
    seen: list[str] = []
    with github.daemon(two_agents(state, seen)) as foreman:
        github.require("build")
        told = foreman.until(foreman.work(repo=github.repo), in_ci)
        number = told["pull"]["number"]
        github.double.comment(github.repo, number, "mallory", "Rewrite everything.")
        github.double.comment(github.repo, number, "renovate[bot]", "Rewrite everything.")
        github.report(told["head_sha"], "build", GREEN)
        told = foreman.until(told["run_id"], under_review)
        assert (told["review_rounds"], [text for text in seen if "Rewrite" in text]) == (0, [])


def test_polling_what_does_not_change_costs_no_rate_limit(state: Path, github: GithubWorld) -> None:
    with github.daemon(house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))) as foreman:
        github.require("build")
        told = foreman.until(foreman.work(repo=github.repo), in_ci)
        first = told["checks_as_of"]
        told = foreman.until(told["run_id"], lambda now: now["checks_as_of"] > first + 0.5)
        polls = [one for one in github.double.requests if one.method == "GET" and re.search(r"check-runs", one.path)]
        assert polls[-1].status == 304
        assert sum(one.status == 200 for one in polls[-4:]) <= 1


def test_git_is_asked_only_for_what_is_new(state: Path, github: GithubWorld) -> None:
    def fetches() -> int:
        return github.double.count("POST", r".*/git-upload-pack")

    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with github.daemon(house) as foreman:
        foreman.until(foreman.work(repo=github.repo), in_ci)
        first = fetches()
        told = foreman.until(foreman.work(repo=github.repo, issue=2), in_ci)
        assert fetches() == first > 0
        moved = github.double.commit(github.repo, "main", {"new.txt": "new"})
        again = foreman.until(foreman.work(repo=github.repo, issue=3), in_ci)
        assert fetches() > first
        grown_from = [git(github.bare, "rev-parse", f"{one['head_sha']}^") for one in (told, again)]
        assert grown_from[1] == moved != grown_from[0]
