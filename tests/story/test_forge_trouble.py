"""A forge that changes under a run: credentials expire, bases are rewritten, repositories and people's minds move."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mcp_ashigaru.client import CallRefused
from runner.facts import Fact, Step
from runner.model import CheckState, RoundInput
from runner.sandboxes import Role
from tests.fakes.github.faults import How
from tests.story.house import Foreman, House, git
from tests.story.scenes import RIGHT, held, house_of, passes_when, started, writes
from tests.story.test_following import BETTER, Ahead, branches, in_ci, once, under_review
from tests.story.test_trouble import hasten
from tests.story.worlds import WORLDS, GithubWorld, World, github_world, tip

RENEW = "GitHub does not accept the daemon's credential; renew"
Told = dict[str, Any]


@pytest.fixture
def github(source: Path, tmp_path: Path) -> Iterator[GithubWorld]:
    with github_world(source, tmp_path / "world") as made:
        yield made


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, source: Path, tmp_path: Path) -> Iterator[World]:
    with WORLDS[request.param](source, tmp_path / "world") as made:
        yield made


@dataclass(kw_only=True)
class At:
    """A witness that does something just before that step's fact is recorded, the first time."""

    kind: str
    do: Callable[[], None]
    done: threading.Event = field(default_factory=threading.Event)

    def __call__(self, _round: RoundInput, step: Step, _fact: Fact) -> None:
        if step.kind == self.kind and not self.done.is_set():
            self.do()
            self.done.set()


@contextmanager
def expired(world: GithubWorld) -> Iterator[None]:
    """The daemon's token opens nothing while the block lasts; then it is as good as new."""
    kept = world.double.state.tokens[world.token]
    world.double.revoke(world.token)
    try:
        yield
    finally:
        world.double.state.tokens[world.token] = kept


def waits_s(foreman: Foreman, run_id: str) -> float:
    """How long the run that waits does so, in seconds."""
    run = foreman.daemon.service._known(run_id)
    return (run.retry_at or 0.0) - run.updated_at


def agents(house: House) -> int:
    return len(started(house, Role.AGENT))


def grown(world: World) -> None:
    """Main has a second commit."""
    more = git(world.bare, "commit-tree", "main^{tree}", "-p", "main", "-m", "second")
    git(world.bare, "update-ref", "refs/heads/main", more)


def dropped(world: World) -> None:
    """Somebody took the last commit off main."""
    git(world.bare, "update-ref", "refs/heads/main", git(world.bare, "rev-parse", "main^"))


def made_anew(world: World) -> None:
    """Somebody wrote main's history anew, from its first commit."""
    fresh = git(world.bare, "commit-tree", "main^{tree}", "-m", "anew")
    git(world.bare, "update-ref", "refs/heads/main", fresh)


# --- credentials ---------------------------------------------------------------------------------------------


def test_a_credential_that_expires_before_the_clone_is_waited_for(state: Path, github: GithubWorld) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with github.daemon(house) as foreman:
        # Where there is a mirror, what it lacks is asked for first.
        foreman.until(foreman.work(repo=github.repo), in_ci)
        github.double.fail("GET", r".*/git/ref/heads/main", How.ERROR_BEFORE, status=401, times=1000)
        run_id = foreman.work(repo=github.repo, issue=2)
        told = foreman.at_rest(run_id)
        assert told["phase"] == "waiting"
        assert RENEW in told["reason"]
        assert waits_s(foreman, run_id) == 1800
        assert "It tries again by itself at" in told["next"]
        assert agents(house) == 1
        github.double.clear_failures()
        hasten(foreman, run_id)
        told = foreman.until(run_id, in_ci)
    assert [tried["tier"] for tried in told["tiers_tried"]] == ["small"]


def test_a_credential_that_expires_before_publishing_costs_no_agent(state: Path, github: GithubWorld) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    kept = github.double.state.tokens[github.token]
    house.witness = At(kind="judge_head", do=lambda: github.double.revoke(github.token))
    with github.daemon(house) as foreman:
        run_id = foreman.work(repo=github.repo)
        told = foreman.at_rest(run_id)
        assert told["phase"] == "waiting"
        assert RENEW in told["reason"]
        assert waits_s(foreman, run_id) == 1800
        assert told["verdicts"][-1]["outcome"] == "passed"
        github.double.state.tokens[github.token] = kept
        hasten(foreman, run_id)
        told = foreman.until(run_id, in_ci)
    assert (agents(house), len(started(house, Role.GATE, "head"))) == (1, 1)
    assert len(github.double.repo(github.repo).pulls) == 1


def test_a_credential_that_expires_under_review_is_told_and_nothing_is_promoted_until_it_is_renewed(
    state: Path, github: GithubWorld
) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with github.daemon(house) as foreman:
        told = foreman.until(foreman.work(repo=github.repo), in_ci)
        number, main = told["pull"]["number"], tip(github, "main")
        with expired(github):
            told = foreman.until(told["run_id"], lambda now: now["reason"] is not None)
            assert told["phase"] == "ci"
            assert told["reason"].startswith(f"The forge cannot be asked: {RENEW}")
            with pytest.raises(CallRefused, match="does not accept the daemon's credential"):
                foreman.call("promote", repo=github.repo, pr=number)
            assert tip(github, "main") == main
        foreman.daemon.service.follower.look(told["run_id"])
        assert foreman.call("status", run_id=told["run_id"])["reason"] is None
        merged = foreman.call("promote", repo=github.repo, pr=number)
        assert not merged["promoted"], "checks may still register"


# --- repositories --------------------------------------------------------------------------------------------


def archive(world: GithubWorld) -> None:
    world.double.repo(world.repo).archived = True


def delete(world: GithubWorld) -> None:
    known = world.double.repo(world.repo)
    del world.double.state.world.repos[known.id]


def hide(world: GithubWorld) -> None:
    known = world.double.repo(world.repo)
    known.private = True
    known.collaborators.clear()


@pytest.mark.parametrize(
    ("happens", "sentence"),
    [
        (archive, "is archived, so nothing can be pushed; unarchive it on GitHub first"),
        (delete, "GitHub has no repository acme/widgets; correct the name, or let the daemon's credential see it"),
        (hide, "GitHub has no repository acme/widgets; correct the name, or let the daemon's credential see it"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_repository_that_takes_no_work_any_more_blocks_the_run_and_says_why(
    state: Path, github: GithubWorld, happens: Callable[[GithubWorld], None], sentence: str
) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    house.witness = At(kind="judge_head", do=lambda: happens(github))
    with github.daemon(house) as foreman:
        told = foreman.at_rest(foreman.work(repo=github.repo))
    assert told["phase"] == "blocked"
    assert sentence in told["reason"]
    assert "The work could not be put on a branch" in told["reason"]
    assert (agents(house), told["pull"]) == (1, None)


def test_what_a_repository_that_was_archived_kept_from_being_published_is_published_when_it_is_asked_for_again(
    state: Path, github: GithubWorld
) -> None:
    house = house_of(state, {1: writes(RIGHT), 2: writes(RIGHT)}, passes_when(RIGHT))
    house.witness = At(kind="judge_head", do=lambda: archive(github))
    with github.daemon(house) as foreman:
        run_id = foreman.work(repo=github.repo)
        assert foreman.at_rest(run_id)["phase"] == "blocked"
        github.double.repo(github.repo).archived = False
        foreman.call("retry", run_id=run_id)
        told = foreman.until(run_id, in_ci)
    assert told["pull"] is not None
    assert len(github.double.repo(github.repo).pulls) == 1


@pytest.mark.parametrize("happens", [delete, hide], ids=lambda one: one.__name__)
def test_a_repository_that_is_gone_under_review_is_told_with_its_cure(
    state: Path, github: GithubWorld, happens: Callable[[GithubWorld], None]
) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with github.daemon(house) as foreman:
        told = foreman.until(foreman.work(repo=github.repo), in_ci)
        happens(github)
        # A look that it befell in the middle has less to say; the next one names it.
        named = "The forge cannot be asked: GitHub has no repository acme/widgets"
        told = foreman.until(told["run_id"], lambda now: named in str(now["reason"]))
        assert (told["phase"], told["pull"]["number"]) == ("ci", 1)


def test_a_run_whose_repository_is_renamed_goes_on_under_the_old_name(state: Path, github: GithubWorld) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    house.witness = At(kind="run_agent", do=lambda: github.double.rename(github.repo, "acme/gadgets"))
    with github.daemon(house) as foreman:
        told = foreman.until(foreman.work(repo=github.repo), in_ci)
        assert told["reason"] is None
        assert (
            github.double.head("acme/gadgets", next(iter(branches(github.double.path("acme/gadgets")))))
            == (told["head_sha"])
        )
    assert list(github.double.repo("acme/gadgets").pulls) == [told["pull"]["number"]]


# --- the base ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["run_agent", "close"], ids=["before publishing", "under review"])
def test_work_from_a_base_that_was_rewritten_is_never_merged_and_the_run_says_so(
    state: Path, world: World, kind: str
) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    house.witness = At(kind=kind, do=lambda: dropped(world))
    with world.daemon(house) as foreman:
        grown(world)
        world.require("build")
        told = foreman.until(foreman.work(repo=world.repo), in_ci)
        once(house.witness.done.is_set)
        main = tip(world, "main")
        world.report(told["head_sha"], "build", CheckState.PASSED)
        told = foreman.until(told["run_id"], under_review)
        refused = foreman.call("promote", repo=world.repo, pr=told["pull"]["number"])
        assert "main moved" in refused["detail"]
        told = foreman.until(told["run_id"], lambda now: under_review(now) and now["reason"] is not None)
        assert "main was rewritten" in told["reason"]
        assert "dispatch the ticket again" in told["reason"]
        assert not foreman.call("promote", repo=world.repo, pr=told["pull"]["number"])["promoted"]
        assert tip(world, "main") == main
        assert agents(house) == 1


def test_work_from_a_base_with_another_history_is_refused_as_a_conflict(state: Path, world: World) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    house.witness = At(kind="run_agent", do=lambda: made_anew(world))
    with world.daemon(house) as foreman:
        world.require("build")
        told = foreman.until(foreman.work(repo=world.repo), in_ci)
        main = tip(world, "main")
        world.report(told["head_sha"], "build", CheckState.PASSED)
        told = foreman.until(told["run_id"], under_review)
        refused = foreman.call("promote", repo=world.repo, pr=told["pull"]["number"])
        assert "conflicts with main" in refused["detail"]
        assert tip(world, "main") == main


# --- people --------------------------------------------------------------------------------------------------


def test_a_branch_that_somebody_deletes_ends_the_run_and_frees_the_issue(state: Path, world: World) -> None:
    house = house_of(state, {1: writes(RIGHT), 2: writes(RIGHT)}, passes_when(RIGHT))
    clock = Ahead()
    house.clock, house.up = clock, clock.up
    with world.daemon(house) as foreman:
        told = foreman.until(foreman.work(repo=world.repo), in_ci)
        branch = next(iter(branches(world.bare)))
        git(world.bare, "update-ref", "-d", f"refs/heads/{branch}")
        # So soon after a push a forge may show what was there before it.
        clock.ahead_s = 120.0
        told = foreman.until(told["run_id"], lambda now: now["phase"] == "cancelled")
        assert "The pull request" in told["reason"]
        assert foreman.work(repo=world.repo) != told["run_id"]


def revised(foreman: Foreman, run_id: str, agent: Any, happens: Callable[[], object]) -> None:
    """A round of changes, in the middle of which something happens on the forge."""
    foreman.call("request_changes", run_id=run_id, notes="Better, please.")
    assert agent.reached.wait(20)
    happens()
    agent.release()


def test_a_pull_request_closed_while_a_round_works_is_not_opened_a_second_time(state: Path, world: World) -> None:
    agent = held(BETTER)
    house = house_of(state, {1: writes(RIGHT), 2: agent}, passes_when("total = 1"))
    with world.daemon(house) as foreman:
        told = foreman.until(foreman.work(repo=world.repo), in_ci)
        number = told["pull"]["number"]
        revised(foreman, told["run_id"], agent, lambda: world.close(number))
        told = foreman.until(told["run_id"], lambda now: now["phase"] == "cancelled")
        assert "closed on the forge" in told["reason"]
        kept = branches(world.bare)
    assert told["pull"]["number"] == number
    assert [name.endswith("-unfinished") for name in sorted(kept)] == [False, True], "the round's work is kept"


def test_a_pull_request_merged_while_a_round_works_ends_as_merged_and_the_rest_is_kept(
    state: Path, github: GithubWorld
) -> None:
    agent = held(BETTER)
    house = house_of(state, {1: writes(RIGHT), 2: agent}, passes_when("total = 1"))
    with github.daemon(house) as foreman:
        told = foreman.until(foreman.work(repo=github.repo), in_ci)
        number = told["pull"]["number"]
        revised(foreman, told["run_id"], agent, lambda: github.double.merge(github.repo, number, "ann"))
        told = foreman.until(told["run_id"], lambda now: now["phase"] in {"merged", "shipped"})
        assert told["merged_sha"] == tip(github, "main")
    assert list(github.double.repo(github.repo).pulls) == [number]
    assert any(name.endswith("-unfinished") for name in branches(github.bare))


def test_a_title_that_a_person_gave_it_stays_through_rounds_and_the_merge(state: Path, github: GithubWorld) -> None:
    house = house_of(state, {1: writes(RIGHT), 2: writes(BETTER)}, passes_when("total = 1"))
    with github.daemon(house) as foreman:
        github.require("build")
        first = foreman.until(foreman.work(repo=github.repo), in_ci)
        number = first["pull"]["number"]
        github.double.repo(github.repo).issues[number].title = "Count from one"
        foreman.call("request_changes", run_id=first["run_id"], notes="Better, please.")
        again = foreman.until(first["run_id"], lambda now: in_ci(now) and now["head_sha"] != first["head_sha"])
        assert github.double.repo(github.repo).issues[number].title == "Count from one"
        github.double.check_run(github.repo, again["head_sha"], "build", status="completed", conclusion="success")
        told = foreman.until(first["run_id"], under_review)
        assert foreman.call("promote", repo=github.repo, pr=number, head_sha=told["head_sha"])["promoted"]
        assert git(github.bare, "log", "-1", "--format=%s", "main") == f"Count from one (#{number})"
        once(lambda: foreman.call("status", run_id=first["run_id"])["phase"] == "merged")
