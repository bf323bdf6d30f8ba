"""`mcp-ashigaru gates judge` as a person runs it: on real podman, with no daemon, and interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.git_rig import commit_all, git, make_repository, write
from tests.sandbox.podman_lab import PodmanLab

pytestmark = [pytest.mark.podman, pytest.mark.timeout(180)]

TEST = "from total import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n"
# The gate finds what the set-up made, which had an egress proxy that lets it nowhere.
GATE = """
[setup]
run = ["! python3 -c \\"import socket; socket.create_connection(('192.0.2.1', 443), 3)\\"", "date > /ashigaru/env/made"]
[[gate]]
name = "test"
run = "cat /ashigaru/env/made && python3 -m pytest --junitxml=/ashigaru/out/test.xml"
junit = "test.xml"
"""
FILES = {
    "total.py": "def total(of):\n    return sum(of)\n",
    "test_total.py": TEST,
    ".ashigaru.toml": GATE,
}
HANGS = '[[gate]]\nname = "test"\nrun = "echo begun; sleep 100"\n'


def started(lab: PodmanLab, repo: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(lab.home),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "TMPDIR": str(lab.directory("t")),
        "ASHIGARU_HOST_ID": "here",
        "ASHIGARU_PODMAN_URL": lab.url,
        "ASHIGARU_RELAY_IMAGE": lab.relay_image,
        "ASHIGARU_GATE_IMAGE": lab.gate_image,
    }
    return subprocess.Popen(
        [sys.executable, "-c", "from mcp_ashigaru.cli import main; main()", "gates", "judge", *arguments],
        cwd=repo,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_repository_is_judged_where_it_stands(podman_host: PodmanLab) -> None:
    repo = podman_host.home / "widgets"
    make_repository(repo, FILES)
    write(repo, {"total.py": "def total(of):\n    return sum(of) + 1\n"})
    commit_all(repo)
    worse = started(podman_host, repo, "--base", "HEAD~1", "--json")
    out, err = worse.communicate(timeout=120)
    assert worse.returncode == 1, (out, err)
    told = json.loads(out)
    assert (told["verdict"], told["of"], told["base"]["verdict"]) == ("failed", "head", "passed")
    assert told["base"]["tests"]["passed"] == 1
    assert "test_total" in told["head"]["report"]
    assert git(repo, "status", "--porcelain") == ""
    assert list((podman_host.home / "t").iterdir()) == []


@pytest.mark.parametrize(("told", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_that_is_told_to_stop_leaves_no_sandbox_behind(
    podman_host: PodmanLab, told: signal.Signals, code: int
) -> None:
    repo = podman_host.home / "widgets"
    make_repository(repo, {".ashigaru.toml": HANGS})
    judging = started(podman_host, repo, "--base", "main")
    assert judging.stderr is not None
    assert judging.stderr.readline().startswith("judging the base")
    judging.send_signal(told)
    out, err = judging.communicate(timeout=60)
    assert (judging.returncode, out) == (code, ""), err
    assert "Traceback" not in err
    assert list((podman_host.home / "t").iterdir()) == []
