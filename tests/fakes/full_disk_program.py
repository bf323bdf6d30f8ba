"""A whole daemon in a process of its own, on a disk that lets nothing be written for a while. Run by the stories.

Arguments: the state directory, the source repository, how the disk says no, and the step at whose fact it begins to.
Prints one JSON object: what could be read meanwhile, and what came of the run.
"""

from __future__ import annotations

import errno
import json
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from runner.facts import Fact, Step
from runner.model import RoundInput
from runner.sandboxes import Role
from tests.story.house import Foreman
from tests.story.scenes import RIGHT, branches, house_of, passes_when, started, writes

_TMPFS = 48 * 1024 * 1024
_BLOCK = 64 * 1024


class Disk:
    """The disk at the state directory. how: "limit" (no file of this process may grow) or "tmpfs" (a small one)."""

    def __init__(self, how: str, state: Path) -> None:
        self._how = how
        self._ballast = state / "ballast"
        if how == "tmpfs":
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_TMPFS}", "tmpfs", str(state)], check=True)

    def fill(self) -> None:
        """Nothing can be written from now on."""
        if self._how == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            return
        for size in (_BLOCK, 1):
            with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
                while True:
                    file.write(b"x" * size)

    def free(self) -> None:
        """All is well again."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self._ballast.unlink(missing_ok=True)


@dataclass(kw_only=True)
class FillsAt:
    """A witness that fills the disk just before that step's fact is recorded, once."""

    kind: str
    fill: Callable[[], None]
    done: threading.Event = field(default_factory=threading.Event)

    def __call__(self, _round: RoundInput, step: Step, _fact: Fact) -> None:
        if step.kind == self.kind and not self.done.is_set():
            self.fill()
            self.done.set()


def meanwhile(foreman: Foreman, run_id: str) -> dict[str, Any]:
    """What a person can read while nothing can be written."""

    def stands(told: dict[str, Any]) -> bool:
        return told["standstill"] is not None

    health: list[httpx2.Response] = []
    tick = threading.Event()
    for _ in range(1000):
        health = [httpx2.get(f"{foreman.url}/healthz", timeout=5.0)]
        if health[0].status_code != 200:
            break
        tick.wait(0.01)
    told = foreman.call("status", run_id=run_id)
    return {
        "health": health[0].status_code,
        "why": health[0].json().get("reason"),
        "status": {name: told[name] for name in ("phase", "standstill", "next", "headline")},
        "stands": stands(told),
    }


def main(state: Path, source: Path, how: str, kind: str) -> None:
    disk = Disk(how, state)
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT), disk_floor=0)
    witness = FillsAt(kind=kind, fill=disk.fill)
    house.witness = witness
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        if not witness.done.wait(20):
            raise TimeoutError(errno.errorcode[errno.ETIMEDOUT])
        seen = meanwhile(foreman, run_id)
        disk.free()
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review" and told["standstill"] is None)
        after = httpx2.get(f"{foreman.url}/healthz", timeout=5.0)
        pulls = len(foreman.daemon.forge.pulls("widgets"))
    ended = {
        "phase": told["phase"],
        "tier": told["tier"],
        "health": after.status_code,
        "agents": len(started(house, Role.AGENT)),
        "heads": len(started(house, Role.GATE, "head")),
        "branches": len(branches(state)),
        "pulls": pulls,
        "left": len(house.containers.listing(run_id)),
    }
    print(json.dumps({"meanwhile": seen, "ended": ended}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
