"""A sweep that is killed anywhere in the middle: the next one finishes it, and nothing is half there meanwhile."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner import layers
from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.git_house import Clones, Repositories, mirrors
from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.adapters.system_clock import SystemClock
from runner.house_files import Layers, RunFiles
from runner.housekeeping import Housekeeping
from runner.layout import Layout
from runner.model import Remote
from runner.retention import Kind, Retention
from tests.git_rig import git, make_repository

DEEDS = {"os.remove", "os.rmdir", "os.rename", "shutil.rmtree", "os.unlink"}
REPO = "widgets"


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A house full of things that nobody wants any more."""

    layout: Layout
    work: Path

    @property
    def git(self) -> Path:
        return self.layout.mirrors_and_clones

    def checkouts(self) -> GitCheckouts:
        return GitCheckouts(self.git, name="Ash", email="ash@example.org", timeout_s=10)

    def fill(self) -> None:
        checkouts = self.checkouts()
        checkouts.refresh(REPO, Remote(url=f"file://{self.work}"))
        checkouts.clone("run-1", REPO)
        root = self.layout.environments / "layer-1"
        (root / "env" / "lib").mkdir(parents=True)
        (root / "finished").write_text("key", encoding="utf-8")
        (self.layout.run("run-1") / "tree").mkdir(parents=True)
        for place in (self.git, self.layout.environments, self.layout.runs):
            for one in (*place.rglob("*"), place):
                os.utime(one, (1_000_000, 1_000_000))

    def sweep(self) -> list[str]:
        engine, clock = open_engine(f"sqlite:///{self.layout.state_dir}/ashigaru.db"), SystemClock()
        migrate(engine)
        records = SqlRecords(engine)
        anchors = self.layout.state_dir / "anchors"
        house = Housekeeping(
            stocks=(
                RunFiles(layout=self.layout),
                Layers(layout=self.layout),
                Clones(root=self.git, checkouts=self.checkouts(), records=records),
                Repositories(place=mirrors(self.git), kind=Kind.MIRROR),
            ),
            records=records,
            receipts=SqlReceipts(engine, clock, host="here", anchors=anchors),
            clock=clock,
            keep=Retention(layers=0),
            state_dir=self.layout.state_dir,
        )
        swept = house.sweep()
        engine.dispose()
        return [*swept.faults, *(["busy"] if swept.busy else [])]

    def left(self) -> list[Path]:
        places = (self.git / "mirrors", self.git / "clones", self.layout.environments, self.layout.runs)
        return [one for place in places if place.exists() for one in place.iterdir()]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    work = tmp_path / "work"
    make_repository(work, {"a": "one\n"})
    return Rig(layout=Layout(state_dir=tmp_path / "state"), work=work)


def killed_at(deed: int, job: Callable[[], Any]) -> bool:
    """Do the job in a process that is killed before its deed of that number; whether it got so far."""
    child = os.fork()
    if child == 0:
        done = [0]

        def hook(event: str, _arguments: tuple[object, ...]) -> None:
            if event in DEEDS:
                done[0] += 1
                if done[0] == deed:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        os._exit(1 if job() else 0)
    _, status = os.waitpid(child, 0)
    assert status in {0, signal.SIGKILL}, status
    return status != 0


@pytest.mark.slow
def test_a_sweep_that_was_killed_at_any_deed_is_finished_by_the_next_one(rig: Rig) -> None:
    kills = 0
    for deed in range(1, 400, 4):
        rig.fill()
        if not killed_at(deed, rig.sweep):
            break
        kills += 1
        # What is handed out meanwhile is whole.
        root = rig.layout.environments / "layer-1"
        assert not layers.in_use(rig.layout, root, "run-2") or (root / "env" / "lib").is_dir()
        rig.checkouts().refresh(REPO, Remote(url=f"file://{rig.work}"))
        (mirror,) = (rig.git / "mirrors").iterdir()
        assert git(mirror, "rev-parse", "main") == git(rig.work, "rev-parse", "HEAD")
        for one in (*rig.layout.state_dir.rglob("*"),):
            if one.exists():
                os.utime(one, (1_000_000, 1_000_000))
        assert rig.sweep() == []
        assert rig.left() == []
    assert kills >= 5
    assert rig.left() == []
