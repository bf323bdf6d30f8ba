"""`make chaos`: the daemon killed at every point that there is, and at random; what came of it, and what was left."""

from __future__ import annotations

import argparse
import logging
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tests.attack.podman_ground import why_not
from tests.chaos.choosing import Attempt, Place, again, at_every_point, at_random
from tests.chaos.driving import Ended, run, templates_in
from tests.chaos.ground import FORGES, Templates, scratch
from tests.chaos.nursery import Nursery, nursery
from tests.chaos.podman_ground import FILES, PODMAN, SEALED
from tests.chaos.scenarios import BY_NAME, SCENARIOS
from tests.chaos.seen import Seen
from tests.chaos.tally import Tally
from tests.story.house import repository

_TRIES = 2
_ASKED_OF_PODMAN = "http "
_SCENARIOS = BY_NAME | {SEALED.name: SEALED}


@dataclass(kw_only=True)
class Harness:
    """Runs attempts, several at once."""

    nursery: Nursery
    templates: Templates
    width: int
    ends: float
    without: tuple[str, ...] = ()

    def undisturbed(self, places: Sequence[Place]) -> dict[Place, Ended]:
        """Each scenario on each forge, without a kill."""

        def one(place: Place) -> Ended:
            return run(self.nursery, self.templates, _SCENARIOS[place[0]], place[1])

        with ThreadPoolExecutor(self.width) as pool:
            return dict(zip(places, pool.map(one, places), strict=True))

    def disturbed(self, attempts: Sequence[Attempt], expected: dict[Place, Seen]) -> Iterator[tuple[Attempt, Ended]]:
        """Each as it ends."""

        def one(attempt: Attempt) -> tuple[Attempt, Ended] | None:
            if time.monotonic() > self.ends:
                return None
            place = (attempt.scenario, attempt.forge)
            return attempt, run(
                self.nursery,
                self.templates,
                _SCENARIOS[attempt.scenario],
                attempt.forge,
                arms=attempt.arms,
                expected=expected[place],
                without=self.without,
            )

        with ThreadPoolExecutor(self.width) as pool:
            for told in pool.map(one, attempts):
                if told is not None:
                    yield told


def main() -> int:
    """0 where nothing was lost, doubled or left."""
    asked = _asked()
    logging.getLogger().addHandler(logging.NullHandler())
    places = [
        (one.name, forge)
        for one in SCENARIOS
        for forge in FORGES
        if asked.scenario in one.name and asked.forge in forge and forge in one.forges
    ]
    with scratch() as home, nursery() as made, templates_in(Path(home), made) as ready:
        for forge in FORGES:
            ready.state(forge)
        harness = Harness(
            nursery=made,
            templates=ready,
            width=asked.width,
            ends=time.monotonic() + asked.minutes * 60,
            without=tuple(asked.without.split()),
        )
        return _all(harness, places, asked)


def _all(harness: Harness, places: list[Place], asked: argparse.Namespace) -> int:
    calm = harness.undisturbed(places)
    expected: dict[Place, Seen] = {}
    passed: dict[Place, Counter[str]] = {}
    for place, ended in calm.items():
        if ended.seen is None or ended.difference.lost:
            _say(f"undisturbed, {' on '.join(place)} came to nothing: {ended.difference.lost}\n{ended.log}")
            return 2
        _say(f"undisturbed  {' on '.join(place):<20} points={len(ended.passed):<4} {ended.seconds:.1f} s")
        expected[place], passed[place] = ended.seen, ended.passed
    tally = Tally()
    attempts = at_every_point(passed, times=asked.times, seed=asked.seed, fraction=asked.fraction, only=asked.only)
    attempts += at_random(passed, runs=asked.runs, seed=asked.seed)
    # Mixed, so that what was done by the time that it is stopped is a sample of the whole.
    random.Random(asked.seed).shuffle(attempts)  # noqa: S311 - an order that can be had again, no secret
    for number in range(_TRIES + 1):
        missed = []
        for attempt, ended in harness.disturbed(attempts, expected):
            _tell(asked, ended)
            tally.add(attempt, ended)
            if attempt.point and not ended.killed:
                missed.append(attempt)
        attempts = [again(one, passed, asked.seed + number) for one in missed]
    if asked.podman_runs:
        lacking = why_not()
        if lacking is not None:
            _say(f"nothing was run on real podman: {lacking}")
            return 2
        _on_podman(harness, asked, tally)
    for line in tally.lines():
        _say(line)
    return 0 if tally.clean else 1


def _on_podman(harness: Harness, asked: argparse.Namespace, tally: Tally) -> None:
    """Kills of a daemon with real sandboxes: inside what it asks of podman, and at random.

    One run at a time, for containers are the host's.
    """
    place = (SEALED.name, PODMAN)
    harness.templates.sources[PODMAN] = repository(harness.templates.home / "sealed", FILES)
    alone = replace(harness, width=1)
    calm = alone.undisturbed([place])[place]
    if calm.seen is None or calm.difference.lost:
        _say(f"undisturbed, real podman came to nothing: {calm.difference.lost}\n{calm.log}")
        tally.lost += 1
        return
    _say(f"undisturbed  on real podman       points={len(calm.passed):<4} {calm.seconds:.1f} s")
    passed = {place: calm.passed}
    chosen = at_every_point(passed, times=asked.podman_times, seed=asked.seed, only=_ASKED_OF_PODMAN)
    chosen += at_random(passed, runs=asked.podman_runs, seed=asked.seed)
    for attempt, ended in alone.disturbed(chosen, {place: calm.seen}):
        _tell(asked, ended)
        tally.add(attempt, ended)


def _tell(asked: argparse.Namespace, ended: Ended) -> None:
    """What went wrong, at once and in full; the rest only where it is asked for."""
    bad = not ended.difference.none
    if bad or asked.verbose:
        at = ", ".join(f"{one.point}#{one.hit}" for one in ended.armed)
        where = f"{ended.scenario} on {ended.forge}"
        _say(f"{ended.word:<11} {where} {ended.seconds:.1f} s, armed {at}; killed {', '.join(ended.killed)}")
    if bad:
        for kind in ("lost", "duplicates", "residue"):
            for line in getattr(ended.difference, kind):
                _say(f"    {kind}: {line}")
        if asked.logs:
            _say(ended.log)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--only", default="", help="points whose names have this in them")
    parser.add_argument("--scenario", default="", help="scenarios whose names have this in them")
    parser.add_argument("--forge", default="", choices=("", *FORGES))
    parser.add_argument("--seed", type=int, default=1, help="which hits, which part, which random kills")
    parser.add_argument("--fraction", type=float, default=1.0, help="how much of the points")
    parser.add_argument("--times", type=int, default=3, help="kills at each point")
    parser.add_argument("--runs", type=int, default=300, help="runs with random kills")
    parser.add_argument("--podman-runs", type=int, default=30, help="how many of them on real podman")
    parser.add_argument(
        "--podman-times", type=int, default=3, help="kills at each request that changes something there"
    )
    parser.add_argument("--width", type=int, default=2, help="how many runs at once")
    parser.add_argument("--minutes", type=float, default=600.0, help="after so long no further run begins")
    parser.add_argument("--without", default="", help="defences to take out, to see that it is noticed")
    parser.add_argument("--verbose", action="store_true", help="a line for each run")
    parser.add_argument("--logs", action="store_true", help="the daemon's log of what went wrong")
    return parser.parse_args()


_SAYING = threading.Lock()


def _say(text: str) -> None:
    with _SAYING:
        print(text, flush=True)  # noqa: T201 - a command line's output


if __name__ == "__main__":
    sys.exit(main())
