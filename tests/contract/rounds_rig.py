"""Hosts of one engine, as processes, and what tests of them have in common."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.fakes.rounds_host import HostProcess

ALL_STEPS = ["prepare", "run_agent", "collect", "save_work", "close"]
FROM_THE_AGENT = ALL_STEPS[1:]
IN_THE_AGENT = "r1:run_agent"


class Fleet:
    """The hosts of one test, on one database."""

    def __init__(self, database: Path, url: str | None = None) -> None:
        self.database = database
        self.url = url or f"sqlite:///{database}"
        self._all: list[HostProcess] = []

    def start(self, host: str, *options: str) -> HostProcess:
        process = HostProcess(self.url, host, *options)
        self._all.append(process)
        process.heard(event="launched")
        return process

    def end(self) -> None:
        for process in self._all:
            if not process.gone:
                process.leave()

    def network(self) -> list[dict[str, Any]]:
        return [said for process in self._all for said in process.told("network")]


def sql(fleet: Fleet, statement: str, *values: str) -> list[Any]:
    """One statement on the engine's database, from outside."""
    with closing(sqlite3.connect(fleet.database, timeout=30.0, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def run_through(host: HostProcess, run: str, at: str, number: int = 1) -> None:
    """Have a whole round done, which shows that the host takes work."""
    host.ask("submit", run=run, host=at, number=number)
    host.heard(event="ended", run=run, number=number, step="close")


def until(host: HostProcess, run: str, state: str) -> None:
    """A round that has done its last step is on record as done a moment later."""
    for _ in range(2000):
        if host.ask("state", run=run) == state:
            return
    raise AssertionError(f"{run} never came to be {state}")


def killed_in_the_agent(fleet: Fleet, *options: str) -> HostProcess:
    """A host that was killed in the middle of r1's second step."""
    host = fleet.start("a", "--hold", IN_THE_AGENT, *options)
    host.ask("submit", run="r1", host="a")
    host.heard(event="begun", run="r1", step="run_agent")
    host.kill()
    assert host.steps("r1") == ["prepare", "run_agent"]
    return host
