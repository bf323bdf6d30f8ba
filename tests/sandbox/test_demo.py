"""`mcp-ashigaru demo` as a person runs it: every part real but the model's words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.podman_lab import PodmanLab

pytestmark = [pytest.mark.podman, pytest.mark.timeout(180)]


def environment(lab: PodmanLab) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(lab.home),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "ASHIGARU_HOST_ID": "here",
        "ASHIGARU_PODMAN_URL": lab.url,
        "ASHIGARU_AGENT_IMAGE": lab.agent_image,
        "ASHIGARU_RELAY_IMAGE": lab.relay_image,
        "ASHIGARU_GATE_IMAGE": lab.gate_image,
    }


def demo(lab: PodmanLab, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from mcp_ashigaru.cli import main; main()", "demo"],
        env=environment(lab) | changes,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_the_demo_is_refused_at_tier_one_and_merged_from_tier_two(podman_host: PodmanLab) -> None:
    done = demo(podman_host)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert re.fullmatch(
        r"demo: ok run=[a-z0-9-]+ pr=http://127\.0\.0\.1:\d+/forge/\S+/pulls/\d+ tier=2 seconds=\d+", last
    )
    assert re.search(r"gate on head: failed - gate test: \d+ of 13 tests failed", done.stdout)
    assert "gate on head: passed - test: 14 tests passed" in done.stdout
    assert "+    hours, rest = divmod(round(seconds), 3600)" in done.stdout


def test_a_demo_that_cannot_work_says_why_in_one_sentence(podman_host: PodmanLab) -> None:
    done = demo(podman_host, ASHIGARU_PODMAN_URL="unix:///nowhere/podman.sock")
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "podman" in done.stderr.lower()
