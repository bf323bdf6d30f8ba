"""A daemon that can open no more files when it lays out an agent's files: the run waits, says so, and goes on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from runner import agent_run
from runner.files import write_whole
from runner.sandboxes import Role
from tests.story.scenes import RIGHT, branches, house_of, passes_when, started, writes
from tests.story.test_trouble import hasten


def test_a_launch_that_no_file_is_left_for_waits_with_its_cure_and_goes_on_with_one_agent(
    state: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def none_left(path: Path, data: bytes) -> None:
        if path.name == "launch.json" and not refused:
            refused.append(path.name)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))
        write_whole(path, data)

    monkeypatch.setattr(agent_run, "write_whole", none_left)
    house = house_of(state, {1: writes(RIGHT), 2: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert (told["phase"], refused) == ("waiting", ["launch.json"])
        assert "The host refused: Too many open files; raise the daemon's LimitNOFILE." in told["reason"]
        assert "It tries again by itself at" in told["next"]
        hasten(foreman, run_id)
        assert foreman.until(run_id, lambda now: now["phase"] == "awaiting_review")["pull"]["number"] == 1
        assert len(foreman.daemon.forge.pulls("widgets")) == 1
    assert len(started(house, Role.AGENT)) == 1
    assert len(branches(state)) == 1
    assert house.containers.listing() == ()
