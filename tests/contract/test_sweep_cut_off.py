"""A sweep that dies before or after any of its deeds, and is run again: it ends as an undisturbed one does."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.git_house import Clones, Repositories, mirrors
from runner.adapters.sql_engine import open_engine
from runner.adapters.sql_house import SqlHistory
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_schema import attempts, checks, events, receipts, remarks, rounds
from runner.house_files import Layers, RunFiles, Sockets
from runner.housekeeping import Housekeeping, Swept
from runner.layout import Layout
from runner.model import Phase
from runner.receipts import subject
from runner.retention import Kind, Retention
from runner.transcript import Transcript
from tests.contract.test_records import a_round, attempt, event, run
from tests.fakes.records_file import laid_down
from tests.unit.test_housekeeping import DAY, Hand, a_layer, aged, made

LIVE, ENDED, YOUNG = "live", "ended", "young"
RUNS = {LIVE: Phase.AGENT, ENDED: Phase.ESCALATED, YOUNG: Phase.ESCALATED}
OLD, NEW = 400.0, 1.0
LATER = 8 * DAY
"""After that the next sweep comes: longer than anything half removed may lie about, and nothing else is due by then."""
MOST_DEEDS = 200
State: TypeAlias = dict[str, Any]


class Killed(BaseException):
    """The process is gone: nothing of ours may take it up."""


@dataclass(kw_only=True)
class Death:
    """Of a process that dies at its `at`-th moment; then all is dead.

    There is one before each deed, which is after the one before it too. What is written to the records counts only
    with its transaction, so that there the moment after a deed is another.
    """

    at: int
    seen: int = 0
    deeds: list[str] = field(default_factory=list)

    def moment(self) -> None:
        if self.seen >= self.at:
            raise Killed
        self.seen += 1

    def deed(self, name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def done(*args: Any, **options: Any) -> Any:
            self.moment()
            self.deeds.append(name)
            return do(*args, **options)

        return done


def bare(place: Path, days: float, now: float) -> None:
    made(place / "objects" / "pack", days)
    made(place / "refs" / "heads", days)
    for name in ("HEAD", "config"):
        (place / name).write_text(name, encoding="utf-8")
    aged(place, days, now=now)


def furnished(state: Path, now: float) -> None:
    """A state directory with something of each kind: of a live run, of one that ended long ago, and of a late one."""
    layout = Layout(state_dir=state)
    engine = open_engine(f"sqlite:///{laid_down(state / 'ashigaru.db')}")
    records = SqlRecords(engine)
    for number, (name, phase) in enumerate(RUNS.items(), 1):
        days = NEW if name == YOUNG else OLD
        at = now - days * DAY
        records.claim(run(name, issue=number, phase=phase, attempt=1, round=2, created_at=at, updated_at=at))
        records.save_round(a_round(name, 1), at)
        records.save_round(a_round(name, 2), at)
        records.begin_attempt(attempt(run_id=name))
        records.append_events(name, 1, (event(1), event(2)), 2, Transcript(), at)
        for owner in (name, f"{name}/1"):
            place = layout.attempt(name, 1).tree if owner == name else layout.sockets(owner)
            made(place, days)
            (place / "file").write_text("x", encoding="utf-8")
        aged(layout.run(name), days, now=now)
        aged(layout.sockets(f"{name}/1"), days, now=now)
        a_layer(layout, f"layer-{name}", days, name)
        aged(layout.environments / f"layer-{name}", days, now=now)
        bare(layout.mirrors_and_clones / "clones" / f"{name}.git", days, now)
    checkouts = GitCheckouts(layout.mirrors_and_clones, name="t", email="t@localhost")
    for repo in ("widgets", "gadgets"):
        bare(checkouts.mirror(repo).place, OLD, now)
    engine.dispose()


def sweep(state: Path, now: float, death: Death | None) -> Swept | None:
    """One sweep by a process of its own; None where that died."""
    layout, clock = Layout(state_dir=state), Hand(at=now)
    engine = open_engine(f"sqlite:///{state / 'ashigaru.db'}")
    records = SqlRecords(engine)
    checkouts = GitCheckouts(layout.mirrors_and_clones, name="t", email="t@localhost")
    house = Housekeeping(
        stocks=(
            RunFiles(layout=layout),
            Sockets(layout=layout, records=records),
            Layers(layout=layout),
            SqlHistory(engine),
            Clones(root=layout.mirrors_and_clones, checkouts=checkouts, records=records),
            Repositories(place=mirrors(layout.mirrors_and_clones), kind=Kind.MIRROR),
        ),
        records=records,
        receipts=SqlReceipts(engine, clock, host="here", anchors=state / "anchors"),
        clock=clock,
        keep=Retention(layers=0),
        state_dir=state,
    )
    try:
        with pytest.MonkeyPatch.context() as patched:
            if death is not None:
                mortal(patched, engine, death)
            return house.sweep()
    except Killed:
        return None
    finally:
        engine.dispose()


def mortal(patched: pytest.MonkeyPatch, engine: Engine, death: Death) -> None:
    """Whatever is removed, renamed or written to the records is a deed."""
    for name in ("unlink", "rmdir", "rename"):
        patched.setattr(os, name, death.deed(name, getattr(os, name)))

    @sa.event.listens_for(engine, "before_cursor_execute")
    def _before(_c: object, _cursor: object, statement: str, *_more: object) -> None:
        if not statement.startswith("SELECT"):
            death.moment()

    @sa.event.listens_for(engine, "after_cursor_execute")
    def _after(_c: object, _cursor: object, statement: str, *_more: object) -> None:
        if not statement.startswith("SELECT"):
            death.deeds.append(statement.split(maxsplit=1)[0])
            death.moment()


def shown(state: Path) -> State:
    """What there is, but for the order and the number of receipts."""
    engine = open_engine(f"sqlite:///{state / 'ashigaru.db'}")
    with engine.connect() as db:
        rows = {
            table.name: sorted(map(str, db.execute(sa.select(table)).all()))
            for table in (attempts, checks, events, remarks, rounds)
        }
    engine.dispose()
    skipped = ("ashigaru.db", "anchors", "sweep.lock", "environments.lock")
    paths = [path.relative_to(state) for path in state.rglob("*") if not path.name.startswith(skipped)]
    return rows | {"files": sorted(str(path) for path in paths if "locks" not in path.parts)}


def of_live(state: State) -> list[str]:
    layout = Layout(state_dir=Path())
    ours = (LIVE, layout.sockets(f"{LIVE}/1").name, "mirrors/widgets")
    return [one for rows in state.values() for one in rows if any(word in one for word in ours)]


def receipted(state: Path) -> set[str]:
    """What the receipts are about."""
    engine = open_engine(f"sqlite:///{state / 'ashigaru.db'}")
    with engine.connect() as db:
        keys = set(db.execute(sa.select(receipts.c.key)).scalars())
    engine.dispose()
    return keys


def test_a_sweep_that_dies_at_any_of_its_deeds_ends_as_one_that_was_not_disturbed(tmp_path: Path) -> None:
    # Of the host's own clock: what is half removed bears the time that it was touched at.
    now = time.time()
    furnished(tmp_path / "furnished", now)

    def place(name: str) -> Path:
        return Path(shutil.copytree(tmp_path / "furnished", tmp_path / name))

    undisturbed, whole = place("undisturbed"), Death(at=MOST_DEEDS)
    before = shown(undisturbed)
    swept = sweep(undisturbed, now, whole)
    assert swept is not None
    assert (swept.faults, swept.left) == ((), 0)
    assert {going.thing.kind for going in swept.gone} == {
        Kind.RUN_FILES,
        Kind.SOCKETS,
        Kind.LAYER,
        Kind.HISTORY,
        Kind.CLONE,
        Kind.MIRROR,
    }
    assert set(whole.deeds) >= {"unlink", "rmdir", "rename", "INSERT", "UPDATE", "DELETE"}
    assert sweep(undisturbed, now + LATER, None) is not None
    ended = shown(undisturbed)
    assert ended != before
    assert of_live(ended) == of_live(before) != []
    for at in range(whole.seen):
        state = place(f"{at}")
        assert sweep(state, now, Death(at=at)) is None
        assert of_live(shown(state)) == of_live(before), at
        again = sweep(state, now + LATER, None)
        assert again is not None
        assert again.faults == (), at
        assert shown(state) == ended, at
        assert receipted(state) >= {subject("put_away", kind, ENDED) for kind in ("clone", "history")}, at
        shutil.rmtree(state)
