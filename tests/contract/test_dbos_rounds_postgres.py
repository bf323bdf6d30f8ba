"""The heart of what `runner.rounds.Rounds` promises, on PostgreSQL, which hosts of their own directories can share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.rounds_rig import (
    ALL_STEPS,
    FROM_THE_AGENT,
    Fleet,
    killed_in_the_agent,
    run_through,
    until,
)
from tests.fakes.postgres import Cluster, backends


@pytest.fixture(params=[name for name in backends() if name == "postgresql"])
def fleet(postgres: Cluster, tmp_path: Path) -> Iterator[Fleet]:
    hosts = Fleet(tmp_path / "none", postgres.database())
    try:
        yield hosts
    finally:
        hosts.end()


def test_a_killed_host_goes_on_itself_while_its_neighbour_works_beside_it(fleet: Fleet) -> None:
    b = fleet.start("b")
    killed_in_the_agent(fleet)
    run_through(b, "r2", "b")
    again = fleet.start("a", "--polling-s", "1.0")
    again.heard(event="ended", run="r1", step="close")
    assert again.steps("r1") == FROM_THE_AGENT
    assert b.steps("r1") == []
    until(again, "r1", "done")
    again.ask("submit", run="r1", host="a")
    run_through(again, "r3", "a")
    assert again.steps("r1") == FROM_THE_AGENT


def test_another_protocol_leaves_rounds_alone_and_fences_them_when_it_is_told_to(fleet: Fleet) -> None:
    killed_in_the_agent(fleet)
    newer = fleet.start("a", "--protocol", "2")
    run_through(newer, "r2", "a")
    assert newer.steps("r1") == []
    newer.ask("fence", run="r1")
    assert newer.ask("state", run="r1") == "failed"
    run_through(newer, "r1", "a", number=2)
    assert newer.steps("r1", 2) == ALL_STEPS
