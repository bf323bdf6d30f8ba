"""What carries rounds out, built of the parts that the daemon was given or has made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mcp_ashigaru.secrecy import guard_of
from mcp_ashigaru.settings import Settings
from mcp_ashigaru.stores import ci_policy_of
from mcp_ashigaru.walls import disk_of, recipes_of
from runner.agent_reading import EventReader
from runner.agent_run import AgentRunner
from runner.ahead import Ahead
from runner.base_run import BaseJudge
from runner.cancel_board import CancelBoard
from runner.closing import Closing
from runner.disk import Disk
from runner.engine import Engine
from runner.fleet import Fleet
from runner.gate_run import GateRunner
from runner.gate_take import GateTakes
from runner.guard import Guard
from runner.judging import TreeJudge
from runner.keeping import Keeper
from runner.layout import Layout
from runner.lookout import Lookout
from runner.model import RoundInput
from runner.model_access import ModelAccess
from runner.planning import Planner
from runner.ports import Checkouts, Clock, Containers, Forge
from runner.precedence import Precedence
from runner.preparing import Preparer
from runner.publishing import Publisher
from runner.receipts import Receipts
from runner.recipes import Recipes
from runner.records import Records
from runner.sandbox_run import SandboxRunner
from runner.setup_run import Egress, SetUp
from runner.timeline import Timeline


@dataclass(frozen=True, kw_only=True)
class JudgesWorld:
    """The ports that judging needs, and the settings that say how they are used. relief: of a full disk, see `Disk`."""

    settings: Settings
    fleet: Fleet
    containers: Containers
    checkouts: Checkouts
    records: Records
    clock: Clock
    egress: Egress
    stopping: threading.Event
    relief: Callable[[], str] | None = None
    timeline: Timeline | None = None


@dataclass(frozen=True, kw_only=True)
class World(JudgesWorld):
    """The ports that the whole job needs."""

    forge: Forge
    model: ModelAccess
    receipts: Receipts
    precedence: Precedence


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What judges, and what it shares with whoever starts sandboxes beside it."""

    gates: GateRunner
    planner: Planner
    guard: Guard
    layout: Layout
    sandboxes: SandboxRunner
    recipes: Recipes
    early: Ahead
    disk: Disk


@dataclass(frozen=True, kw_only=True)
class Built:
    """What the rest of the daemon uses of it."""

    engine: Engine
    keeper: Keeper
    closing: Closing


def build_judging(world: JudgesWorld, *, discard_s: float = 5.0) -> Judging:
    """The judge, wherever it sits. discard_s: see `SandboxRunner`."""
    settings, containers, checkouts, clock = world.settings, world.containers, world.checkouts, world.clock
    layout = Layout(state_dir=settings.state_dir)
    early = Ahead(containers=containers)
    disk = disk_of(settings, clock, world.relief)
    sandboxes = SandboxRunner(
        containers=containers,
        clock=clock,
        stopping=world.stopping,
        disk=disk,
        discard_s=discard_s,
        timeline=world.timeline,
    )
    recipes = recipes_of(settings, containers)
    guard = guard_of(settings, world.records, clock)
    takes = GateTakes(
        containers=containers,
        checkouts=checkouts,
        clock=clock,
        layout=layout,
        recipes=recipes,
        sandboxes=sandboxes,
        early=early,
    )
    gates = GateRunner(
        containers=containers,
        checkouts=checkouts,
        records=world.records,
        clock=clock,
        recipes=recipes,
        sandboxes=sandboxes,
        takes=takes,
        judging=TreeJudge(takes=takes, side_by_side=settings.gates_side_by_side),
        set_up=SetUp(
            containers=containers,
            checkouts=checkouts,
            clock=clock,
            layout=layout,
            recipes=recipes,
            sandboxes=sandboxes,
            egress=world.egress,
            records=world.records,
            fleet=world.fleet,
        ),
        guard=guard,
    )
    return Judging(
        guard=guard,
        gates=gates,
        planner=Planner(checkouts=checkouts, fleet=world.fleet, service_images=settings.service_images),
        layout=layout,
        sandboxes=sandboxes,
        recipes=recipes,
        early=early,
        disk=disk,
    )


def build(world: World, pool: ThreadPoolExecutor, resubmit: Callable[[RoundInput, float], None]) -> Built:
    """Everything that a step of a round needs. pool: judges bases beside agents; resubmit: after so many seconds."""
    settings, containers, checkouts, clock = world.settings, world.containers, world.checkouts, world.clock
    records, forge, model = world.records, world.forge, world.model
    judging = build_judging(world)
    layout, planner, guard = judging.layout, judging.planner, judging.guard
    keeper = Keeper(
        checkouts=checkouts,
        forge=forge,
        records=records,
        clock=clock,
        layout=layout,
        limits=world.fleet.limits,
        guard=guard,
    )
    closing = Closing(
        containers=containers,
        records=records,
        clock=clock,
        layout=layout,
        model=model,
        host=judging.recipes.host,
        resubmit=resubmit,
    )
    ci = ci_policy_of(settings)
    engine = Engine(
        checkouts=checkouts,
        forge=forge,
        records=records,
        clock=clock,
        agents=AgentRunner(
            containers=containers,
            checkouts=checkouts,
            records=records,
            clock=clock,
            layout=layout,
            recipes=judging.recipes,
            sandboxes=judging.sandboxes,
            model=model,
            limits=world.fleet.limits,
            early=judging.early,
            reader=EventReader(records=records, clock=clock, guard=guard, precedence=world.precedence),
            lookout=Lookout(clock, world.precedence),
        ),
        gates=judging.gates,
        base=BaseJudge(judging.gates, pool),
        keeper=keeper,
        publisher=Publisher(
            checkouts=checkouts,
            forge=forge,
            records=records,
            clock=clock,
            ci=ci,
            guard=guard,
            receipts=world.receipts,
        ),
        closing=closing,
        planner=planner,
        preparer=Preparer(checkouts=checkouts, forge=forge, records=records, clock=clock, planner=planner),
        cancels=CancelBoard(records, clock),
        disk=judging.disk,
    )
    return Built(engine=engine, keeper=keeper, closing=closing)
