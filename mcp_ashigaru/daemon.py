"""The composition root, with `stores` and `walls`: nobody else knows an adapter. Builds, starts and stops."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import Mount
from starlette.types import ASGIApp

from mcp_ashigaru.books import open_books
from mcp_ashigaru.building import World, build
from mcp_ashigaru.carrying import Late, carrying_of, comeback_of, policy_of
from mcp_ashigaru.house import House
from mcp_ashigaru.server import build_server
from mcp_ashigaru.settings import Settings
from mcp_ashigaru.state_dir import forge_secret, is_reconciled, make_state_dir, only_daemon, was_restored
from mcp_ashigaru.stores import (
    engine_url,
)
from mcp_ashigaru.walls import fleet_of, gateways_of, own_podman, podman_containers
from mcp_ashigaru.web.doorkeeper import Doorkeeper
from mcp_ashigaru.web.foremost import Foremost
from mcp_ashigaru.web.pages import PullPages, routes
from mcp_ashigaru.web.webhooks import webhook_routes
from runner import ladder
from runner.adapters.dbos_rounds import DbosRounds
from runner.adapters.git_http import git_http_app
from runner.adapters.local_forge import LocalForge
from runner.adapters.system_clock import SystemClock, boot_id, up_s
from runner.desk import Desk
from runner.facts import Fact, Step
from runner.halting import HaltWatch
from runner.house_watch import HouseWatch
from runner.layout import Layout
from runner.model import RoundInput
from runner.model_access import ModelAccess
from runner.ports import Clock, Containers
from runner.precedence import Precedence
from runner.rounds import Rounds
from runner.service import Service
from runner.setup_run import Egress
from runner.standstill import Standstill, mending, standing
from runner.sweeping import Sweep
from runner.timeline import Timeline
from runner.watch import Watch

_LOG = logging.getLogger(__name__)
_STEPS_S = 2.5
"""How long steps have to leave; with the last requests and the gateways it makes five seconds."""
_THREAD_S = 0.7
"""The same for each thread that looks at something now and then."""
_MOST_SESSIONS = 1000


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a story test puts in the place of the world; None: the real thing."""

    containers: Containers | None = None
    model: ModelAccess | None = None
    egress: Egress | None = None
    clock: Clock | None = None
    boot: str | None = None
    """The id of the host's boot."""
    up: Callable[[], float] | None = None
    """Seconds since then."""
    witness: Callable[[RoundInput, Step, Fact], None] | None = None
    """Told of every fact before it is recorded; raising `Interrupted` there is a crash at that very place."""


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A running daemon: the ASGI app to serve, the MCP server for stdio, and the local forge (served only where it is
    the forge) for the people's commands. house: what keeps the house.
    """

    app: ASGIApp
    server: MCPServer[Any]
    service: Service
    forge: LocalForge
    rounds: Rounds
    stopping: threading.Event
    house: HouseWatch


@contextmanager
def running(settings: Settings, parts: Parts | None = None) -> Iterator[Daemon]:
    """Everything up, and everything down again; sandboxes at work go on without us and are adopted at the next start.

    Raises ConfigError, RunnerError with one sentence.
    """
    given = parts or Parts()
    with ExitStack() as stack:
        make_state_dir(settings.state_dir)
        fleet = fleet_of(settings)
        stack.enter_context(only_daemon(settings.state_dir))
        stopping = threading.Event()
        clock = given.clock or SystemClock()
        timeline = _timeline_of(given, clock)
        precedence = Precedence(clock)
        layout = Layout(state_dir=settings.state_dir)
        standstill = Standstill()
        books = open_books(settings, clock, standstill, stack)
        records, forge, checkouts = books.records, books.forge, books.checkouts
        model, egress = given.model, given.egress
        if model is None or egress is None:
            walls = stack.enter_context(gateways_of(settings, books.spending))
            model, egress = model or walls.model, egress or walls.egress
        # After the walls: a token that is missing is told before podman's service is started.
        containers = given.containers or podman_containers(settings, stack)
        beside = ThreadPoolExecutor(max_workers=settings.slots, thread_name_prefix="base-gate")
        stack.callback(beside.shutdown, wait=False, cancel_futures=True)
        late = Late()
        stocked = House(
            engine=books.database, records=records, receipts=books.receipts, checkouts=checkouts, clock=clock
        )
        # Where the sandboxes are a test's, podman's images are none of ours.
        argv = () if given.containers is not None else own_podman(settings)
        house = stocked.watch(settings, forge, argv, stopping.is_set)
        built = build(
            World(
                settings=settings,
                fleet=fleet,
                containers=containers,
                checkouts=checkouts,
                forge=forge,
                records=records,
                clock=clock,
                model=model,
                egress=egress,
                receipts=books.receipts,
                stopping=stopping,
                relief=house.relieve,
                timeline=timeline,
                precedence=precedence,
            ),
            beside,
            late.resubmit,
        )
        engine = DbosRounds(
            engine_url(settings),
            host_id=settings.host_id,
            slots=settings.slots,
            carry_out=standing(
                _witnessed(late.told_of_ends(built.engine.carry_out), given.witness), standstill, stopping
            ),
            begin=ladder.begin,
            advance=ladder.advance,
            on_fault=late.faulted,
            on_stuck=standstill.begin,
            stopping=stopping,
            due=late.due,
            give_way=precedence.give_way,
        )
        carrying = carrying_of(
            settings,
            fleet,
            engine=engine,
            records=records,
            timeline=timeline,
            moments=books.moments,
            book=books.slots,
            precedence=precedence,
        )
        slots, policy = carrying.slots, policy_of(settings, fleet)
        service = Service(
            policy=policy,
            records=records,
            pool=slots,
            admission=carrying.admission,
            forge=forge,
            checkouts=checkouts,
            clock=clock,
            keeper=built.keeper,
            spending=books.spending,
            ledger=stocked.ledger,
            standstill=standstill,
            ages=carrying.ages,
        )
        comeback = comeback_of(
            policy,
            slots,
            closing=built.closing,
            keeper=built.keeper,
            forge=forge,
            timeline=timeline,
            moments=books.moments,
            service=service,
            every_s=settings.watch_s,
        )
        late.recovery, late.pool = comeback.recovery, slots
        server = build_server(service, stopping)
        look = comeback.unasked.followed(service.follower.look)
        watch = Watch(records, look, clock, every_s=settings.watch_s, precedence=precedence)
        shown = books.local if settings.forge == "local" else None
        app = _asgi(settings, server, shown, layout, watch, service, standstill)
        slots.launch()
        stack.callback(_leave, slots, stopping)
        comeback.begin(restored=was_restored(settings.state_dir))
        is_reconciled(settings.state_dir)
        carrying.waits.start()
        slots.open()
        stack.enter_context(mending(standstill, books.try_to_write, comeback.mend))
        halts = HaltWatch(records=records, rounds=slots, spending=books.spending, precedence=precedence)
        asking = Sweep(look=comeback.unasked.look, every_s=settings.watch_s)
        for watching in (Sweep(look=comeback.mend), asking, watch, halts, house):
            stack.callback(watching.close, _THREAD_S)
            watching.start()
        yield Daemon(
            app=Doorkeeper(Foremost(app, precedence), books.door),
            server=server,
            service=service,
            forge=books.local,
            rounds=slots,
            stopping=stopping,
            house=house,
        )


def _timeline_of(given: Parts, clock: Clock) -> Timeline:
    boot = boot_id() if given.boot is None else given.boot
    # Whoever brings a clock has a host that is never suspended. An unknown boot is like no other.
    up = up_s if given.clock is None else given.up
    return Timeline(clock=clock, boot=boot or secrets.token_hex(8), up=up)


def _witnessed(
    carry_out: Callable[[RoundInput, Step], Fact], witness: Callable[[RoundInput, Step, Fact], None] | None
) -> Callable[[RoundInput, Step], Fact]:
    if witness is None:
        return carry_out

    def seen(round_input: RoundInput, step: Step) -> Fact:
        fact = carry_out(round_input, step)
        witness(round_input, step, fact)
        return fact

    return seen


def _leave(rounds: Rounds, stopping: threading.Event) -> None:
    """Steps leave at their next look at `stopping`; one that hangs does not hold the process."""
    stopping.set()
    if not rounds.close(_STEPS_S):
        _LOG.warning("a step did not leave in time; it is done again at the next start")


def _asgi(
    settings: Settings,
    server: MCPServer[Any],
    forge: LocalForge | None,
    layout: Layout,
    watch: Watch,
    service: Service,
    standstill: Standstill,
) -> ASGIApp:
    """/mcp, the local forge's git and pages or GitHub's webhooks: all that stands behind the door."""
    app = server.streamable_http_app(
        max_sessions=_MOST_SESSIONS,
        # One layer checks Host and Origin for every route, /mcp among them.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    if forge is None:
        app.router.routes.extend(routes(None, lambda: standstill.why))
        if settings.github_webhook_secret is not None:
            app.router.routes.extend(webhook_routes(settings.github_webhook_secret.get_secret_value(), watch.nudge))
    else:
        pages = PullPages(
            pull=forge.pull,
            diff=forge.diff,
            talk=forge.operator.talk,
            sees=lambda caller, repo, number: Desk(service, caller).sees_pull(repo, number),
        )
        app.router.routes.extend(routes(pages, lambda: standstill.why))
        app.router.routes.append(Mount("/forge", git_http_app(layout.forge, forge_secret(settings.state_dir))))
    return app
