"""Where to kill: from what undisturbed runs passed, and a seed. Pure: the same seed chooses the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tests.chaos.points import Arm

Place = tuple[str, str]
"""A scenario and a forge, by name."""

MOST_KILLS = 4


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One run that is to be disturbed. point: whose row of the table it belongs to; "" for a random run."""

    scenario: str
    forge: str
    arms: tuple[Arm, ...]
    point: str = ""


def at_every_point(
    passed: Mapping[Place, Counter[str]], *, times: int, seed: int, fraction: float = 1.0, only: str = ""
) -> list[Attempt]:
    """`times` kills for each point (or a seeded fraction of them), in other scenarios and at other hits if it can."""
    chooser = random.Random(f"points {seed}")  # noqa: S311 - a choice that can be made again, no secret
    points = sorted({point for counts in passed.values() for point in counts if only in point})
    if fraction < 1:
        points = sorted(chooser.sample(points, max(1, round(len(points) * fraction))))
    chosen = []
    for point in points:
        places = [place for place in sorted(passed) if passed[place][point]]
        chooser.shuffle(places)
        hits: dict[Place, list[int]] = {}
        for place in places:
            hits[place] = list(range(1, passed[place][point] + 1))
            chooser.shuffle(hits[place])
        for number in range(times):
            scenario, forge = place = places[number % len(places)]
            turn = number // len(places)
            hit = hits[place][turn % len(hits[place])]
            chosen.append(Attempt(scenario=scenario, forge=forge, arms=(Arm(point=point, hit=hit),), point=point))
    chooser.shuffle(chosen)
    return chosen


def again(attempt: Attempt, passed: Mapping[Place, Counter[str]], seed: int) -> Attempt:
    """The same point once more, where its passage did not come about: at its first hit, wherever it is passed most."""
    chooser = random.Random(f"again {seed} {attempt}")  # noqa: S311 - as above
    most = max(counts[attempt.point] for counts in passed.values())
    places = [place for place in sorted(passed) if passed[place][attempt.point] * 2 >= most]
    scenario, forge = chooser.choice(places)
    return Attempt(scenario=scenario, forge=forge, arms=(Arm(point=attempt.point, hit=1),), point=attempt.point)


def at_random(passed: Mapping[Place, Counter[str]], *, runs: int, seed: int) -> list[Attempt]:
    """Runs with one to four kills each, anywhere."""
    places = sorted(passed)
    chosen = []
    for number in range(runs):
        chooser = random.Random(f"run {seed} {number}")  # noqa: S311 - as above
        scenario, forge = place = chooser.choice(places)
        points = sorted(passed[place])
        arms = []
        for _ in range(chooser.randint(1, MOST_KILLS)):
            point = chooser.choice(points)
            arms.append(Arm(point=point, hit=chooser.randint(1, passed[place][point])))
        chosen.append(Attempt(scenario=scenario, forge=forge, arms=tuple(arms)))
    return chosen
