"""After the pull request opened: CI arbitrates, people are answered, a merge is followed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_ashigaru.client import CallRefused
from runner.adapters.system_clock import SystemClock
from runner.model import CheckState
from runner.remarks import Stance
from runner.sandboxes import Role
from tests.fakes.behaviours import AgentAtWork, Behaviour, works
from tests.story.house import DEADLINE_S, Foreman, House, git, repository
from tests.story.scenes import FILES, RIGHT, WRONG, house_of, passes_when, says_hello, started, writes
from tests.story.worlds import WORLDS, World, tip

GREEN, RED, PENDING = CheckState.PASSED, CheckState.FAILED, CheckState.PENDING
BETTER = "total = 1  # better\n"
BEST = "total = 1  # best\n"
Told = dict[str, Any]


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, source: Path, tmp_path: Path) -> Iterator[World]:
    with WORLDS[request.param](source, tmp_path / "world") as made:
        yield made


def reads_prompt(seen: list[str], text: str | None, last_words: str = "Done.") -> Behaviour:
    """An agent that notes what it was told, writes `text` (None: nothing), and leaves with these words."""

    def work(agent: AgentAtWork) -> None:
        seen.append(agent.prompt)
        says_hello(agent)
        if text is not None:
            (agent.tree / "total.py").write_text(text, encoding="utf-8")
        agent.result(result=last_words)

    return works(work)


class Ahead(SystemClock):
    """The time, and so many seconds more that the host has been up; no deadline of a call under way comes nearer."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s

    def up(self) -> float:
        return super().monotonic() + self.ahead_s


def in_ci(told: Told) -> bool:
    return bool(told["phase"] == "ci")


def under_review(told: Told) -> bool:
    return bool(told["phase"] == "awaiting_review")


def once(tell: Callable[[], bool]) -> None:
    """Wait for the world to be so; fails after the stories' deadline."""
    tick = threading.Event()
    for _ in range(int(DEADLINE_S / 0.02)):
        if tell():
            return
        tick.wait(0.02)
    raise AssertionError("it never came about")


def opened(foreman: Foreman, world: World) -> Told:
    """A run whose pull request is open and whose checks are awaited."""
    return foreman.until(foreman.work(repo=world.repo), in_ci)


def two_agents(state: Path, seen: list[str], second: str | None = BETTER, last_words: str = "Done.") -> House:
    agents = {1: writes(RIGHT), 2: reads_prompt(seen, second, last_words), 3: reads_prompt(seen, BEST, last_words)}
    return house_of(state, agents, passes_when("total = 1"))


# --- CI ------------------------------------------------------------------------------------------------------


def test_green_checks_lead_to_review_and_the_merge_is_followed_until_the_base_is_green(
    state: Path, world: World
) -> None:
    with world.daemon(house_of(state, {1: writes(RIGHT)}, passes_when("total = 1"))) as foreman:
        world.require("build")
        told = opened(foreman, world)
        assert told["ci"] == "none_yet"
        assert told["checks_as_of"] is not None
        world.report(told["head_sha"], "build", PENDING)
        told = foreman.until(told["run_id"], lambda told: told["ci"] == "running")
        refused = foreman.call("promote", repo=world.repo, pr=told["pull"]["number"])
        assert "CI has not finished" in refused["detail"]
        world.report(told["head_sha"], "build", GREEN)
        told = foreman.until(told["run_id"], under_review)
        assert {"name": "build", "state": "passed"} in told["checks"]
        merged = foreman.call("promote", repo=world.repo, pr=told["pull"]["number"], head_sha=told["head_sha"])
        assert merged["promoted"], merged
        assert tip(world, "main") == merged["sha"]
        assert branches(world.bare) == {}
        assert foreman.call("status", run_id=told["run_id"])["phase"] == "merged"
        world.report(merged["sha"], "deploy", GREEN)
        # No check is required of the merged commit, so more may register; the daemon's patience is an hour here.
        told = foreman.until(told["run_id"], lambda told: told["pipeline"] == "running")


def test_a_red_pipeline_after_the_merge_is_told(state: Path, world: World) -> None:
    with world.daemon(house_of(state, {1: writes(RIGHT)}, passes_when("total = 1"))) as foreman:
        world.require("build")
        told = opened(foreman, world)
        world.report(told["head_sha"], "build", GREEN)
        told = foreman.until(told["run_id"], under_review)
        merged = foreman.call("promote", repo=world.repo, pr=told["pull"]["number"])
        world.report(merged["sha"], "deploy", RED)
        told = foreman.until(told["run_id"], lambda told: told["pipeline"] == "red")
        assert told["phase"] == "merged"
        assert "pipeline red" in told["reason"]
        assert [one["kind"] for one in told["notices"]][-1] == "pipeline_red"


def test_a_red_check_starts_a_round_at_the_next_tier_on_the_same_pull_request_told_the_log(
    state: Path, world: World
) -> None:
    seen: list[str] = []
    with world.daemon(two_agents(state, seen)) as foreman:
        world.require("build")
        first = opened(foreman, world)
        world.report(first["head_sha"], "build", RED, log="compiling\nerror: widget.c:7: no total\n")
        again = foreman.until(first["run_id"], lambda told: in_ci(told) and told["head_sha"] != first["head_sha"])
        assert again["pull"]["number"] == first["pull"]["number"]
        assert [tried["tier"] for tried in again["tiers_tried"]] == ["small", "large"]
        assert (again["ci_rounds"], again["ci"]) == (1, "none_yet")
        assert "error: widget.c:7: no total" in seen[0]
        assert "total = 1" in seen[0]
        world.report(again["head_sha"], "build", GREEN)
        told = foreman.until(first["run_id"], under_review)
        assert told["reason"] is None
        assert "ci_red" in [one["kind"] for one in told["notices"]]
        assert foreman.call("promote", repo=world.repo, pr=told["pull"]["number"])["promoted"]


def test_red_checks_start_no_more_rounds_than_there_may_be(state: Path, world: World) -> None:
    seen: list[str] = []
    house = two_agents(state, seen)
    with world.daemon(house) as foreman:
        world.require("build")
        told = opened(foreman, world)
        for rounds in (1, 2):
            before = told["head_sha"]
            world.report(before, "build", RED)
            told = foreman.until(told["run_id"], lambda now, before=before: in_ci(now) and now["head_sha"] != before)
            assert told["ci_rounds"] == rounds
        world.report(told["head_sha"], "build", RED)
        told = foreman.until(told["run_id"], under_review)
        assert "still red after 2 rounds" in told["reason"]
        assert len(started(house, Role.AGENT)) == 3
        assert [tried["tier"] for tried in told["tiers_tried"]] == ["small", "large", "huge"]


def test_a_check_that_is_red_on_the_base_too_is_not_blamed_on_the_change(state: Path, world: World) -> None:
    seen: list[str] = []
    with world.daemon(two_agents(state, seen)) as foreman:
        world.require("build")
        base = tip(world, "main")
        assert base is not None
        world.report(base, "build", RED)
        told = opened(foreman, world)
        world.report(told["head_sha"], "build", RED)
        told = foreman.until(told["run_id"], under_review)
        assert "red on main too" in told["reason"]
        assert seen == []


def test_checks_of_nobody_that_the_operator_trusts_decide_nothing(state: Path, world: World) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when("total = 1"), ci_trusted=("somebody-else",))
    with world.daemon(house) as foreman:
        told = opened(foreman, world)
        world.report(told["head_sha"], "build", GREEN)
        told = foreman.until(told["run_id"], lambda told: any(c["name"] == "build" for c in told["checks"]))
        assert told["ci"] == "none_yet"
        assert not foreman.call("promote", repo=world.repo, pr=told["pull"]["number"])["promoted"]


def branches(bare: Path) -> dict[str, str]:
    """The branches of a repository but for main, and their commits."""
    lines = git(bare, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
    return {name: sha for name, sha in (line.split() for line in lines) if name != "main"}


def pushed_by_hand(world: World, where: Path, branch: str, text: str) -> str:
    """What a person does: clone, change total.py, push; the new commit."""
    git(where, "clone", "--quiet", "--branch", branch, str(world.bare), "by-hand")
    (where / "by-hand" / "total.py").write_text(text, encoding="utf-8")
    git(where / "by-hand", "commit", "--quiet", "--all", "-m", "by hand")
    git(where / "by-hand", "push", "--quiet", "origin", branch)
    return git(where / "by-hand", "rev-parse", "HEAD")


# --- what cannot be judged here ------------------------------------------------------------------------------

CI_ONLY = FILES | {".ashigaru.toml": 'local = "none"\n'}


@pytest.fixture
def source_left_to_ci(tmp_path: Path) -> Path:
    return repository(tmp_path / "left-to-ci", CI_ONLY)


@pytest.mark.parametrize("kind", sorted(WORLDS))
def test_a_repository_that_cannot_be_judged_here_is_a_draft_until_ci_is_green(
    state: Path, source_left_to_ci: Path, tmp_path: Path, kind: str
) -> None:
    seen: list[str] = []
    agents = {1: writes(WRONG), 2: reads_prompt(seen, RIGHT)}
    house = house_of(state, agents, passes_when("nothing is asked of it"))
    with WORLDS[kind](source_left_to_ci, tmp_path / "world") as world, world.daemon(house) as foreman:
        first = opened(foreman, world)
        number = first["pull"]["number"]
        assert world.draft(number)
        assert "ashigaru: unjudged" in world.labels(number)
        assert not foreman.call("promote", repo=world.repo, pr=number)["promoted"]
        world.require("build")
        world.report(first["head_sha"], "build", RED, log="total.py: wrong total\n")
        again = foreman.until(first["run_id"], lambda told: in_ci(told) and told["head_sha"] != first["head_sha"])
        assert "wrong total" in seen[0]
        assert world.draft(number)
        world.report(again["head_sha"], "build", GREEN)
        told = foreman.until(first["run_id"], lambda told: under_review(told) and not world.draft(number))
        assert "ashigaru: unjudged" not in world.labels(number)
        assert "ci_green" in [one["kind"] for one in told["notices"]]
        assert foreman.call("promote", repo=world.repo, pr=number)["promoted"]
        # No gate ran for it, neither on the base nor on the head.
        assert {spec.role.value for spec in house.containers.started} == {"agent"}


# --- people --------------------------------------------------------------------------------------------------


def test_a_remark_at_a_line_becomes_a_round_and_is_answered_in_its_thread(state: Path, world: World) -> None:
    seen: list[str] = []
    words = "I renamed it. REMARK 1: fixed, said plainly REMARK 2: not done, because the total is right"
    with world.daemon(two_agents(state, seen, BETTER, words)) as foreman:
        first = opened(foreman, world)
        number = first["pull"]["number"]
        with_line = world.line(number, "total.py", 1, "Say it plainly, please.")
        again = foreman.until(first["run_id"], lambda told: in_ci(told) and told["head_sha"] != first["head_sha"])
        assert "Say it plainly, please." in seen[0]
        assert [tried["tier"] for tried in again["tiers_tried"]] == ["small", "small"]
        assert again["review_rounds"] == 1
        once(lambda: any(one.ours for one in world.said(number)))
        answers = [one for one in world.said(number) if one.ours]
        assert [one.answers for one in answers] == [with_line]
        assert f"Fixed in {again['head_sha'][:12]}: said plainly." in answers[0].body
        assert len(seen) == 1


def test_what_was_not_done_is_answered_with_why(state: Path, world: World) -> None:
    seen: list[str] = []
    words = "REMARK 1: not done, because the total is right"
    with world.daemon(two_agents(state, seen, None, words)) as foreman:
        first = opened(foreman, world)
        number = first["pull"]["number"]
        world.review(number, Stance.CHANGES_REQUESTED, "The total should be three.")
        once(lambda: any(one.ours for one in world.said(number)))
        answer = next(one for one in world.said(number) if one.ours)
        assert "Not done, because the total is right." in answer.body
        told = foreman.call("status", run_id=first["run_id"])
        assert told["head_sha"] == first["head_sha"]


def test_an_approval_without_a_word_starts_nothing(state: Path, world: World) -> None:
    seen: list[str] = []
    with world.daemon(two_agents(state, seen)) as foreman:
        world.require("build")
        told = opened(foreman, world)
        world.review(told["pull"]["number"], Stance.APPROVED, "")
        world.report(told["head_sha"], "build", GREEN)
        told = foreman.until(told["run_id"], under_review)
        assert (seen, told["review_rounds"]) == ([], 0)


def test_a_closed_pull_request_ends_the_run_and_frees_the_issue(state: Path, world: World) -> None:
    seen: list[str] = []
    with world.daemon(two_agents(state, seen)) as foreman:
        told = opened(foreman, world)
        world.close(told["pull"]["number"])
        told = foreman.until(told["run_id"], lambda told: told["phase"] == "cancelled")
        assert "closed on the forge" in told["reason"]
        assert foreman.work(repo=world.repo) != told["run_id"]


def test_what_somebody_else_pushed_is_left_to_them_and_never_merged_unjudged(
    state: Path, world: World, tmp_path: Path
) -> None:
    seen: list[str] = []
    house = two_agents(state, seen)
    clock = Ahead()
    house.clock, house.up = clock, clock.up
    with world.daemon(house) as foreman:
        world.require("build")
        told = opened(foreman, world)
        theirs = pushed_by_hand(world, tmp_path, next(iter(branches(world.bare))), "total = 1 or evil()\n")
        clock.ahead_s = 120.0
        world.report(theirs, "build", GREEN)
        told = foreman.until(told["run_id"], under_review)
        assert "Somebody pushed" in told["reason"]
        assert not foreman.call("promote", repo=world.repo, pr=told["pull"]["number"])["promoted"]
        assert seen == []


def test_a_restart_goes_on_following_and_answers_once(state: Path, world: World) -> None:
    seen: list[str] = []
    house = two_agents(state, seen, BETTER, "REMARK 1: fixed, done")
    with world.daemon(house) as foreman:
        first = opened(foreman, world)
        number = first["pull"]["number"]
        world.comment(number, "Say it plainly.")
        foreman.until(first["run_id"], lambda told: told["review_rounds"] == 1)
    with world.daemon(house) as foreman:
        foreman.until(first["run_id"], lambda told: in_ci(told) and told["head_sha"] != first["head_sha"])
        once(lambda: any(one.ours for one in world.said(number)))
    with world.daemon(house) as foreman:
        foreman.call("status", run_id=first["run_id"])
        assert sum(one.ours for one in world.said(number)) == 1
        assert len(seen) == 1


def test_changes_may_be_asked_for_while_checks_run(state: Path, world: World) -> None:
    seen: list[str] = []
    with world.daemon(two_agents(state, seen)) as foreman:
        first = opened(foreman, world)
        foreman.call("request_changes", run_id=first["run_id"], notes="Better, please.")
        foreman.until(first["run_id"], lambda told: in_ci(told) and told["head_sha"] != first["head_sha"])
        assert "Better, please." in seen[0]
        with pytest.raises(CallRefused, match="No run is called"):
            foreman.call("request_changes", run_id="nobody", notes="x")


def test_a_remark_whose_round_a_crash_kept_from_beginning_is_taken_up_again(state: Path, world: World) -> None:
    seen: list[str] = []
    house = two_agents(state, seen)
    house.changes = {"watch_s": 3600.0}
    with world.daemon(house) as foreman:
        world.require("build")
        told = opened(foreman, world)
        remark = world.comment(told["pull"]["number"], "Say it better.")
        # What a crash leaves between the remark's being taken up and its round's being on record.
        foreman.daemon.service._records.take_up(told["run_id"], 2, ((remark, 4_102_444_800.0),))
    house.changes = {}
    with world.daemon(house) as foreman:
        again = foreman.until(told["run_id"], lambda now: in_ci(now) and now["head_sha"] != told["head_sha"])
        assert again["review_rounds"] == 1
    assert ["Say it better." in prompt for prompt in seen] == [True]
