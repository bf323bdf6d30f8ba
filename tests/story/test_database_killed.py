"""A database server that is killed under a daemon at work, just before the fact of a step is recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

import pytest

from mcp_ashigaru.client import CallRefused
from runner.facts import Fact, Step
from runner.model import RoundInput
from runner.sandboxes import Role
from tests.fakes.behaviours import works
from tests.fakes.full_disk_program import health, work
from tests.fakes.postgres import Cluster, backends, cluster
from tests.story.scenes import RIGHT, branches, house_of, passes_when, started

_PATIENCE_S = 60.0


@dataclass(kw_only=True)
class Kills:
    """A witness that has the server die, once for each of these kinds of step."""

    server: Cluster
    left: set[str]
    killed: Queue[str] = field(default_factory=Queue)

    def __call__(self, _round: RoundInput, step: Step, _fact: Fact) -> None:
        if step.kind in self.left:
            self.left.discard(step.kind)
            self.server.crash()
            self.killed.put(step.kind)


@pytest.mark.parametrize("_backend", [name for name in backends() if name == "postgresql"])
def test_a_database_server_that_is_killed_under_a_round_costs_nothing_but_the_time_it_is_away(
    state: Path, source: Path, _backend: str
) -> None:
    kinds = {"run_agent", "judge_head", "publish"}
    with cluster() as server:
        urls = {"database_url": server.database(), "engine_database_url": server.database()}
        house = house_of(state, {1: works(work)}, passes_when(RIGHT), disk_floor=0, **urls)
        house.witness = witness = Kills(server=server, left=set(kinds))
        with house.daemon() as foreman:
            foreman.daemon.forge.add(str(source), "widgets")
            run_id = foreman.work()
            for _ in kinds:
                witness.killed.get(timeout=_PATIENCE_S)
                said = health(foreman, 503)
                assert said["status"] == "stands still"
                assert "its server" in said["reason"]
                with pytest.raises(CallRefused, match="see that it runs"):
                    foreman.call("status", run_id=run_id)
                server.start()
                health(foreman, 200)
            told = foreman.until(run_id, lambda now: now["phase"] == "awaiting_review")
            pulls = foreman.daemon.forge.pulls("widgets")
    assert witness.left == set()
    assert (told["tier"], told["standstill"]) == ("small", None)
    assert len(started(house, Role.AGENT)) == len(branches(state)) == len(pulls) == 1
