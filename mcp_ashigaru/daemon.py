"""The composition root, with `stores` and `walls`: nobody else knows an adapter. Builds, starts and stops."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import Mount
from starlette.types import ASGIApp

from mcp_ashigaru.building import World, build
from mcp_ashigaru.house import House
from mcp_ashigaru.listening import door_of
from mcp_ashigaru.server import build_server
from mcp_ashigaru.settings import Settings
from mcp_ashigaru.state_dir import forge_secret, is_reconciled, make_state_dir, only_daemon, was_restored
from mcp_ashigaru.stores import (
    checkouts_of,
    ci_policy_of,
    engine_url,
    forge_of,
    github_of,
    keyring_of,
    receipted,
    receipts_of,
    records_url,
    spending_of,
    try_to_write,
)
from mcp_ashigaru.walls import fleet_of, gateways_of, own_podman, podman_containers
from mcp_ashigaru.web.doorkeeper import Doorkeeper
from mcp_ashigaru.web.pages import PullPages, routes
from mcp_ashigaru.web.webhooks import webhook_routes
from runner import ladder
from runner.adapters.dbos_rounds import DbosRounds
from runner.adapters.git_http import git_http_app
from runner.adapters.host_lock import only_host
from runner.adapters.local_forge import LocalForge
from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_faults import report
from runner.adapters.sql_moments import SqlMoments
from runner.adapters.sql_receipts import ReceiptedRecords, SqlReceipts
from runner.adapters.system_clock import SystemClock, boot_id, up_s
from runner.ages import Ages
from runner.allowed import Policy
from runner.desk import Desk
from runner.enqueueing import Enqueueing
from runner.errors import RecordsFault
from runner.facts import Fact, Step
from runner.halting import HaltWatch
from runner.house_watch import HouseWatch
from runner.layout import Layout
from runner.model import RoundInput
from runner.model_access import ModelAccess
from runner.ports import Clock, Containers, Forge
from runner.round_after import first_round
from runner.rounds import Rounds
from runner.service import Service
from runner.setup_run import Egress
from runner.standstill import Standstill, mending, standing
from runner.timeline import Timeline
from runner.waits import PatientRounds
from runner.watch import Watch

_LOG = logging.getLogger(__name__)
_STEPS_S = 2.5
"""How long steps have to leave; with the last requests and the gateways it makes five seconds."""


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
        layout = Layout(state_dir=settings.state_dir)
        records_engine = open_engine(records_url(settings))
        stack.callback(records_engine.dispose)
        migrate(records_engine)
        stack.enter_context(only_host(records_engine, settings.host_id))
        standstill = Standstill()
        report(records_engine, "The records", standstill.begin)
        door = door_of(settings, keyring_of(settings, records_engine, clock))
        receipts = receipts_of(settings, records_engine, clock)
        receipts.recover()
        stack.callback(_anchor, receipts)
        records = ReceiptedRecords(records_engine, receipts)
        spending = spending_of(settings, records_engine, clock)
        local = forge_of(settings, records_engine)
        real: Forge = github_of(settings, clock) if settings.forge == "github" else local
        forge, checkouts = receipted(receipts, records, real, checkouts_of(settings))
        model, egress = given.model, given.egress
        if model is None or egress is None:
            walls = stack.enter_context(gateways_of(settings, spending))
            model, egress = model or walls.model, egress or walls.egress
        # After the walls: a token that is missing is told before podman's service is started.
        containers = given.containers or podman_containers(settings, stack)
        pool = ThreadPoolExecutor(max_workers=settings.slots, thread_name_prefix="base-gate")
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        late = _Late()
        stocked = House(engine=records_engine, records=records, receipts=receipts, checkouts=checkouts, clock=clock)
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
                receipts=receipts,
                stopping=stopping,
                relief=house.relieve,
                timeline=timeline,
            ),
            pool,
            late.resubmit,
        )
        engine = DbosRounds(
            engine_url(settings),
            host_id=settings.host_id,
            slots=settings.slots,
            carry_out=standing(_witnessed(built.engine.carry_out, given.witness), standstill, stopping),
            begin=ladder.begin,
            advance=ladder.advance,
            on_fault=late.faulted,
            on_stuck=standstill.begin,
            stopping=stopping,
        )
        book = SqlMoments(records_engine, settings.host_id)
        rounds = PatientRounds(rounds=engine, book=book, records=records, timeline=timeline)
        service = Service(
            policy=Policy(
                repos=frozenset(settings.repos),
                ladder=settings.ladder,
                bounds=settings.bounds,
                ci=ci_policy_of(settings),
                review_settle_s=settings.review_settle_s,
                start_where_cheapest=settings.start_policy == "cheapest",
            ),
            records=records,
            rounds=rounds,
            forge=forge,
            checkouts=checkouts,
            clock=clock,
            keeper=built.keeper,
            closing=built.closing,
            spending=spending,
            ledger=stocked.ledger,
            standstill=standstill,
            ages=Ages(book=book, records=records, timeline=timeline),
        )
        late.service, late.rounds = service, rounds
        server = build_server(service, stopping)
        watch = Watch(records, service.follower.look, clock, every_s=settings.watch_s)
        app = _asgi(settings, server, local if settings.forge == "local" else None, layout, watch, service, standstill)
        rounds.launch()
        stack.callback(_leave, rounds, stopping)
        if was_restored(settings.state_dir):
            service.recover(restored=True)
            is_reconciled(settings.state_dir)
        else:
            service.recover()
        rounds.start()
        stack.callback(watch.close, 1.0)
        watch.start()
        left_out = Enqueueing(
            records=records,
            rounds=rounds,
            clock=clock,
            first=partial(first_round, ladder=settings.ladder, bounds=settings.bounds),
        )
        stack.enter_context(mending(standstill, partial(try_to_write, records_engine, receipts), left_out.catch_up))
        for watching in (HaltWatch(records=records, rounds=rounds, spending=spending), house):
            stack.callback(watching.close, 0.5)
            watching.start()
        yield Daemon(
            app=Doorkeeper(app, door), server=server, service=service, forge=local, stopping=stopping, house=house
        )


def _timeline_of(given: Parts, clock: Clock) -> Timeline:
    boot = boot_id() if given.boot is None else given.boot
    # Whoever brings a clock has a host that is never suspended. An unknown boot is like no other.
    return Timeline(clock=clock, boot=boot or secrets.token_hex(8), up=up_s if given.clock is None else None)


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


@dataclass
class _Late:
    """What the engine needs of those that are built after it."""

    service: Service | None = None
    rounds: Rounds | None = None

    def resubmit(self, round_input: RoundInput, delay_s: float) -> None:
        if self.rounds is not None:
            self.rounds.submit(round_input, delay_s=delay_s)

    def faulted(self, round_input: RoundInput, detail: str) -> None:
        if self.service is not None:
            self.service.faulted(round_input, detail)


def _anchor(receipts: SqlReceipts) -> None:
    """The chain's head is in the anchor file, if anything can be written; a daemon leaves all the same."""
    try:
        receipts.anchor()
    except RecordsFault as exc:
        _LOG.warning("the last receipts are not anchored: %s", exc)


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
