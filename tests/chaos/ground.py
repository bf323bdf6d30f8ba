"""What outlives every daemon of one run: its state directory, its forge, its sandboxes."""

from __future__ import annotations

import os
import random
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_ashigaru.settings import Settings, load_settings
from mcp_ashigaru.state_dir import make_state_dir
from mcp_ashigaru.stores import forge_of, records_url
from runner.adapters.sql_engine import migrate, open_engine
from runner.sandboxes import Role, SandboxSpec
from tests.chaos.engine_socket import served
from tests.chaos.engines import Engine, FakeEngine
from tests.chaos.points import Arm
from tests.chaos.scenarios import Scenario
from tests.chaos.victim import Order
from tests.fakes.behaviours import Behaviour
from tests.fakes.containers import FakeContainers
from tests.fakes.github.running import running_double
from tests.story.house import LADDER, repository
from tests.story.scenes import FILES, attempt_of
from tests.story.worlds import BOT, GithubWorld, LocalWorld, World

FORGES = ("local", "github")
_ENOUGH = 1024**3
_MEMORY = Path("/dev/shm")  # noqa: S108 - where there is one; a killed process loses nothing there


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory with a short name, in memory if it can be: nothing here is about the power going off."""
    above = _MEMORY if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH else None
    return tempfile.TemporaryDirectory(prefix="ash", dir=above, ignore_cleanup_errors=True)


@dataclass(kw_only=True)
class Ground:
    """One run's. hands: how many directories were given to people."""

    home: Path
    scenario: Scenario
    world: World
    engine: Engine
    settings: dict[str, Any]
    socket: str
    without: tuple[str, ...] = ()
    drain: bool = False
    hands: int = 0
    done: set[str] = field(default_factory=set)

    @property
    def state(self) -> Path:
        return self.home / "s"

    @property
    def journal(self) -> Path:
        return self.home / "journal"

    @property
    def log(self) -> Path:
        return self.home / "log"

    def order(self, arm: Arm | None, since: int | None = None) -> Order:
        """The next process of this run. since: see `Points`."""
        return Order(
            settings=self.settings,
            journal=self.journal,
            log=self.log,
            engine=self.socket,
            arm=arm,
            exhausted=self.scenario.exhausted,
            without=self.without,
            drain=self.drain,
            since=since,
        )

    def once(self, key: str, deed: Callable[[], None]) -> None:
        if key not in self.done:
            deed()
            self.done.add(key)

    def hand(self) -> Path:
        self.hands += 1
        where = self.home / f"hand-{self.hands}"
        where.mkdir()
        return where


@dataclass(kw_only=True)
class Templates:
    """State directories as a first start leaves them, by forge, and the repository to be worked on."""

    home: Path
    begun: Callable[[Order], None]
    """Have a process of that order come up and leave again."""
    _made: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        source = repository(self.home / "source", FILES)
        self.sources = dict.fromkeys(FORGES, source)

    def state(self, forge: str) -> Path:
        """A state directory to be copied."""
        if forge not in self._made:
            where = self.home / f"t-{forge}"
            settings: dict[str, Any] = {"state_dir": where, "port": 0, "host_id": "here"}
            if forge != "github":
                _filled(load_settings(**settings), self.sources[forge])
            journal, log = self.home / f"j-{forge}", self.home / f"l-{forge}"
            with served(FakeContainers(lambda _: _no_sandbox), self.home / f"e-{forge}"):
                told = settings | {"state_dir": str(where)}
                self.begun(Order(settings=told, journal=journal, log=log, engine=str(self.home / f"e-{forge}")))
            self._made[forge] = where
        return self._made[forge]


def _filled(settings: Settings, source: Path) -> None:
    """The repository is in the built-in forge, and no connection is left whose files come and go beside a copy."""
    make_state_dir(settings.state_dir)
    records = open_engine(records_url(settings))
    try:
        migrate(records)
        forge_of(settings, records).add(str(source), "widgets")
    finally:
        records.dispose()


def _no_sandbox(_: Any) -> Any:
    raise AssertionError("nothing is to be started here")


@contextmanager
def ground(scenario: Scenario, forge: str, templates: Templates, without: tuple[str, ...] = ()) -> Iterator[Ground]:
    """The ground of one run on that forge; gone afterwards."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(scratch()))
        shutil.copytree(templates.state(forge), home / "s", symlinks=True)
        settings: dict[str, Any] = {
            "state_dir": str(home / "s"),
            "port": free_port(),
            "host_id": "here",
            "slots": 3,
            "ladder": [tier.__dict__ for tier in LADDER],
            "watch_s": 0.05,
            "review_settle_s": 0.0,
            "ci_grace_s": 0.0,
            "disk_floor": 0,
            **scenario.settings,
        }
        world: World
        if forge == "local":
            world = local_world(stack, settings, templates.sources[forge])
        else:
            double = stack.enter_context(running_double(home))
            double.add_repo(GithubWorld.repo, source=templates.sources[forge])
            for login in (BOT, "ann"):
                double.collaborator(GithubWorld.repo, login, "write")
            world = GithubWorld(double=double, token=double.token(BOT))
            settings |= {"forge": "github", "github_url": f"{double.origin}/api/v3", "github_token": world.token}

        if scenario.name == "ci":
            world.require("build")

        def behaviour(spec: SandboxSpec) -> Behaviour:
            return scenario.agents[attempt_of(spec)] if spec.role is Role.AGENT else scenario.gate

        containers = FakeContainers(behaviour)
        stack.enter_context(served(containers, home / "e"))
        yield Ground(
            home=home,
            scenario=scenario,
            world=world,
            engine=FakeEngine(containers=containers),
            settings=settings,
            socket=str(home / "e"),
            without=without,
        )


def local_world(stack: ExitStack, settings: dict[str, Any], source: Path) -> LocalWorld:
    """The built-in forge of a state directory that a daemon has been at, for the people who use it beside."""
    told = load_settings(**settings)
    # No `open_forge`: the tables are there, and Alembic is not for several threads.
    records = open_engine(records_url(told))
    stack.callback(records.dispose)
    return LocalWorld(source=source, _forge=forge_of(told, records), _root=told.state_dir / "forge" / "widgets.git")


def free_port() -> int:
    """A free port below those that connections are given, so that it stays free between two daemons of a run."""
    for port in random.SystemRandom().sample(range(12000, 32000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise LookupError("no port is free")
