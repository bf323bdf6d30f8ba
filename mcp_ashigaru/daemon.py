"""The composition root: the only place that knows every adapter. Builds everything, starts it, stops it."""

from __future__ import annotations

import fcntl
import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import Mount
from starlette.types import ASGIApp

from mcp_ashigaru.server import build_server
from mcp_ashigaru.settings import ConfigError, Settings
from mcp_ashigaru.web.doorkeeper import Door, Doorkeeper
from mcp_ashigaru.web.pages import PullPages, routes
from runner import ladder
from runner.adapters.dbos_rounds import DbosRounds
from runner.adapters.forge_store import SqlForgeStore
from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.git_http import git_http_app
from runner.adapters.local_forge import LocalForge
from runner.adapters.podman_containers import PodmanContainers
from runner.adapters.podman_service import PodmanService
from runner.adapters.sql_records import SqlRecords, migrate, open_engine
from runner.adapters.system_clock import SystemClock
from runner.agent_run import AgentRunner, ModelAccess
from runner.closing import Closing
from runner.engine import Engine
from runner.gate_run import GateRunner
from runner.gateway.access import EgressAccess, GatewayAccess
from runner.layout import Layout
from runner.policy import ChangeLimits
from runner.ports import Clock, Containers
from runner.publishing import Publisher
from runner.sandbox import Recipes
from runner.sandbox_run import SandboxRunner
from runner.service import Policy, Service
from runner.setup_run import Egress, SetUp

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a story test puts in the place of the world; None: the real thing."""

    containers: Containers | None = None
    model: ModelAccess | None = None
    egress: Egress | None = None
    clock: Clock | None = None


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A running daemon: the ASGI app to serve, the MCP server for stdio, and the forge for the people's commands."""

    app: ASGIApp
    server: MCPServer[Any]
    service: Service
    forge: LocalForge
    stopping: threading.Event


def open_forge(settings: Settings) -> LocalForge:
    """The local forge of the state directory, usable with or without a running daemon."""
    layout = Layout(state_dir=settings.state_dir)
    engine = open_engine(records_url(settings))
    migrate(engine)
    return LocalForge(layout.forge, SqlForgeStore(engine), base_url=settings.url, secret=_forge_secret(settings.state_dir))


def records_url(settings: Settings) -> str:
    """Where the records are."""
    return settings.database_url or f"sqlite:///{settings.state_dir}/ashigaru.db"


@contextmanager
def running(settings: Settings, parts: Parts | None = None) -> Iterator[Daemon]:
    """Everything up, and everything down again; sandboxes at work go on without us and are adopted at the next start.

    Raises ConfigError, RunnerError with one sentence.
    """
    given = parts or Parts()
    with ExitStack() as stack:
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        stack.enter_context(_only_daemon(settings.state_dir))
        stopping = threading.Event()
        clock = given.clock or SystemClock()
        layout = Layout(state_dir=settings.state_dir)
        records_engine = open_engine(records_url(settings))
        stack.callback(records_engine.dispose)
        migrate(records_engine)
        records = SqlRecords(records_engine)
        forge = LocalForge(
            layout.forge, SqlForgeStore(records_engine), base_url=settings.url, secret=_forge_secret(settings.state_dir)
        )
        checkouts = GitCheckouts(layout.mirrors_and_clones, name=settings.commit_name, email=settings.commit_email)
        containers = given.containers or _podman(settings, stack)
        model = given.model or stack.enter_context(GatewayAccess.from_settings(settings, records, clock))
        egress = given.egress or stack.enter_context(
            EgressAccess(allowed=settings.setup_egress, private_hosts=settings.setup_private_hosts)
        )
        late = _Late()
        engine = _engine(
            settings, layout, records, forge, checkouts, containers, model, egress, clock, stopping, late.resubmit, stack
        )
        rounds = DbosRounds(
            settings.engine_database_url or f"sqlite:///{settings.state_dir}/engine.db",
            host_id=settings.host_id,
            slots=settings.slots,
            carry_out=engine.carry_out,
            begin=ladder.begin,
            advance=ladder.advance,
            on_fault=late.faulted,
            stopping=stopping,
        )
        service = Service(
            policy=Policy(repos=frozenset(settings.repos), ladder=settings.ladder, bounds=settings.bounds),
            records=records,
            rounds=rounds,
            forge=forge,
            checkouts=checkouts,
            clock=clock,
        )
        late.service, late.rounds = service, rounds
        server = build_server(service)
        app = _asgi(settings, server, forge, layout)
        rounds.launch()
        stack.callback(rounds.close, 4.0)
        stack.callback(stopping.set)
        service.recover()
        yield Daemon(app=app, server=server, service=service, forge=forge, stopping=stopping)
