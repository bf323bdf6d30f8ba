"""What the engine's database holds: JSON alone, and nothing of it is ever unpickled."""

from __future__ import annotations

import base64
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from runner.adapters.dbos_json import JsonOnly, RecordedFault
from tests.contract.rounds_rig import (
    IN_THE_AGENT,
    Fleet,
    killed_in_the_agent,
    run_through,
    sql,
    until,
)


def test_a_new_database_is_in_wal_mode(tmp_path: Path) -> None:
    hosts = Fleet(tmp_path / "new" / "engine.db")
    run_through(hosts.start("a"), "r1", "a")
    hosts.end()
    assert sql(hosts, "pragma journal_mode") == [("wal",)]


def test_the_database_holds_json_only(fleet: Fleet) -> None:
    a = fleet.start("a", "--broken", IN_THE_AGENT)
    a.ask("submit", run="r1", host="a")
    a.heard(event="fault", run="r1")
    run_through(a, "r2", "a")
    a.leave()
    inputs = sql(fleet, "select inputs from workflow_input")
    outputs = sql(fleet, "select output from workflow_output union all select error from workflow_output")
    facts = sql(fleet, "select output from operation_outputs union all select error from operation_outputs")
    assert len(inputs) == 4
    values = [json.loads(value) for (value,) in inputs + outputs + facts if value is not None]
    assert {"kind": "prepared", "base_sha": "b" * 40, "rejudged": None, "unjudged": False} in values
    assert any("r1:run_agent is broken" in json.dumps(value) for value in values)
    marks = sql(fleet, "select serialization from workflow_status union select serialization from operation_outputs")
    assert {mark for (mark,) in marks} <= {"json", None}


class Bomb:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self._path),)


def test_a_row_marked_as_a_pickle_is_not_unpickled(fleet: Fleet, tmp_path: Path) -> None:
    crater = tmp_path / "crater"
    killed_in_the_agent(fleet)
    bomb = base64.b64encode(pickle.dumps(Bomb(crater))).decode()
    sql(fleet, "update workflow_input set inputs = ? where workflow_uuid = 'round:r1:1'", bomb)
    sql(fleet, "update workflow_status set serialization = 'py_pickle' where workflow_uuid = 'round:r1:1'")
    # With one slot the tampered round, being older, is read before the next one can be done.
    again = fleet.start("a", "--slots", "1")
    run_through(again, "r2", "a")
    assert not crater.exists()
    until(again, "r1", "failed")


def test_what_is_not_json_is_not_written() -> None:
    with pytest.raises(TypeError):
        JsonOnly().serialize({"a": object()})


def test_a_fault_that_was_written_down_can_be_raised_again() -> None:
    written = JsonOnly().serialize(ValueError("no such branch"))
    with pytest.raises(RecordedFault, match="no such branch"):
        raise JsonOnly().deserialize(written)


def test_a_long_fault_is_cut() -> None:
    assert len(JsonOnly().serialize(ValueError("x" * 1_000_000))) < 3000
