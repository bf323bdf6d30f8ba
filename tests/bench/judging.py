"""What judging itself costs: a set-up that is there already, a verdict that was given before, gates side by side."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gates.verdict import Passed
from mcp_ashigaru.judging_here import JudgeHere, TreeJudged, judge_here
from mcp_ashigaru.settings import load_settings
from tests.bench.house import BenchFailed

_GATE: Final = '[[gate]]\nname = "{name}"\nrun = "{run}"\n'
_SET_UP: Final = '[setup]\nrun = ["touch /ashigaru/env/there"]\nmanifests = ["needs.txt"]\n'
_SLEEP_S: Final = 2


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Seconds, medians. plain_s: a change, with no set-up. warm_s: with one that was made for its base before.

    hit_s: a change that was judged before. one_s, both_s: two gates of two seconds, one after the other and together.
    """

    plain_s: float
    warm_s: float
    hit_s: float
    one_s: float
    both_s: float


def measure(podman_url: str, gate_image: str, relay_image: str, scratch: Path, rounds: int) -> Figures:
    """Each kind `rounds` times, taken in turns. Raises BenchFailed where a change that is good is not found good."""
    images = {"podman_url": podman_url, "gate_image": gate_image, "relay_image": relay_image}
    one = _GATE.format(name="check", run="test -s part.txt")
    two = "".join(_GATE.format(name=name, run=f"sleep {_SLEEP_S}") for name in ("a", "b"))
    plain, set_up, slow = (
        _repository(scratch / name, {".ashigaru.toml": text, "needs.txt": "none\n"}, rounds + 1)
        for name, text in (("plain", one), ("set-up", _SET_UP + one), ("slow", two))
    )
    took: dict[str, list[float]] = {name: [] for name in ("plain", "warm", "hit", "one", "both")}
    with _judge(images, 2) as judge:
        for place in (plain, set_up):
            _head(judge, place, 0)  # judges the base, and makes the set-up's layer
        for number in range(1, rounds + 1):
            took["plain"].append(_head(judge, plain, number).seconds)
            took["warm"].append(_head(judge, set_up, number).seconds)
            took["hit"].append(_head(judge, plain, number).seconds)
    few = min(rounds, 5)
    for name, side_by_side in (("one", 1), ("both", 2)):
        with _judge(images, side_by_side) as judge:
            took[name] = [_head(judge, slow, number).seconds for number in range(few)]
    medians = {f"{name}_s": statistics.median(of) for name, of in took.items()}
    return Figures(**medians)


@contextmanager
def _judge(images: Mapping[str, str], side_by_side: int) -> Iterator[JudgeHere]:
    state = Path("/tmp/unused")  # noqa: S108 - short, and never made: the judge here makes a directory of its own
    with judge_here(load_settings(state_dir=state, gates_side_by_side=side_by_side, **images)) as judge:
        yield judge


def _head(judge: JudgeHere, repository: Path, number: int) -> TreeJudged:
    judged = judge(repository, "main", f"change-{number}")
    if judged.head is None or not isinstance(judged.verdict, Passed):
        raise BenchFailed(f"a change that is good was found to be otherwise: {judged.verdict}")
    return judged.head


def _repository(place: Path, files: Mapping[str, str], changes: int) -> Path:
    """main, and branches change-0, change-1, … that differ in one line each."""

    def git(*arguments: str) -> None:
        told = ["git", "-C", str(place), "-c", "user.name=Bench", "-c", "user.email=bench@localhost", *arguments]
        subprocess.run(told, check=True, stdout=subprocess.DEVNULL)

    place.mkdir()
    git("init", "--quiet", "--initial-branch=main")
    for number in range(-1, changes):
        if number >= 0:
            git("checkout", "--quiet", "-b", f"change-{number}", "main")
        for path, text in {**files, "part.txt": f"{number}\n"}.items():
            (place / path).write_text(text, encoding="utf-8")
        git("add", "--all")
        git("commit", "--quiet", "--message", f"Change {number}")
    git("checkout", "--quiet", "main")
    return place
