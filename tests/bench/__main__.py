"""`make bench`: what the daemon costs beside a plain shell script, how soon an agent is at work, how fast status is."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runner.adapters.podman_containers import PodmanContainers
from runner.adapters.podman_home import prepare_podman
from runner.adapters.podman_service import PodmanService
from runner.images.build import ensure_images
from runner.sandbox import LABEL_HOST
from tests.bench import dispatch, judging, live, status_load
from tests.bench.house import BenchFailed, House
from tests.bench.images import scripted_agent
from tests.bench.pairs import Course
from tests.bench.repositories import LARGE, TINY, make, packed_bytes
from tests.bench.table import pairs_told, say

_SHAPES: Final = {"tiny": TINY, "50mb": LARGE}
_PARTS: Final = "warm,cold,dispatch,status,judging,live"


@dataclass(kw_only=True)
class Bench:
    """One call of `make bench`: what was asked, what it runs on, and the figures so far."""

    pairs: int
    podman: tuple[str, ...]
    podman_url: str
    scripted: str
    agent: str
    relay: str
    gate: str
    scratch: Path
    share: float = 1.0
    """How much of the many runs."""
    figures: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def house(self, name: str, shape: str, *, scripted: bool = True, **extra: str) -> Iterator[House]:
        """A daemon whose forge holds the repository, up until the block ends."""
        house = House(
            state=self.scratch / name,
            podman_url=self.podman_url,
            agent_image=self.scripted if scripted else self.agent,
            relay_image=self.relay,
            gate_image=self.gate,
            extra=dict(extra),
        )
        house.state.mkdir()
        house.forge.add(str(self.scratch / f"{shape}.git"), shape)
        try:
            house.start()
            yield house
        finally:
            house.stop()
            containers = PodmanContainers(self.podman_url)
            for found in containers.listing():
                if dict(found.labels).get(LABEL_HOST) == house.host_id:
                    containers.remove(found.name)
            shutil.rmtree(house.state, ignore_errors=True)

    def ratio(self, shape: str, *, cold: bool) -> None:
        """Pairs on that repository: warm, on one daemon; or cold, each on a daemon that never saw the repository."""
        with self.house("c" if cold else "w", shape) as house:
            course = Course(house=house, podman=self.podman, scratch=self.scratch)
            for _ in range(2):  # judges the base, and has the images' layers in the page cache
                course.by_daemon(shape)
                course.by_script(shape)
            measured = course.measure(shape, self.pairs, before=house.anew if cold else lambda: None)
        state = "cold" if cold else "warm"
        pairs_told(f"{shape}, {state}", measured)
        self.figures[f"overhead_ratio_{shape}" + ("_cold" if cold else "")] = f"{measured.ratio:.2f}"

    def dispatch(self) -> None:
        """The real agent, at a model that is scripted."""
        with dispatch.scripted_model() as model:
            given = {
                "ASHIGARU_MODEL_UPSTREAM": "anthropic",
                "ASHIGARU_MODEL_URL": model.url,
                "ANTHROPIC_API_KEY": "none",
                "NO_PROXY": "127.0.0.1",
            }
            with self.house("d", "tiny", scripted=False, **given) as house:
                took = dispatch.dispatches(house, model, "tiny", self.pairs)
        shown = " ".join(f"{one:.2f}" for one in sorted(took))
        say(f"\nwork_ticket to the agent's first request, s, {len(took)} tickets, warm: {shown}")
        self.figures["dispatch_s"] = f"{dispatch.median(took):.2f}"

    def status(self) -> None:
        """One client, on an idle daemon, and on one that is full to the brim."""
        with self.house("q", "tiny", ASHIGARU_SLOTS="1") as house:
            _, _, seen = house.work("tiny", 1, "Write the file.")
            run_id = seen["run_id"]
            idle = status_load.p99_ms(house, run_id)
            house.stop()
            status_load.behind_it(house, run_id)
            house.start()
            status_load.queue_up(house, "tiny")
            full = status_load.p99_ms(house, run_id)
        say(
            f"\nstatus, p99 of 1,000 calls of one client: {idle:.1f} ms; with {status_load.QUEUED} tickets queued and "
            f"{status_load.FINISHED} finished runs: {full:.1f} ms"
        )
        self.figures["status_p99_ms"] = f"{idle:.1f}"
        self.figures["status_p99_full_ms"] = f"{full:.1f}"

    def judging(self) -> None:
        """The judge alone, on repositories of this host."""
        told = judging.measure(self.podman_url, self.gate, self.relay, self.scratch, self.pairs)
        say(
            f"\njudging a change, s, medians of {self.pairs}: {told.plain_s:.2f} with no set-up, "
            f"{told.warm_s:.2f} with one that is there already, {told.hit_s:.3f} where it was judged before;\n"
            f"  two gates of two seconds: {told.one_s:.2f} one after the other, {told.both_s:.2f} side by side"
        )
        self.figures["setup_warm_s"] = f"{max(0.0, told.warm_s - told.plain_s):.2f}"
        self.figures["verdict_hit_s"] = f"{told.hit_s:.3f}"
        self.figures["gates_parallel_ratio"] = f"{told.both_s / told.one_s:.2f}"

    def live(self) -> None:
        """Many runs, whose sandboxes cost nothing."""
        at_once, queued, runs = (max(2, round(self.share * whole)) for whole in (live.LIVE, live.QUEUED, live.RUNS))
        told = live.measure(self.scratch, live=at_once, queued=queued, runs=runs)
        say(
            f"\nstatus, p99 of 1,000 calls of one client: {told.alone_p99_ms:.1f} ms beside one live run, "
            f"{told.live_p99_ms:.1f} beside {at_once},\n"
            f"  {told.queued_p99_ms:.1f} with {queued} queued behind them\n"
            f"a live run takes {told.alone_cpu_pct:.2f} % of a core alone, {told.live_cpu_pct:.2f} % of one "
            f"as one of {at_once}\n"
            f"a whole run takes {told.one_run_cpu_s:.2f} s of processor time alone, {told.run_cpu_s:.2f} "
            f"as one of many;\n"
            f"  after {runs} of them the daemon holds {told.rss_mb:.0f} MB, {told.rss_growth_pct:+.1f} %"
        )
        self.figures[f"live{at_once}_status_p99_ms"] = f"{told.live_p99_ms:.1f}"
        self.figures[f"queued{queued}_status_p99_ms"] = f"{told.queued_p99_ms:.1f}"
        self.figures["live_cpu_pct_per_run"] = f"{told.live_cpu_pct:.2f}"
        self.figures["cpu_per_run_s"] = f"{told.run_cpu_s:.2f}"
        self.figures["rss_growth_pct"] = f"{told.rss_growth_pct:.1f}"


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--podman-dir", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=20, help="how many of each kind (default: %(default)s)")
    parser.add_argument("--only", default=_PARTS, help="parts, by comma (default: %(default)s)")
    parser.add_argument("--share", type=float, default=1.0, help="how much of `live` (default: %(default)s)")
    parser.add_argument("--repositories", default=",".join(_SHAPES), help="by comma (default: %(default)s)")
    return parser.parse_args()


def _measure(asked: argparse.Namespace, bench: Bench) -> None:
    parts, shapes = asked.only.split(","), asked.repositories.split(",")
    for shape in _SHAPES:
        made = make(_SHAPES[shape], bench.scratch / f"{shape}.git")
        say(f"set-up  repository   {shape}: {_SHAPES[shape].files} files, {packed_bytes(made) / 1e6:.2f} MB packed")
    for shape in shapes:
        for cold in (False, True):
            if ("cold" if cold else "warm") in parts:
                bench.ratio(shape, cold=cold)
    if "dispatch" in parts:
        bench.dispatch()
    if "status" in parts:
        bench.status()
    if "judging" in parts:
        bench.judging()
    if "live" in parts:
        bench.live()


def main() -> int:
    """Measure, print the tables, and end with the line that machines read."""
    asked = _parsed()
    podman = prepare_podman(asked.podman_dir).argv
    images = ensure_images(podman, asked.podman_dir, lambda text: say(f"set-up  images       {text}"))
    scratch = Path(tempfile.mkdtemp(prefix="ashb"))
    try:
        with PodmanService(asked.podman_dir) as service:
            ids = PodmanContainers(service.url)
            bench = Bench(
                pairs=asked.pairs,
                podman=podman,
                podman_url=service.url,
                scripted=ids.image_id(scripted_agent(podman, images.agent)),
                agent=ids.image_id(images.agent),
                relay=ids.image_id(images.relay),
                gate=ids.image_id(images.gate),
                scratch=scratch,
                share=asked.share,
            )
            _measure(asked, bench)
    except BenchFailed as fault:
        sys.stderr.write(f"bench: {fault}\n")
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(f"\nload average at the end: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    say("bench: " + " ".join(f"{name}={value}" for name, value in bench.figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
