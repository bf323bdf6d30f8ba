"""What cannot be removed is told, and keeps no round from its end."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.adapters.system_clock import SystemClock
from runner.closing import Closing
from runner.facts import Close, Outcome, RoundClosed
from runner.files import remove_tree
from runner.layout import Layout
from runner.model import Phase
from runner.records import RunChange, RunRecord
from tests.fakes.a_round import INPUT
from tests.fakes.behaviours import exits
from tests.fakes.containers import FakeContainers
from tests.story.house import FakeModel
from tests.unit.test_promotion import RUN


@contextmanager
def read_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file can be removed while the block lasts, as on a file system that the kernel has made read-only."""

    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        yield


def test_what_cannot_be_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").write_bytes(b"")
    with read_only(monkeypatch), pytest.raises(OSError, match="Read-only file system"):
        remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


class Recorded:
    """Records of one run at work that has nothing else."""

    def __init__(self) -> None:
        self.changes: list[RunChange] = []

    def attempts(self, _run_id: str) -> list[object]:
        return []

    def run(self, run_id: str) -> RunRecord:
        return dataclasses.replace(RUN, run_id=run_id, phase=Phase.GATE, pull=None)

    def runs(self, **_wanted: object) -> list[RunRecord]:
        return []

    def change(self, _run_id: str, change: RunChange, _at: float) -> None:
        self.changes.append(change)

    def release(self, _run_id: str) -> None:
        pass


def test_files_that_cannot_be_removed_keep_no_round_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    records = Recorded()
    layout = Layout(state_dir=tmp_path)
    left = layout.run(INPUT.run_id) / "file"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"")
    closing = Closing(
        containers=FakeContainers(lambda _: exits()),
        records=records,  # type: ignore[arg-type]
        clock=SystemClock(),
        layout=layout,
        model=FakeModel(),
        resubmit=lambda _round, _delay: None,
        host="here",
    )
    with read_only(monkeypatch):
        closed = closing.close(INPUT, Close(outcome=Outcome.ESCALATED, reason="A person has to look.", tier=0))
    assert closed == RoundClosed()
    assert [one["phase"] for one in records.changes] == [Phase.ESCALATED]
    assert str(left.parent) in caplog.text
