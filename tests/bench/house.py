"""One daemon in a process of its own, with the local forge, as `make bench` needs it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from mcp_ashigaru.client import connect
from mcp_ashigaru.settings import load_settings
from mcp_ashigaru.state_dir import forge_secret
from mcp_ashigaru.stores import open_forge
from runner.adapters.local_forge import USERNAME, LocalForge

_UP_S: Final = 60.0
_PROJECT: Final = str(Path(__file__).resolve().parents[2])
_JOB_S: Final = 120.0
RESTING: Final = frozenset({"awaiting_review", "escalated", "blocked", "cancelled", "waiting"})
CASSETTE: Final = 'version = 1\n[[script]]\n[[script.turn]]\ntext = "Done."\n'


class BenchFailed(Exception):
    """What was to be measured did not come about."""


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


@dataclass(kw_only=True)
class House:
    """A state directory and the daemon that serves it; `extra`: further variables of its environment."""

    state: Path
    podman_url: str
    agent_image: str
    relay_image: str
    gate_image: str
    host_id: str = "bench"
    extra: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=_free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def forge(self) -> LocalForge:
        return open_forge(load_settings(state_dir=self.state, port=self.port))

    def clone_url(self, repo: str) -> str:
        return f"http://{USERNAME}:{forge_secret(self.state)}@127.0.0.1:{self.port}/forge/{repo}.git"

    def start(self) -> None:
        """The daemon answers."""
        self.state.mkdir(parents=True, exist_ok=True)
        cassette = self.state / "cassette.toml"
        cassette.write_text(CASSETTE, encoding="utf-8")
        variables = {
            "ASHIGARU_STATE_DIR": str(self.state),
            "ASHIGARU_PORT": str(self.port),
            "ASHIGARU_HOST_ID": self.host_id,
            "ASHIGARU_PODMAN_URL": self.podman_url,
            "ASHIGARU_AGENT_IMAGE": self.agent_image,
            "ASHIGARU_RELAY_IMAGE": self.relay_image,
            "ASHIGARU_GATE_IMAGE": self.gate_image,
            "ASHIGARU_MODEL_UPSTREAM": f"replay:{cassette}",
            "ASHIGARU_LOG_LEVEL": "warning",
            **self.extra,
        }
        self.launch((sys.executable, "-P", "-m", "mcp_ashigaru"), variables)

    def launch(self, command: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        """That command is the daemon, and answers."""
        with (self.state / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env={"PATH": os.environ["PATH"], "HOME": str(self.state), "PYTHONPATH": _PROJECT, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        latest = time.monotonic() + _UP_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > latest:
                raise BenchFailed(f"the daemon did not start:\n{self.log()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/healthz", timeout=1.0).status_code == 200
        except httpx2.HTTPError:
            return False

    def kill(self) -> None:
        """The daemon is gone at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def stop(self) -> None:
        """The daemon is gone."""
        process, self.process = self.process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def anew(self) -> None:
        """The daemon has just been started, and has no copy of any repository; its verdicts are still there."""
        self.stop()
        shutil.rmtree(self.state / "git" / "mirrors", ignore_errors=True)
        self.start()

    def log(self) -> str:
        """The end of what the daemon said."""
        return (self.state / "daemon.log").read_text(encoding="utf-8", errors="replace")[-6000:]

    def work(self, repo: str, issue: int, brief: str) -> tuple[float, float, dict[str, Any]]:
        """Dispatch a ticket and follow it as a client would: (called at, pull request known at, last status)."""

        async def job() -> tuple[float, float, dict[str, Any]]:
            async with connect(self.url, None) as caller:
                called = time.time()
                run_id = (await caller.call("work_ticket", repo=repo, issue=issue, brief=brief))["run_id"]
                seen: dict[str, Any] = {"phase": "queued", "cursor": 0}
                knew = 0.0
                while seen["phase"] not in RESTING:
                    seen = await caller.call("status", run_id=run_id, since=seen["cursor"], wait_s=20)
                    if seen["pull"] is not None and not knew:
                        knew = time.time()
                return called, knew, seen

        return asyncio.run(asyncio.wait_for(job(), _JOB_S))

    def steps(self, run_id: str, number: int = 1) -> list[tuple[str, float, float]]:
        """(step, begun, ended), in seconds since the epoch, from the engine's own checkpoints."""
        connection = sqlite3.connect(self.state / "engine.db")
        try:
            query = (
                "select function_name, started_at_epoch_ms / 1000.0, completed_at_epoch_ms / 1000.0"
                " from operation_outputs where workflow_uuid = ? order by function_id"
            )
            return list(connection.execute(query, (f"round:{run_id}:{number}",)))
        finally:
            connection.close()
