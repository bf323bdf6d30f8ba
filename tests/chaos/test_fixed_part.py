"""A fixed part of `make chaos`, and the proof that it would notice: a defence that is taken out is seen."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.choosing import Place, at_every_point, at_random
from tests.chaos.conftest import Chaos
from tests.chaos.driving import Ended, run
from tests.chaos.points import Arm
from tests.chaos.scenarios import BY_NAME
from tests.chaos.seen import Seen

pytestmark = pytest.mark.slow

FIXED = (
    ("climb", "local", Arm(point="fact agent_ended recorded", hit=1)),
    ("climb", "github", Arm(point="forge.open_pull: http POST acme/widgets/pulls after", hit=1)),
    ("climb", "local", Arm(point="local forge: a push after", hit=1)),
    ("remark", "local", Arm(point="records.answered: commit of update remarks after", hit=1)),
    ("climb", "local", Arm(point="slots.take: commit of insert into slots after", hit=1)),
    ("quota", "local", Arm(point="waits._over before", hit=1)),
    ("climb", "local", Arm(point="records.release before", hit=1)),
    ("climb", "local", Arm(point="forge.merge: git update-ref before", hit=3)),
    ("lost", "local", Arm(point="restarting.again > records.change: commit of update runs after", hit=1)),
    ("hidden", "github", Arm(point="unasked._ask > records.change: commit of update runs after", hit=1)),
)


class Calm:
    """Undisturbed runs, each when it is first asked for."""

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos
        self._ended: dict[Place, Ended] = {}

    def run(self, place: Place) -> Ended:
        if place not in self._ended:
            self._ended[place] = run(self._chaos.nursery, self._chaos.templates, BY_NAME[place[0]], place[1])
        return self._ended[place]

    def seen(self, place: Place) -> Seen:
        ended = self.run(place)
        assert ended.seen is not None, (ended.difference, ended.log)
        return ended.seen


@pytest.fixture(scope="module")
def calm(chaos: Chaos) -> Calm:
    return Calm(chaos)


@pytest.mark.parametrize(("scenario", "forge", "arm"), FIXED, ids=[arm.point for _, _, arm in FIXED])
def test_a_daemon_that_was_killed_comes_to_the_same_end(
    chaos: Chaos, calm: Calm, scenario: str, forge: str, arm: Arm
) -> None:
    ended = run(
        chaos.nursery,
        chaos.templates,
        BY_NAME[scenario],
        forge,
        arms=[arm],
        expected=calm.seen((scenario, forge)),
    )
    assert ended.killed == (arm.point,)
    assert ended.difference.none, (ended.difference, ended.log)


def test_an_agent_that_is_not_adopted_is_noticed(chaos: Chaos, calm: Calm) -> None:
    ended = run(
        chaos.nursery,
        chaos.templates,
        BY_NAME["climb"],
        "local",
        arms=[Arm(point="files.write_whole launched after", hit=1)],
        expected=calm.seen(("climb", "local")),
        without=("adoption",),
    )
    assert ended.killed
    assert "ash-agent-RUN-1 started: 2 instead of 1" in ended.difference.duplicates, ended.difference


def test_the_points_are_found_and_chosen_alike_for_one_seed(calm: Calm) -> None:
    passed = {place: calm.run(place).passed for place in (("climb", "local"), ("climb", "github"))}
    points = {point for counts in passed.values() for point in counts}
    assert len(points) > 250
    for deed in ("containers.start", "checkouts.push", "forge.open_pull", "forge.merge", "slots.take", "rounds.begin"):
        assert {f"{deed} before", f"{deed} after"} <= points
    chosen = at_every_point(passed, times=3, seed=1)
    assert chosen == at_every_point(passed, times=3, seed=1)
    assert Counter(one.point for one in chosen) == Counter(dict.fromkeys(points, 3))
    assert at_random(passed, runs=9, seed=1) != at_random(passed, runs=9, seed=2)
