"""The daemon is killed with SIGKILL and stays away; the sandboxes go on, and are taken up where they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podman import PodmanClient

from runner.sandbox import agent_name
from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.real_daemon import RealDaemon
from tests.story.house import git, repository

pytestmark = [pytest.mark.podman, pytest.mark.timeout(240)]

AWAY_S = 30.0
WAIT_S = 60.0
CASSETTE = """
version = 1
[[script]]
[[script.turn]]
text = "I read it first."
[[script.turn.tool]]
name = "Read"
input = { file_path = "{cwd}/total.py" }
[[script.turn]]
delay_s = 6.0
[[script.turn.tool]]
name = "Edit"
input = { file_path = "{cwd}/total.py", old_string = "total = 0", new_string = "total = 1" }
[[script.turn]]
text = "Done."
"""
QUICK = CASSETTE.replace("delay_s = 6.0", "")
GATE = """
[[gate]]
name = "test"
run = "%s"
"""
# On the base it is green at once; on the head it runs until it is told to end.
HELD = (
    "grep -q 'total = 0' total.py || "
    "{ echo x >> /ashigaru/out/begun; until [ -e /ashigaru/out/go ]; do sleep 0.1; done; }"
)


def started(lab: PodmanLab, gate: str, cassette: str) -> RealDaemon:
    source = repository(lab.home / "source", {"total.py": "total = 0\n", ".ashigaru.toml": GATE % gate})
    (lab.home / "cassette.toml").write_text(cassette, encoding="utf-8")
    daemon = RealDaemon(lab=lab, cassette=lab.home / "cassette.toml")
    daemon.state.mkdir()
    daemon.forge().add(str(source), "widgets")
    daemon.start()
    return daemon


@pytest.fixture
def daemons() -> Iterator[list[RealDaemon]]:
    running: list[RealDaemon] = []
    yield running
    for daemon in running:
        daemon.stop()


def stay_away() -> None:
    """The promise is about thirty seconds without a daemon, and nothing shorter shows it."""
    threading.Event().wait(AWAY_S)


def identity(lab: PodmanLab, name: str) -> str:
    with PodmanClient(base_url=lab.url, timeout=30) as client:
        return str(client.containers.get(name).id)


def merged_once(daemon: RealDaemon, run_id: str) -> None:
    told = daemon.at_rest(run_id)
    assert told["phase"] == "awaiting_review", daemon.log()
    assert len(told["tiers_tried"]) == 1
    assert len(daemon.forge().pulls("widgets")) == 1
    answer = daemon.call("promote", repo="widgets", pr=told["pull"]["number"], head_sha=told["head_sha"])
    assert answer["promoted"], answer
    bare = daemon.state / "forge" / "widgets.git"
    assert git(bare, "show", "main:total.py") == "total = 1"
    assert git(bare, "rev-list", "--count", "main") == "2"


def test_an_agent_goes_on_while_the_daemon_is_away_and_is_adopted(
    podman_host: PodmanLab, daemons: list[RealDaemon]
) -> None:
    daemon = started(podman_host, "true", CASSETTE)
    daemons.append(daemon)
    run_id = str(daemon.call("work_ticket", repo="widgets", issue=1, brief="Make it one.")["run_id"])
    daemon.until(run_id, lambda told: any("Read" in action for action in told["recent_actions"]))
    agent = identity(podman_host, agent_name(run_id, 1))
    daemon.kill()
    stay_away()
    assert identity(podman_host, agent_name(run_id, 1)) == agent
    assert not any(tool == "Edit" for tool, _ in daemon.events(run_id)), "the agent was to be in mid-flight"
    daemon.start()
    merged_once(daemon, run_id)
    told = [tool for tool, _ in daemon.events(run_id)]
    assert (told.count("started"), told.count("Read"), told.count("Edit"), told.count("result")) == (1, 1, 1, 1)
    summaries = [summary for tool, summary in daemon.events(run_id) if tool != "retry"]
    assert len(summaries) == len(set(summaries)), summaries


def test_a_gate_goes_on_while_the_daemon_is_away_and_is_adopted(
    podman_host: PodmanLab, daemons: list[RealDaemon]
) -> None:
    daemon = started(podman_host, HELD, QUICK)
    daemons.append(daemon)
    run_id = str(daemon.call("work_ticket", repo="widgets", issue=1, brief="Make it one.")["run_id"])
    begun = appeared(daemon.state / "runs" / run_id)
    gate = begun.parents[1].name
    before = identity(podman_host, gate)
    daemon.kill()
    stay_away()
    assert identity(podman_host, gate) == before
    daemon.start()
    daemon.until(run_id, lambda told: told["phase"] == "gate")
    assert begun.read_text(encoding="utf-8") == "x\n", "the gate was run a second time"
    (begun.parent / "go").touch()
    merged_once(daemon, run_id)


def appeared(run: Path) -> Path:
    """The file that the held gate writes when it begins."""
    deadline = time.monotonic() + WAIT_S
    tick = threading.Event()
    while not (found := list(run.glob("*/out/begun"))):
        assert time.monotonic() < deadline, "the gate on the head never began"
        tick.wait(0.05)
    return found[0]
