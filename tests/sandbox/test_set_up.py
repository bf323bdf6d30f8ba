"""A gate's set-up on real podman: made once from the base, read-only to the gate, sealed but for the egress proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.real_daemon import RealDaemon
from tests.story.house import repository

pytestmark = [pytest.mark.podman, pytest.mark.timeout(180)]

# The environment is made where the set-up can reach nothing; the gate finds it, cannot change it, and reaches nothing.
GATE_FILE = '''
[setup]
run = [
  "python3 -m venv --without-pip /ashigaru/env/venv",
  "date +%s%N > /ashigaru/env/made",
  "! python3 -c \\"import socket; socket.create_connection(('192.0.2.1', 443), 3)\\"",
]
manifests = ["total.py"]
[[gate]]
name = "test"
run = """
test "$(command -v python)" = /ashigaru/env/venv/bin/python
test $? = 0 && ! touch /ashigaru/env/x && cat /ashigaru/env/made"""
'''
CASSETTE = """
version = 1
[[script]]
[[script.turn]]
[[script.turn.tool]]
name = "Write"
input = { file_path = "{cwd}/note{attempt}.txt", content = "noted" }
[[script.turn]]
text = "Done."
"""


@pytest.fixture
def daemon(podman_host: PodmanLab) -> Iterator[RealDaemon]:
    source = repository(podman_host.home / "source", {"total.py": "total = 0\n", ".ashigaru.toml": GATE_FILE})
    (podman_host.home / "cassette.toml").write_text(CASSETTE, encoding="utf-8")
    real = RealDaemon(lab=podman_host, cassette=podman_host.home / "cassette.toml")
    real.state.mkdir()
    real.forge().add(str(source), "widgets")
    real.start()
    yield real
    real.stop()


def test_two_runs_share_one_environment_that_neither_can_change(daemon: RealDaemon) -> None:
    for issue in (1, 2):
        run_id = str(daemon.call("work_ticket", repo="widgets", issue=issue, brief="Note it.")["run_id"])
        told = daemon.at_rest(run_id)
        assert told["phase"] == "awaiting_review", (told, daemon.log())
    assert len(list((daemon.state / "environments").glob("*/finished"))) == 1
