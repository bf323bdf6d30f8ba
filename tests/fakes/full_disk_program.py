"""A whole daemon in a process of its own, on a disk that lets nothing be written now and then. Run by a story.

Arguments: the state directory and the source repository. The disk fails just before the fact of every step is recorded,
and is well again when that could be read. Prints one JSON object: what was read, and what came of it.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import threading
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

import httpx2

from runner.facts import Fact, Step
from runner.model import RoundInput
from runner.sandboxes import Role
from tests.fakes.behaviours import AgentAtWork, works
from tests.story.house import Foreman
from tests.story.scenes import RIGHT, branches, house_of, passes_when, says_hello, started

_PATIENCE_S = 60.0


def fill() -> None:
    """No file of this process can be written from now on: to SQLite, a disk that fails."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def free() -> None:
    """All is well again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@dataclass(kw_only=True)
class Fails:
    """A witness that has the disk fail just before a fact is recorded, the first time for each kind of step."""

    failed: Queue[str] = field(default_factory=Queue)
    seen: set[str] = field(default_factory=set)

    def __call__(self, _round: RoundInput, step: Step, _fact: Fact) -> None:
        if step.kind not in self.seen:
            self.seen.add(step.kind)
            fill()
            self.failed.put(step.kind)


def health(foreman: Foreman, wanted: int) -> dict[str, Any]:
    """What /healthz says as soon as it answers with that status."""
    tick = threading.Event()
    for _ in range(int(_PATIENCE_S / 0.02)):
        answer = httpx2.get(f"{foreman.url}/healthz", timeout=20.0)
        if answer.status_code == wanted:
            return {"code": wanted, **answer.json()}
        tick.wait(0.02)
    raise TimeoutError(f"/healthz never answered {wanted}")


def work(agent: AgentAtWork) -> None:
    """Write the right total and say so."""
    says_hello(agent)
    (agent.tree / "total.py").write_text(RIGHT, encoding="utf-8")
    agent.result()


def main(state: Path, source: Path) -> None:
    """See the module."""
    house = house_of(state, {1: works(work)}, passes_when(RIGHT), disk_floor=0)
    witness = Fails()
    house.witness = witness
    meanwhile: dict[str, Any] = {}
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        kind = ""
        while kind != "close":
            kind = witness.failed.get(timeout=_PATIENCE_S)
            meanwhile[kind] = health(foreman, 503)
            if kind == "run_agent":
                meanwhile["status"] = foreman.call("status", run_id=run_id)
            free()
            health(foreman, 200)
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
        pulls = len(foreman.daemon.forge.pulls("widgets"))
    ended = {
        "phase": told["phase"],
        "tier": told["tier"],
        "standstill": told["standstill"],
        "agents": len(started(house, Role.AGENT)),
        "heads": len({spec.name for spec in house.containers.started if "head" in spec.name}),
        "branches": len(branches(state)),
        "pulls": pulls,
    }
    sys.stdout.write(json.dumps({"meanwhile": meanwhile, "ended": ended}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Before the daemon's library sets up handlers of its own, which take seconds to draw a trace.
    logging.basicConfig(level=logging.WARNING)
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception:  # noqa: BLE001 - the top of the program, which has to end whatever threads are left
        traceback.print_exc()
        os._exit(1)
    # As `serve` leaves: a thread that did not end in time does not hold the process.
    os._exit(0)
