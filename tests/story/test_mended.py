"""A round that could not go on for the moment: the daemon itself has it go on, and no start is needed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from mcp_ashigaru import daemon
from runner.sandboxes import Role
from runner.sweeping import Sweep
from tests.story.scenes import RIGHT, Facts, branches, house_of, passes_when, started, writes


@pytest.mark.parametrize("gives_up_at", [3, 6])
def test_the_sweep_has_a_round_that_gave_up_go_on_from_the_same_step(
    state: Path, source: Path, monkeypatch: pytest.MonkeyPatch, gives_up_at: int
) -> None:
    # The daemon's own sweep, only sooner than in a minute.
    monkeypatch.setattr(daemon, "Sweep", partial(Sweep, every_s=0.05))
    facts = Facts(crash_at=gives_up_at)
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    house.witness = facts
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert facts.crashed.is_set()
    assert told["phase"] == "awaiting_review"
    kinds = [step.kind for _, step, _ in facts.seen]
    assert kinds[gives_up_at] == kinds[gives_up_at - 1]
    assert len(kinds) - len(set(kinds)) == 1
    assert {number for number, _, _ in facts.seen} == {1}
    assert len(started(house, Role.AGENT)) == 1
    assert len(branches(state)) == 1
