"""A whole daemon for a story: real MCP over HTTP, real git, real SQLite, real DBOS; podman and the model are fakes."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from mcp_ashigaru.client import connect
from mcp_ashigaru.daemon import Daemon, Parts, running
from mcp_ashigaru.settings import Settings, load_settings
from runner.conclusion import UpstreamFailure
from runner.egress_rules import Egress as EgressRules
from runner.facts import Fact, Step
from runner.model import RoundInput, Tier
from runner.model_access import Allowance, CredentialKind
from runner.ports import Clock
from runner.setup_run import Egress
from runner.spending import Barrier
from tests.fakes.containers import FakeContainers
from tests.fakes.records_file import laid_down
from tests.loopback import listening

DEADLINE_S = 30.0
RESTING = {"awaiting_review", "merged", "escalated", "blocked", "cancelled", "waiting"}
LADDER = tuple(
    Tier(name=name, model=model, effort="medium", max_turns=9, max_micro_usd=1_000_000, wall_s=60, idle_s=30)
    for name, model in (("small", "sonnet"), ("large", "opus"), ("huge", "opus"))
)


@dataclass(kw_only=True)
class FakeModel:
    """Model access that nobody in a fake sandbox uses; it remembers what was opened and shut."""

    opened: list[Allowance] = field(default_factory=list)
    shut_attempts: list[tuple[str, int]] = field(default_factory=list)
    refusals: dict[int, Barrier] = field(default_factory=dict)
    """By attempt: what the gateway refused its last request for."""
    shut_for: Barrier | None = None
    upstream: UpstreamFailure | None = None

    @property
    def credential_kind(self) -> CredentialKind:
        return "api_key"

    def open(self, allowance: Allowance) -> None:
        self.opened.append(allowance)

    def shut(self, run_id: str, attempt: int) -> None:
        self.shut_attempts.append((run_id, attempt))

    def closed(self, repo: str) -> Barrier | None:  # noqa: ARG002 - the port's signature
        return self.shut_for

    def refused(self, run_id: str, attempt: int) -> Barrier | None:  # noqa: ARG002 - the port's signature
        return self.refusals.get(attempt)

    def lively(self, run_id: str, attempt: int) -> bool:  # noqa: ARG002 - the port's signature
        return False

    def failure(self, run_id: str, attempt: int) -> UpstreamFailure | None:  # noqa: ARG002 - the port's signature
        return self.upstream


class NoEgress:
    """Egress for gates that set nothing up."""

    def open(self, owner: str, socket_dir: Path, rules: EgressRules) -> None:  # noqa: ARG002 - the port's
        raise AssertionError(f"{owner} asked for egress to {socket_dir}")

    def shut(self, owner: str) -> None:
        pass

    def refusals(self, owner: str) -> tuple[str, ...]:  # noqa: ARG002 - the port's signature
        return ()

    def unreached(self, owner: str) -> tuple[str, ...]:  # noqa: ARG002 - the port's signature
        return ()


@dataclass(kw_only=True)
class Foreman:
    """Calls tools as a foreman does, one connection a call."""

    url: str
    daemon: Daemon

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        async def once() -> dict[str, Any]:
            async with connect(self.url, None) as caller:
                return await caller.call(tool, **arguments)

        return asyncio.run(asyncio.wait_for(once(), DEADLINE_S))

    def work(self, **changes: Any) -> str:
        ticket = {"repo": "widgets", "issue": 1, "brief": "Totals are off by one."} | changes
        return str(self.call("work_ticket", **ticket)["run_id"])

    def until(self, run_id: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first status that is as wanted; fails after DEADLINE_S with the last one seen."""
        deadline = time.monotonic() + DEADLINE_S
        seen = self.call("status", run_id=run_id)
        while not wanted(seen):
            assert time.monotonic() < deadline, f"never came about; last seen: {seen}"
            seen = self.call("status", run_id=run_id, since=seen["cursor"], wait_s=2)
        return seen

    def at_rest(self, run_id: str) -> dict[str, Any]:
        return self.until(run_id, lambda told: told["phase"] in RESTING)


@dataclass(kw_only=True)
class House:
    """What outlives a daemon: the state directory, the sandboxes, the model."""

    state: Path
    containers: FakeContainers
    model: FakeModel = field(default_factory=FakeModel)
    real_gateway: bool = False
    """The model gateway itself in the fake's place; agents speak to its sockets, and a cassette answers."""
    changes: dict[str, Any] = field(default_factory=dict)
    egress: Egress = field(default_factory=NoEgress)
    clock: Clock | None = None
    up: Callable[[], float] | None = None
    witness: Callable[[RoundInput, Step, Fact], None] | None = None

    def settings(self, port: int) -> Settings:
        given = {"state_dir": self.state, "port": port, "ladder": LADDER, "host_id": "here", "slots": 3}
        return load_settings(**(given | self.changes))

    @contextmanager
    def daemon(self) -> Iterator[Foreman]:
        """A daemon, up and answering; leaving the block is its SIGTERM."""
        # As `serve` does it: the port listens before the first step that may need it.
        listener = listening()
        laid_down(self.state / "ashigaru.db")
        settings = self.settings(listener.getsockname()[1])
        parts = Parts(
            containers=self.containers,
            model=None if self.real_gateway else self.model,
            egress=self.egress,
            clock=self.clock,
            up=self.up,
            witness=self.witness,
        )
        with listener, running(settings, parts) as daemon:
            server = uvicorn.Server(uvicorn.Config(daemon.app, log_config=None, access_log=False))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            try:
                _until(lambda: server.started)
                yield Foreman(url=settings.url, daemon=daemon)
            finally:
                daemon.stopping.set()
                server.should_exit = True
                thread.join(10)
        assert self.containers.faults == []


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    tick = threading.Event()
    while not done():
        assert time.monotonic() < deadline
        tick.wait(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def git(where: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(where),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **{f"GIT_{who}_{what}": "t@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    done = subprocess.run(["git", *arguments], cwd=where, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def repository(where: Path, files: dict[str, str]) -> Path:
    """A git repository with one commit of `files` on main."""
    where.mkdir(parents=True)
    for name, text in files.items():
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_text(text, encoding="utf-8")
    git(where, "init", "--quiet", "--initial-branch=main", ".")
    git(where, "add", "--all", ".")
    git(where, "commit", "--quiet", "-m", "first")
    return where
