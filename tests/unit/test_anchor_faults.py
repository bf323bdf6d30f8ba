"""Anchors of the receipts that cannot be written or read: each with its cure, and owed until one is there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.system_clock import SystemClock
from runner.errors import RecordsDown, RecordsFault
from runner.receipts import ANCHOR_EVERY, Deed, Kind


def test_an_anchor_that_could_not_be_written_is_owed_with_the_next_entry(engine: Engine, tmp_path: Path) -> None:
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    receipts = SqlReceipts(engine, SystemClock(), host="here", anchors=anchors)

    def record(number: int) -> None:
        receipts.record(Deed(kind=Kind.VERDICT, key=f"k{number}", run_id="r-1", detail={}))

    for number in range(1, ANCHOR_EVERY):
        record(number)
    with pytest.raises(RecordsDown, match="anchors cannot be written"):
        record(ANCHOR_EVERY)
    anchors.rmdir()
    record(ANCHOR_EVERY + 1)
    assert [head.number for head in receipts.anchors()] == [ANCHOR_EVERY + 1]
    record(ANCHOR_EVERY + 2)
    assert len(receipts.anchors()) == 1


def test_anchors_that_no_file_is_left_for_pass_and_those_of_somebody_else_do_not(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts = SqlReceipts(engine, SystemClock(), host="here", anchors=tmp_path / "anchors")
    for number, cure in ((errno.EMFILE, "raise the daemon's LimitNOFILE"), (errno.EACCES, "correct its rights")):

        def refuse(*_args: object, why: int = number, **_options: object) -> str:
            raise OSError(why, os.strerror(why))

        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_text", refuse)
            with pytest.raises(RecordsFault, match=cure) as caught:
                receipts.anchors()
        assert isinstance(caught.value, RecordsDown) is (number == errno.EMFILE)


def test_an_anchor_that_no_file_is_left_for_names_its_cure_and_is_owed(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts = SqlReceipts(engine, SystemClock(), host="here", anchors=tmp_path / "anchors")
    receipts.record(Deed(kind=Kind.VERDICT, key="k", run_id="r-1", detail={}))

    def refuse(*_args: object, **_options: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(RecordsDown, match="raise the daemon's LimitNOFILE"):
            receipts.anchor()
    assert receipts.anchors() == ()
    receipts.anchor()
    assert [head.number for head in receipts.anchors()] == [1]
