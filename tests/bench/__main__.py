"""`make bench`: what the daemon costs beside a plain shell script, how soon an agent is at work, how fast status is."""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

from runner.adapters.podman_containers import PodmanContainers
from runner.adapters.podman_service import PodmanService, prepare_podman
from runner.images.build import ensure_images
from tests.bench.house import House
from tests.bench.images import scripted_agent
from tests.bench.pairs import Course, Pairs, Timed, median
from tests.bench.repositories import LARGE, TINY, make, packed_bytes

_NAMES: Final = {"tiny": TINY, "large": LARGE}


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command line's output


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--podman-dir", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=20, help="how many warm and how many cold pairs, on each")
    parser.add_argument("--only", default="warm,cold,dispatch,status", help="parts, by comma")
    parser.add_argument("--repositories", default="tiny,large", help="by comma")
    return parser.parse_args()


def _split(of: list[Timed]) -> str:
    names = dict.fromkeys(name for one in of for name in one.split)
    shares = {name: statistics.median(one.split.get(name, 0.0) for one in of) for name in names}
    return "  ".join(f"{name} {share * 1000:.0f}" for name, share in shares.items())


def _tell(what: str, pairs: Pairs) -> None:
    _say(f"\n{what}: overhead, median ms of {len(pairs.daemon)} pairs; ratio {pairs.ratio:.2f}")
    for who, of in (("daemon", pairs.daemon), ("script", pairs.plain)):
        inside = statistics.median(one.agent_s for one in of) * 1000
        _say(f"  {who}  {median(of) * 1000:5.0f}  (agent inside {inside:.0f})  {_split(of)}")
    told = [one.told_s for one in pairs.daemon if one.told_s is not None]
    _say(f"  the waiting client knew of the pull request after {statistics.median(told) * 1000:.0f}")


def main() -> int:
    """Measure, print the tables, and end with the line that machines read."""
    asked = _parsed()
    parts = set(asked.only.split(","))
    podman = prepare_podman(asked.podman_dir).argv
    images = ensure_images(podman, asked.podman_dir, lambda text: _say(f"set-up  images       {text}"))
    scratch = Path(tempfile.mkdtemp(prefix="ashb"))
    figures: dict[str, str] = {}
    with PodmanService(asked.podman_dir) as service:
        ids = PodmanContainers(service.url)
        house = House(
            state=scratch / "s",
            podman_url=service.url,
            agent_image=ids.image_id(scripted_agent(podman, images.agent)),
            relay_image=ids.image_id(images.relay),
            gate_image=ids.image_id(images.gate),
        )
        try:
            house.state.mkdir()
            for name in asked.repositories.split(","):
                source = make(_NAMES[name], scratch / f"{name}.git")
                house.forge.add(str(source), name)
                _say(f"set-up  repository   {name}: {_NAMES[name].files} files, {packed_bytes(source) / 1e6:.2f} MB")
            house.start()
            course = Course(house=house, podman=podman, scratch=scratch)
            for name in asked.repositories.split(","):
                course.by_daemon(name)  # the first judges the base, and copies the images' layers for this user
                course.by_script(name)
                if "warm" in parts:
                    warm = course.measure(name, asked.pairs)
                    _tell(f"{name}, warm", warm)
                    figures[f"overhead_ratio_{'50mb' if name == 'large' else name}"] = f"{warm.ratio:.2f}"
        finally:
            house.stop()
            shutil.rmtree(scratch, ignore_errors=True)
    _say("bench: " + " ".join(f"{name}={value}" for name, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
