"""A fixed part of `make chaos`, and the proof that it would notice: a defence that is taken out is seen."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.choosing import at_every_point, at_random
from tests.chaos.conftest import Chaos
from tests.chaos.driving import Ended, run
from tests.chaos.points import Arm
from tests.chaos.scenarios import BY_NAME
from tests.chaos.seen import Seen

pytestmark = pytest.mark.slow

PUBLISHED = "forge.open_pull after"
AGENT_WORKS = "containers.start after"
FIXED = (
    ("climb", "local", Arm(point="fact agent_ended recorded", hit=1)),
    ("climb", "github", Arm(point="forge.open_pull: http POST acme/widgets/pulls after", hit=1)),
    ("changes", "local", Arm(point="local forge: a push after", hit=2)),
    ("climb", "local", Arm(point="records.release before", hit=1)),
)


@pytest.fixture(scope="module")
def calm(chaos: Chaos) -> dict[tuple[str, str], Ended]:
    """The undisturbed runs."""
    return {
        place: run(chaos.nursery, chaos.templates, BY_NAME[place[0]], place[1])
        for place in sorted({(scenario, forge) for scenario, forge, _ in FIXED})
    }


def expected(calm: dict[tuple[str, str], Ended], place: tuple[str, str]) -> Seen:
    seen = calm[place].seen
    assert seen is not None, calm[place].difference
    return seen


@pytest.mark.parametrize(("scenario", "forge", "arm"), FIXED, ids=[arm.point for _, _, arm in FIXED])
def test_a_daemon_that_was_killed_comes_to_the_same_end(
    chaos: Chaos, calm: dict[tuple[str, str], Ended], scenario: str, forge: str, arm: Arm
) -> None:
    ended = run(
        chaos.nursery,
        chaos.templates,
        BY_NAME[scenario],
        forge,
        arms=[arm],
        expected=expected(calm, (scenario, forge)),
    )
    assert ended.killed == (arm.point,)
    assert ended.difference.none, (ended.difference, ended.log)


def test_an_agent_that_is_not_adopted_is_noticed(chaos: Chaos, calm: dict[tuple[str, str], Ended]) -> None:
    ended = run(
        chaos.nursery,
        chaos.templates,
        BY_NAME["climb"],
        "local",
        arms=[Arm(point="step run_agent after", hit=1)],
        expected=expected(calm, ("climb", "local")),
        without=("adoption",),
    )
    assert ended.killed
    assert any("ash-agent-RUN-1 started: 2 instead of 1" in one for one in ended.difference.duplicates)


def test_a_pull_request_that_is_not_looked_up_is_noticed(chaos: Chaos, calm: dict[tuple[str, str], Ended]) -> None:
    ended = run(
        chaos.nursery,
        chaos.templates,
        BY_NAME["climb"],
        "github",
        arms=[Arm(point=PUBLISHED, hit=1)],
        expected=expected(calm, ("climb", "github")),
        without=("pull-look-up",),
    )
    assert ended.killed == (PUBLISHED,)
    assert not ended.difference.none


def test_the_points_are_found_and_chosen_alike_for_one_seed(calm: dict[tuple[str, str], Ended]) -> None:
    passed = {place: ended.passed for place, ended in calm.items()}
    points = {point for counts in passed.values() for point in counts}
    assert len(points) > 250
    for deed in ("containers.start", "checkouts.push", "forge.open_pull", "forge.merge", "rounds.submit"):
        assert {f"{deed} before", f"{deed} after"} <= points
    chosen = at_every_point(passed, times=3, seed=1)
    assert chosen == at_every_point(passed, times=3, seed=1)
    assert Counter(one.point for one in chosen) == Counter(dict.fromkeys(points, 3))
    assert at_random(passed, runs=9, seed=1) != at_random(passed, runs=9, seed=2)
