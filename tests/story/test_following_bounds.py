"""What following must never do: act on what has changed meanwhile, believe strangers, or go on without an end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.ports import Forge
from runner.remarks import Remark
from tests.story.scenes import RIGHT, house_of, passes_when, writes
from tests.story.test_following import GREEN, RED, in_ci, once, opened, reads_prompt, two_agents, under_review
from tests.story.worlds import LocalWorld, local_world, tip

pytestmark = pytest.mark.slow


@pytest.fixture
def world(source: Path, tmp_path: Path) -> Iterator[LocalWorld]:
    with local_world(source, tmp_path / "world") as made:
        yield made


def test_a_check_of_a_stranger_that_is_red_on_the_base_excuses_nothing(state: Path, world: LocalWorld) -> None:
    seen: list[str] = []
    with world.daemon(two_agents(state, seen)) as foreman:
        world.require("build")
        base = tip(world, "main")
        assert base is not None
        world.forge.operator.report(world.repo, base, "build", RED, source="stranger", log=b"")
        told = opened(foreman, world)
        world.report(told["head_sha"], "build", RED)
        foreman.until(told["run_id"], lambda now: in_ci(now) and now["head_sha"] != told["head_sha"])
    assert len(seen) == 1


def test_a_flood_of_remarks_is_taken_up_in_bounded_portions_and_all_of_it_is_answered(
    state: Path, world: LocalWorld
) -> None:
    seen: list[str] = []
    house = two_agents(state, seen)
    # Long enough for all of them to be there when the first round begins.
    house.changes = {"review_settle_s": 2.0}
    with world.daemon(house) as foreman:
        world.require("build")
        told = opened(foreman, world)
        for number in range(23):
            world.comment(told["pull"]["number"], f"Number {number}, please.")
        once(lambda: sum(one.ours for one in world.said(told["pull"]["number"])) == 23)
        assert seen[0].count("please.") <= 20
        assert foreman.call("status", run_id=told["run_id"])["review_rounds"] >= 2


def test_rounds_that_change_nothing_end_the_listening(state: Path, world: LocalWorld) -> None:
    seen: list[str] = []
    idle = reads_prompt(seen, None)
    house = house_of(state, {1: writes(RIGHT), 2: idle, 3: idle, 4: idle}, passes_when("total = 1"))
    with world.daemon(house) as foreman:
        world.require("build")
        told = opened(foreman, world)
        number = told["pull"]["number"]
        for text in ("Say it better.", "Say it louder.", "Say it again."):
            world.comment(number, text)
            once(lambda: _answered(world, number) or _stopped(foreman, told["run_id"]))
        status = foreman.until(told["run_id"], lambda now: "changed nothing" in str(now["reason"]))
        assert (status["phase"], status["review_rounds"]) == ("awaiting_review", 2)


def _answered(world: LocalWorld, number: int) -> bool:
    said = world.said(number)
    return sum(one.ours for one in said) == sum(not one.ours for one in said)


def _stopped(foreman: Any, run_id: str) -> bool:
    return "changed nothing" in str(foreman.call("status", run_id=run_id)["reason"])


class Meddling:
    """A forge during whose answer somebody else moves the run on."""

    def __init__(self, forge: Forge, meddle: Any) -> None:
        self._forge = forge
        self._meddle = meddle

    def remarks(self, repo: str, number: int) -> tuple[Remark, ...]:
        self._meddle()
        return self._forge.remarks(repo, number)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._forge, name)


def test_a_look_whose_run_moved_on_meanwhile_does_nothing(state: Path, world: LocalWorld) -> None:
    seen: list[str] = []
    house = two_agents(state, seen)
    house.changes = {"watch_s": 3600.0}
    with world.daemon(house) as foreman:
        world.require("build")
        told = opened(foreman, world)
        # The daemon's own first look is over with what it saw; its next one is an hour away.
        foreman.until(told["run_id"], lambda now: now["checks_as_of"] is not None)
        service = foreman.daemon.service
        world.report(told["head_sha"], "build", GREEN)
        records, run_id = service._records, told["run_id"]
        forge: Any = Meddling(service.follower.forge, lambda: records.change(run_id, {"head_sha": "0" * 40}, 0.0))
        assert replace(service.follower, forge=forge).look(run_id)
        assert foreman.call("status", run_id=run_id)["phase"] == "ci"
        records.change(run_id, {"head_sha": told["head_sha"]}, 0.0)
        assert service.follower.look(run_id)
        assert under_review(foreman.call("status", run_id=run_id))
    assert seen == []
