"""What the real daemon knows and no sandbox may: canaries in its environment, looked for wherever a sandbox is seen."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import requests.exceptions
from podman import PodmanClient
from podman.errors import APIError

from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.real_daemon import RealDaemon
from tests.story.house import repository

pytestmark = [pytest.mark.podman, pytest.mark.timeout(180)]

CANARIES = {
    "ANTHROPIC_API_KEY": "sk-ant-canary-4711-of-the-model",
    "ASHIGARU_GITHUB_WEBHOOK_SECRET": "canary-4711-of-the-webhooks",
    "HTTPS_PROXY": "http://user:canary-4711-of-the-proxy@127.0.0.1:9",
}
# In two halves, for the search itself stands in a command line.
LOOK = r"""
import glob, os
mark = ("canary" + "-4711").encode()
paths = glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline")
for top, folders, files in os.walk("/"):
    folders[:] = [one for one in folders if os.path.join(top, one) not in ("/proc", "/sys", "/usr")]
    paths += [os.path.join(top, name) for name in files if os.path.isfile(os.path.join(top, name))]
for path in paths:
    try:
        with open(path, "rb") as file:
            if mark in file.read(10_000_000):
                raise SystemExit("found in " + path)
    except OSError:
        pass
print("nothing was found")
"""
GATE_FILE = """
[setup]
run = ["python3 -I look.py"]
manifests = ["total.py"]
[[gate]]
name = "test"
run = "python3 -I look.py && sleep 1"
"""
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


@contextmanager
def everything_shown(lab: PodmanLab) -> Iterator[set[str]]:
    """What podman tells of every container and pod while the block runs, and what each printed."""
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        with PodmanClient(base_url=lab.url, timeout=30) as client:
            while not done.wait(0.1):
                # What goes away between being listed and being asked about has been seen before.
                with suppress(APIError, requests.exceptions.RequestException):
                    for found in client.containers.list(all=True):
                        seen.add(json.dumps(client.containers.get(found.id).attrs, sort_keys=True))
                        seen.add(b"".join(found.logs(stream=True, follow=False)).decode("utf-8", "replace"))
                    seen.update(json.dumps(pod.attrs, sort_keys=True) for pod in client.pods.list())

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield seen
    finally:
        done.set()
        watching.join()


@pytest.fixture
def daemon(podman_host: PodmanLab) -> Iterator[RealDaemon]:
    files = {"total.py": "total = 0\n", ".ashigaru.toml": GATE_FILE, "look.py": LOOK}
    source = repository(podman_host.home / "source", files)
    (podman_host.home / "cassette.toml").write_text(CASSETTE, encoding="utf-8")
    real = RealDaemon(lab=podman_host, cassette=podman_host.home / "cassette.toml", changes=CANARIES)
    real.state.mkdir()
    real.forge().add(str(source), "widgets")
    real.start()
    yield real
    real.stop()


def test_nothing_secret_of_the_daemons_is_seen_in_or_of_a_sandbox(daemon: RealDaemon) -> None:
    with everything_shown(daemon.lab) as seen:
        told = daemon.at_rest(str(daemon.call("work_ticket", repo="widgets", issue=1, brief="Note it.")["run_id"]))
    assert told["phase"] == "awaiting_review", (told, daemon.log())
    roles = {
        role for role in ("agent", "gate", "setup", "relay") if any(f'"ashigaru.role": "{role}"' in one for one in seen)
    }
    assert roles == {"agent", "gate", "setup", "relay"}
    assert [one for one in seen if "canary-4711" in one] == []
    assert any("nothing was found" in one for one in seen)
    kept = (path for path in daemon.state.rglob("*") if path.is_file() and not path.is_symlink())
    assert [str(path) for path in kept if b"canary-4711" in path.read_bytes()] == []
    assert "canary-4711" not in daemon.log()
