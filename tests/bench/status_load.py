"""How fast `status` answers one client: on an idle daemon, and with 500 tickets queued and 20,000 runs behind it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from typing import Any, Final

from mcp_ashigaru.client import connect
from tests.bench.house import BenchFailed, House

QUEUED: Final = 500
FINISHED: Final = 20_000
_CALLS: Final = 1_000
_WARM_UP: Final = 50
_JOB_S: Final = 600.0
# Each with every row it has: a daemon that has worked 20,000 tickets has their rounds and steps in its tables too.
_RECORDS: Final = ("runs", "rounds", "attempts", "events", "judgements", "checks")
_ENGINE: Final = ("workflow_status", "operation_outputs")


def p99_ms(house: House, run_id: str) -> float:
    """The 99th of 100 of so many calls in a row of one client, in milliseconds."""

    async def ask() -> list[float]:
        took = []
        async with connect(house.url, None) as caller:
            for _ in range(_WARM_UP + _CALLS):
                begun = time.perf_counter()
                await caller.call("status", run_id=run_id)
                took.append(time.perf_counter() - begun)
        return sorted(took[_WARM_UP:])

    took = asyncio.run(asyncio.wait_for(ask(), _JOB_S))
    return took[int(len(took) * 0.99) - 1] * 1000


def queue_up(house: House, repo: str) -> None:
    """A ticket that holds the only slot, and so many behind it."""

    async def dispatch() -> None:
        async with connect(house.url, None) as caller:
            for number in range(QUEUED + 1):
                brief = "Write the file." if number else "HOLD until you are stopped."
                await caller.call("work_ticket", repo=repo, issue=10_000 + number, brief=brief)

    asyncio.run(asyncio.wait_for(dispatch(), _JOB_S))


def behind_it(house: House, run_id: str) -> None:
    """So many finished runs on record, each with what the run of that id has. The daemon is not up."""
    with closing(sqlite3.connect(house.state / "ashigaru.db")) as records, records:
        for table in _RECORDS:
            _multiply(records, table, "run_id", run_id, run_id)
        records.execute("update runs set phase = 'merged' where run_id like 'old-%'")
    with closing(sqlite3.connect(house.state / "engine.db")) as engine, engine:
        for table in _ENGINE:
            _multiply(engine, table, "workflow_uuid", f"round:{run_id}:1", run_id)


def _multiply(database: sqlite3.Connection, table: str, key: str, like: str, run_id: str) -> None:
    """Copy the rows of one run so many times, each under a run id of its own, which stands wherever the old one did."""
    told = list(database.execute(f"pragma table_info({table})"))
    # A number that the database gives itself is left to it.
    columns = [name for _, name, *_ in told if not (table == "events" and name == "id")]
    named = ", ".join(f'"{column}"' for column in columns)
    rows: list[tuple[Any, ...]] = list(database.execute(f'select {named} from {table} where "{key}" = ?', (like,)))  # noqa: S608
    if not rows:
        raise BenchFailed(f"{table} has nothing of run {run_id}")
    marks = ", ".join("?" for _ in columns)
    renamed = (
        tuple(value.replace(run_id, f"old-{number}") if isinstance(value, str) else value for value in row)
        for number in range(FINISHED)
        for row in rows
    )
    database.executemany(f"insert into {table} ({named}) values ({marks})", renamed)  # noqa: S608
