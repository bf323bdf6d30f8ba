"""What many runs cost the daemon: 100 live at once, 5,000 queued behind them, and 1,000 eight at a time.

The sandboxes are fakes in the daemon's own process (`tests.bench.live_daemon`), so their threads count against it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mcp_ashigaru.client import connect
from tests.bench import status_load
from tests.bench.house import RESTING, BenchFailed, House
from tests.story.house import repository
from tests.story.scenes import FILES

LIVE: Final = 100
QUEUED: Final = 5_000
RUNS: Final = 1_000
_WARM: Final = 400
_REPOS: Final = 10
_AT_ONCE: Final = 8
_LOOK_S: Final = 20.0
_JOB_S: Final = 3_600.0


@dataclass(kw_only=True)
class LiveHouse(House):
    """The daemon with fake sandboxes."""

    slots: int = 5

    def start(self) -> None:
        """The daemon answers."""
        self.launch(
            (sys.executable, "-P", "-m", "tests.bench.live_daemon", str(self.state), str(self.port), str(self.slots))
        )


@dataclass(frozen=True, kw_only=True)
class Told:
    """The figures. Milliseconds; per cent of one core; seconds of processor time; per cent of resident memory."""

    alone_p99_ms: float
    live_p99_ms: float
    queued_p99_ms: float
    alone_cpu_pct: float
    live_cpu_pct: float
    one_run_cpu_s: float
    run_cpu_s: float
    rss_growth_pct: float
    rss_mb: float


def measure(scratch: Path, *, live: int = LIVE, queued: int = QUEUED, runs: int = RUNS) -> Told:
    """Measure it all; some twelve minutes."""
    with _house(scratch / "l", slots=live) as house:
        (house.state / "hold").touch()
        first = asyncio.run(_dispatch(house, range(1)))[0]
        _until_phase(house, "agent", 1)
        alone_cpu = _cpu_pct(house)
        alone = status_load.p99_ms(house, first)
        asyncio.run(_dispatch(house, range(1, live)))
        _until_phase(house, "agent", live)
        live_cpu = _cpu_pct(house)
        at_live = status_load.p99_ms(house, first)
        asyncio.run(_dispatch(house, range(live, live + queued)))
        at_queued = status_load.p99_ms(house, first)
        house.kill()
    with _house(scratch / "m", slots=5) as house:
        one_run = _run_all(house, 0, 20, at_once=1) / 20
        # What a daemon fills once (caches, pools, its tables in memory) is filled before growth is measured.
        warm = min(_WARM, runs)
        _run_all(house, 20, warm, at_once=_AT_ONCE)
        before = _rss_mb(house)
        each = _run_all(house, 20 + warm, runs, at_once=_AT_ONCE) / runs
        after = _rss_mb(house)
    return Told(
        alone_p99_ms=alone,
        live_p99_ms=at_live,
        queued_p99_ms=at_queued,
        alone_cpu_pct=alone_cpu,
        live_cpu_pct=live_cpu / live,
        one_run_cpu_s=one_run,
        run_cpu_s=each,
        rss_growth_pct=100 * (after - before) / before,
        rss_mb=after,
    )


@contextmanager
def _house(state: Path, *, slots: int) -> Iterator[LiveHouse]:
    house = LiveHouse(state=state, podman_url="", agent_image="", relay_image="", gate_image="", slots=slots)
    state.mkdir()
    source = repository(state.with_suffix(".src"), FILES)
    for number in range(_REPOS):
        house.forge.add(str(source), f"r{number}")
    try:
        house.start()
        yield house
    finally:
        house.stop()
        shutil.rmtree(state, ignore_errors=True)


async def _dispatch(house: House, numbers: range) -> list[str]:
    async def some(mine: list[int]) -> list[str]:
        async with connect(house.url, None) as caller:
            return [(await caller.call("work_ticket", **_ticket(number)))["run_id"] for number in mine]

    shares = [list(numbers)[start::_AT_ONCE] for start in range(_AT_ONCE)]
    told = await asyncio.wait_for(asyncio.gather(*(some(share) for share in shares if share)), _JOB_S)
    return [run_id for one in told for run_id in one]


def _ticket(number: int) -> dict[str, Any]:
    return {"repo": f"r{number % _REPOS}", "issue": 1 + number, "brief": "Totals are off by one."}


def _run_all(house: House, begin: int, count: int, *, at_once: int) -> float:
    """So many runs to their pull requests; the processor time that the daemon took for them, in seconds."""

    async def some(mine: list[int]) -> None:
        async with connect(house.url, None) as caller:
            for number in mine:
                run_id = (await caller.call("work_ticket", **_ticket(number)))["run_id"]
                seen: dict[str, Any] = {"phase": "queued", "cursor": 0}
                while seen["phase"] not in RESTING:
                    seen = await caller.call("status", run_id=run_id, since=seen["cursor"], wait_s=20)
                if seen["phase"] != "awaiting_review":
                    raise BenchFailed(f"a run ended as {seen}\n{house.log()}")

    async def all_of_them() -> None:
        numbers = list(range(begin, begin + count))
        await asyncio.gather(*(some(numbers[start::at_once]) for start in range(at_once)))

    before = _cpu_s(house)
    asyncio.run(asyncio.wait_for(all_of_them(), _JOB_S))
    return _cpu_s(house) - before


def _until_phase(house: House, phase: str, count: int) -> None:
    async def look() -> int:
        async with connect(house.url, None) as caller:
            told = await caller.call("list_runs", phase=phase, limit=100)
            return len(told["runs"])

    latest = time.monotonic() + 300
    while asyncio.run(look()) < count:
        if time.monotonic() > latest:
            raise BenchFailed(f"{count} runs are not at once in phase {phase}\n{house.log()}")
        time.sleep(0.5)


def _cpu_pct(house: House) -> float:
    """What the daemon takes of one core while nobody asks it anything."""
    before, begun = _cpu_s(house), time.monotonic()
    time.sleep(_LOOK_S)
    return 100 * (_cpu_s(house) - before) / (time.monotonic() - begun)


def _cpu_s(house: House) -> float:
    """The daemon's own processor time and that of its ended children, in seconds; proc(5)."""
    told = _proc(house, "stat").rsplit(")", 1)[1].split()
    return sum(int(told[field]) for field in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


def _rss_mb(house: House) -> float:
    line = next(line for line in _proc(house, "status").splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def _proc(house: House, name: str) -> str:
    process: subprocess.Popen[bytes] | None = house.process
    if process is None:
        raise BenchFailed("the daemon is not up")
    return Path(f"/proc/{process.pid}/{name}").read_text(encoding="utf-8")
