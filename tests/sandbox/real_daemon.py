"""The real daemon in a process of its own, on real podman and a cassette; to be killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from mcp_ashigaru.client import connect
from mcp_ashigaru.settings import load_settings
from mcp_ashigaru.stores import open_forge
from runner.adapters.local_forge import LocalForge
from tests.sandbox.podman_lab import PodmanLab
from tests.story.house import free_port

UP_S = 30.0
JOB_S = 90.0
RESTING = {"awaiting_review", "merged", "escalated", "blocked", "cancelled", "waiting"}


@dataclass(kw_only=True)
class RealDaemon:
    """One state directory and port, and the process that serves them now."""

    lab: PodmanLab
    cassette: Path
    changes: dict[str, str] = field(default_factory=dict)
    """Variables of its own."""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        return self.lab.home / "s"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def forge(self) -> LocalForge:
        return open_forge(load_settings(state_dir=self.state, port=self.port))

    def start(self) -> None:
        self.state.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.lab.home),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "ASHIGARU_STATE_DIR": str(self.state),
            "ASHIGARU_PORT": str(self.port),
            "ASHIGARU_HOST_ID": "here",
            "ASHIGARU_PODMAN_URL": self.lab.url,
            "ASHIGARU_AGENT_IMAGE": self.lab.agent_image,
            "ASHIGARU_RELAY_IMAGE": self.lab.relay_image,
            "ASHIGARU_GATE_IMAGE": self.lab.gate_image,
            "ASHIGARU_MODEL_UPSTREAM": f"replay:{self.cassette}",
        } | self.changes
        with (self.lab.home / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mcp_ashigaru"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + UP_S
        while not self._answers():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/healthz", timeout=1.0).status_code == 200
        except httpx2.HTTPError:
            return False

    def kill(self) -> None:
        """SIGKILL: no chance to say goodbye."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    def log(self) -> str:
        return (self.lab.home / "daemon.log").read_text(encoding="utf-8", errors="replace")[-6000:]

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        async def once() -> dict[str, Any]:
            async with connect(self.url, None) as caller:
                return await caller.call(tool, **arguments)

        return asyncio.run(asyncio.wait_for(once(), JOB_S))

    def until(self, run_id: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + JOB_S
        seen = self.call("status", run_id=run_id)
        while not wanted(seen):
            assert time.monotonic() < deadline, f"never came about; last seen: {seen}\n{self.log()}"
            assert seen["phase"] not in RESTING, f"{seen}\n{self.log()}"
            seen = self.call("status", run_id=run_id, since=seen["cursor"], wait_s=2)
        return seen

    def at_rest(self, run_id: str) -> dict[str, Any]:
        return self.until(run_id, lambda told: told["phase"] in RESTING)

    def events(self, run_id: str) -> list[tuple[str, str]]:
        """Every event on record, in order: (tool or kind, summary)."""
        connection = sqlite3.connect(self.state / "ashigaru.db")
        try:
            query = "select coalesce(tool, kind), summary from events where run_id = ? order by id"
            return list(connection.execute(query, (run_id,)))
        finally:
            connection.close()
