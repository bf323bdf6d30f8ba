"""A sweep that dies before, within or after what it has others do: git that packs, podman, and the engine's tables."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runner.adapters.dbos_house import EndedRounds
from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.git_command import GitCommand
from runner.adapters.git_house import Packs, Repositories, copies, mirrors
from runner.adapters.git_process import GitTask, Running
from runner.adapters.sql_engine import open_engine
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.housekeeping import Housekeeping, Swept
from runner.images.unused import UnusedImages
from runner.layout import Layout
from runner.model import Phase, Remote
from runner.retention import Kind, Retention
from tests.contract.test_records import run
from tests.contract.test_sweep_cut_off import MOST_DEEDS, OLD, Death, Killed, bare
from tests.fakes.records_file import laid_down
from tests.fakes.rounds_host import HostProcess
from tests.git_rig import commit_all, git, make_repository, write
from tests.unit.test_housekeeping import DAY, Hand
from tests.unit.test_unused_images import image

State: TypeAlias = dict[str, Any]
GIT = ("repack", "prune")
SOON = 60.0
"""After that the next sweep comes: what is half removed is due however lately it was touched."""
PODMAN = """#!/bin/sh
cd "${0%/*}/images" || exit 125
case "$1" in
images) printf '['; comma=; for one in *; do printf '%s' "$comma"; cat "$one"; comma=,; done; printf ']' ;;
rmi) one=$(grep -lF "\\"$2\\"" -- *) || exit 1; case "$one" in used*) exit 2 ;; esac; rm "$one" ;;
esac
"""
"""As podman's command line answers; what it holds is a file each, and outlives whoever asks."""


@dataclass(kw_only=True)
class DeathBeside(Death):
    """The same, with two moments more within each git process: it goes too, or goes on alone as an orphan."""

    orphans: list[tuple[Running, ExitStack]] = field(default_factory=list)

    def within(self, running: Running, stack: ExitStack) -> None:
        for alone in (False, True):
            if self.seen >= self.at:
                if alone:
                    # What would end it on the way out is not done: nobody is there to do it.
                    self.orphans.append((running, stack.pop_all()))
                else:
                    running.abandon()
                raise Killed
            self.seen += 1


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with something to be packed, and with images, copies and ended rounds."""
    state = tmp_path_factory.mktemp("house") / "state"
    now = time.time()
    layout = Layout(state_dir=state)
    _records(state, now)
    _many_packs(layout, state.with_name("work"))
    bare(state / "local" / "taken" / "copied.git", OLD, now)
    _images(state / "images", now)
    (state / "podman").write_text(PODMAN, encoding="utf-8")
    (state / "podman").chmod(0o755)
    _rounds(state / "engine.db")
    return state


def _records(state: Path, now: float) -> None:
    engine = open_engine(f"sqlite:///{laid_down(state / 'ashigaru.db')}")
    for number, (name, phase) in enumerate((("live", Phase.AGENT), ("ended", Phase.ESCALATED)), 1):
        at = now - OLD * DAY
        SqlRecords(engine).claim(run(name, issue=number, phase=phase, created_at=at, updated_at=at))
    engine.dispose()


def _many_packs(layout: Layout, work: Path) -> None:
    make_repository(work, {"a": "one\n"})
    checkouts = GitCheckouts(layout.mirrors_and_clones, name="t", email="t@localhost")
    for number in range(3):
        write(work, {"a": f"{number}\n"})
        commit_all(work)
        checkouts.refresh("widgets", Remote(url=f"file://{work}"))
        git(checkouts.mirror("widgets").place, "repack", "-d", "-q")
    packs = checkouts.mirror("widgets").place / "objects" / "pack"
    # Of a packing that was killed in the moment in which it had packed and not yet named what it had, and of one that
    # was in the middle of it.
    for half in (f".tmp-1-{next(packs.glob('*.pack')).name}", "tmp_pack_0pJ2rq"):
        (packs / half).write_bytes(b"PACK")


def _images(place: Path, now: float) -> None:
    place.mkdir()
    long_ago = int(now - OLD * DAY)
    for name, told in (
        ("nameless", image("1" * 64, created=long_ago)),
        ("used", image("2" * 64, "localhost/ashigaru/agent:used", created=long_ago)),
        ("theirs", image("3" * 64, "docker.io/library/redis:7", created=long_ago)),
    ):
        (place / name).write_text(json.dumps(told), encoding="utf-8")


def _rounds(database: Path) -> None:
    """One ended round of each run, with what gave it to its host."""
    host = HostProcess(f"sqlite:///{database}", "a")
    host.heard(event="launched")
    for name in ("live", "ended"):
        host.ask("submit", run=name, host="a")
        host.heard(event="ended", run=name, step="close")
        while host.ask("state", run=name) != "done":
            pass
    host.leave()
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        for column in ("created_at", "updated_at", "completed_at"):
            db.execute(f"UPDATE workflow_status SET {column} = {column} - {int(OLD * DAY * 1000)}")  # noqa: S608
        db.execute("pragma wal_checkpoint(truncate)")


def sweep(state: Path, now: float, death: DeathBeside | None) -> Swept | None:
    """One sweep by a process of its own; None where that died."""
    git_root, clock = Layout(state_dir=state).mirrors_and_clones, Hand(at=now)
    engine = open_engine(f"sqlite:///{state / 'ashigaru.db'}")
    house = Housekeeping(
        stocks=(
            Repositories(place=copies(state / "local"), kind=Kind.COPY),
            Packs(places=(mirrors(git_root),), home=git_root / "home", packs=2),
            EndedRounds(url=f"sqlite:///{state / 'engine.db'}"),
            UnusedImages(podman=(str(state / "podman"),), used=frozenset()),
        ),
        records=SqlRecords(engine),
        receipts=SqlReceipts(engine, clock, host="here", anchors=state / "anchors"),
        clock=clock,
        keep=Retention(),
        state_dir=state,
    )
    try:
        with pytest.MonkeyPatch.context() as patched, mortal(patched, death):
            return house.sweep()
    except Killed:
        return None
    finally:
        engine.dispose()


@contextmanager
def mortal(patched: pytest.MonkeyPatch, death: DeathBeside | None) -> Iterator[None]:
    """Whatever is removed, written to a database, or asked of git or podman is a deed."""
    if death is None:
        yield
        return
    for name in ("unlink", "rmdir", "rename"):
        patched.setattr(os, name, death.deed(name, getattr(os, name)))
    begin, asked, finish = GitCommand._start, UnusedImages._run, Running.finish

    def begun(self: GitCommand, task: GitTask, stack: ExitStack) -> Running:
        death.moment()
        death.deeds.append(f"git {next(one for one in task.arguments if one in GIT)}")
        running = begin(self, task, stack)
        death.within(running, stack)
        return running

    def finished(self: Running) -> tuple[int, str]:
        said = finish(self)
        death.moment()
        return said

    def told(self: UnusedImages, *arguments: str) -> subprocess.CompletedProcess[str]:
        death.moment()
        death.deeds.append(f"podman {arguments[0]}")
        answer = asked(self, *arguments)
        death.moment()
        return answer

    patched.setattr(GitCommand, "_start", begun)
    patched.setattr(Running, "finish", finished)
    patched.setattr(UnusedImages, "_run", told)

    def written(_c: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            death.moment()
            death.deeds.append(statement.split(maxsplit=1)[0])

    # Of the engine's own client too, which nobody here has in hand.
    for when in ("before_cursor_execute", "after_cursor_execute"):
        sa.event.listen(Engine, when, written)
    try:
        yield
    finally:
        for when in ("before_cursor_execute", "after_cursor_execute"):
            sa.event.remove(Engine, when, written)


def shown(state: Path) -> State:
    """What there is."""
    with closing(sqlite3.connect(state / "engine.db")) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: sorted(map(str, db.execute(f"SELECT * FROM {name}"))) for name in tables}  # noqa: S608
    mirror = next((state / "git" / "mirrors").iterdir())
    return {
        "rounds": rows,
        "packs": len(list((mirror / "objects" / "pack").glob("*.pack"))),
        "halves": [one.name for one in mirror.rglob("*tmp*")],
        "copies": [one.name for one in (state / "local" / "taken").iterdir()],
        "images": sorted(one.name for one in (state / "images").iterdir()),
    }


def whole(state: Path) -> str:
    """All that the mirror's branches reach, read back."""
    mirror = next((state / "git" / "mirrors").iterdir())
    assert git(mirror, "fsck", "--full", "--strict") == ""
    return git(mirror, "rev-list", "--all", "--objects")


def test_a_sweep_that_dies_around_what_others_do_for_it_ends_as_one_that_was_not_disturbed(
    furnished: Path, tmp_path: Path
) -> None:
    now, reached = time.time(), whole(furnished)

    def place(name: str) -> Path:
        return Path(shutil.copytree(furnished, tmp_path / name))

    undisturbed, calm = place("undisturbed"), DeathBeside(at=MOST_DEEDS)
    swept = sweep(undisturbed, now, calm)
    assert swept is not None
    assert (swept.faults, swept.left) == ((), 0)
    assert sorted((one.thing.kind, one.thing.name) for one in swept.gone) == [
        (Kind.COPY, "copied.git"),
        (Kind.IMAGE, "1" * 64),
        (Kind.PACKS, f"0/{next((furnished / 'git' / 'mirrors').iterdir()).name}"),
        (Kind.ROUNDS, "intake:ended:1"),
        (Kind.ROUNDS, "round:ended:1"),
    ]
    assert set(calm.deeds) >= {"git repack", "git prune", "podman rmi", "DELETE", "unlink", "rmdir"}
    assert sweep(undisturbed, now + SOON, None) is not None
    ended = shown(undisturbed)
    assert (ended["packs"], ended["halves"], ended["copies"], ended["images"]) == (1, [], [], ["theirs", "used"])
    assert "round:live:1" in str(ended["rounds"])
    assert "round:ended:1" not in str(ended["rounds"])
    for at in range(calm.seen):
        state, death = place(f"{at}"), DeathBeside(at=at)
        assert sweep(state, now, death) is None
        assert whole(state) == reached, at
        for one, held in death.orphans:
            # It is done before anybody sweeps again: a daemon's first sweep is not at once.
            with held:
                assert one.finish() == (0, "")
        again = sweep(state, now + SOON, None)
        assert again is not None
        assert again.faults == (), (at, calm.deeds)
        assert shown(state) == ended, (at, calm.deeds)
        assert whole(state) == reached, at
        shutil.rmtree(state)
