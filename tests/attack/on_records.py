"""Group A: one ticket asked for more than once, before the real records."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial

from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_schema import runs
from runner.records import RunRecord
from tests.attack.case import Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.records_world import database, run_record
from tests.attack.taking_out import out


def _claimed(repos: Sequence[str], ground: Ground) -> Outcome:
    records = SqlRecords(database(ground))
    together = threading.Barrier(len(repos))

    def claim(number: int) -> str:
        together.wait(10)
        return records.claim(run_record(f"widgets-1-{number}", repos[number])).run_id

    with ThreadPoolExecutor(len(repos)) as callers:
        given = set(callers.map(claim, range(len(repos))))
    if len(given) > 1:
        return Through(what=f"{len(given)} runs work on one issue")
    return Stopped(by="whoever asks is given the one run that there is")


def _unclaimed(self: SqlRecords, run: RunRecord) -> RunRecord:
    with self._writing() as db:
        db.execute(runs.insert().values(**asdict(run)))
    return run


CHAPTER = Chapter(
    defences=(
        Defence(
            name="one-run-an-issue",
            sentence="An issue has one live run, whoever asks how often.",
            without=out(SqlRecords, "claim", _unclaimed),
        ),
    ),
    cases=tuple(
        Case(
            group="A",
            defence="one-run-an-issue",
            vector=vector,
            tried=tried,
            attempt=partial(_claimed, repos),
        )
        for vector, tried, repos in (
            ("at-once", "ask for the same issue eight times at once", ("acme/widgets",) * 8),
            ("other-case", "ask for it in other letters", ("acme/widgets", "Acme/Widgets")),
        )
    ),
)
