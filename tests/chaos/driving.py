"""One run through its crashes: a daemon that is started again as often as it dies, and a caller who asks again."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_ashigaru.client import CallRefused
from tests.chaos.ground import Ground, Templates, ground
from tests.chaos.line import Line
from tests.chaos.nursery import Nursery, Victim
from tests.chaos.podman_ground import PODMAN, podman_ground
from tests.chaos.points import Arm, kills, passages, port_told
from tests.chaos.scenarios import Goal, Scenario, Told
from tests.chaos.seen import Difference, Seen, compared, look
from tests.chaos.victim import Order
from tests.story.worlds import World

_UP_S = 90.0
RUN_S = 240.0
_SETTLE_S = 30.0
_MOST_LIVES = 12
_LOG = logging.getLogger(__name__)


class _Died(Exception):
    """The daemon, or the connection to it, is gone in the middle of something."""


class Stuck(Exception):
    """It never came to its end."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one run ended. killed: the points at which its daemons were killed."""

    scenario: str
    forge: str
    armed: tuple[Arm, ...]
    killed: tuple[str, ...]
    difference: Difference
    seen: Seen | None
    passed: Counter[str]
    seconds: float
    log: str = ""

    @property
    def word(self) -> str:
        if self.difference.lost:
            return "lost"
        return "duplicated" if self.difference.duplicates else "residue" if self.difference.residue else "the same"


@dataclass(kw_only=True)
class Driver:
    """A caller, and whoever starts the daemon again."""

    ground: Ground
    nursery: Nursery
    arms: list[Arm]
    run_id: str = ""
    lives: int = 0
    victim: Victim | None = None
    line: Line | None = None
    deadline: float = field(default_factory=lambda: time.monotonic() + RUN_S)
    armed: Arm | None = None
    since: int = 0
    carried: int | None = None
    fired: int = 0
    """since: the byte of the journal from which on the passages of the process that is armed count. carried: the same
    of the one that is to be armed as one before it was. fired: kills before the process began.
    """

    @property
    def world(self) -> World:
        return self.ground.world

    def once(self, key: str, deed: Any) -> None:
        self.ground.once(key, deed)

    def apart(self, key: str, deed: Callable[[Path], None]) -> None:
        """See `Asking.apart`; what the daemon was armed with is the next one's. Raises _Died."""
        if key in self.ground.done or self.victim is None:
            return
        self.victim.kill()
        if self.armed is not None and len(kills(self.ground.journal)) == self.fired:
            self.arms.insert(0, self.armed)
            self.carried = self.since
        self.ground.once(key, lambda: deed(self.ground.state))
        raise _Died

    def hand(self) -> Any:
        return self.ground.hand()

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A tool's answer. Raises CallRefused, _Died."""
        assert self.victim is not None
        if self.line is None:
            self.line = Line(f"http://127.0.0.1:{self.ground.settings['port']}")
        try:
            return self.line.call(self.victim.ended, tool, arguments)
        except CallRefused:
            raise
        except Exception as exc:
            # Whatever a connection that broke made of it: what counts is whether the daemon is gone.
            self.hang_up()
            self.victim.ended.wait(0.5)
            raise _Died from exc

    def hang_up(self) -> None:
        if self.line is not None:
            self.line.close()
            self.line = None

    def revive(self) -> None:
        """A daemon is up: the one that is there, if it is."""
        if time.monotonic() > self.deadline:
            raise Stuck("nobody answers")
        if self.victim is None or self.victim.ended.is_set():
            self.start()

    def start(self) -> None:
        """A daemon is up; one that dies while it starts is started again."""
        self.hang_up()
        while True:
            self.lives += 1
            if self.lives > _MOST_LIVES:
                raise Stuck("it dies at every start")
            self.armed = self.arms.pop(0) if self.arms else None
            self.fired = len(kills(self.ground.journal))
            self.since = _size(self.ground.journal) if self.carried is None else self.carried
            self.carried = None
            before = port_told(self.ground.journal), self._ups()
            self.victim = self.nursery.begin(self.ground.order(self.armed, self.since))
            ends = time.monotonic() + _UP_S
            while time.monotonic() < ends:
                if self._ups() > before[1]:
                    return
                if self.victim.ended.wait(0.01):
                    break
            if not self.victim.ended.is_set():
                raise Stuck("it does not come up")
            if self.victim.status != -9:
                raise Stuck(f"it left with status {self.victim.status} while it started")

    def _ups(self) -> int:
        path = self.ground.journal
        return path.read_text(encoding="utf-8").count("up at ") if path.exists() else 0

    def go(self) -> Told:
        """Through all goals, and to rest; the last status. Raises Stuck."""
        self.start()
        while not self.run_id:
            try:
                answer = self.call("work_ticket", repo=self.world.repo, issue=1, brief="Totals are off by one.")
                self.run_id = str(answer["run_id"])
            except _Died:
                self.revive()
        told = self._status()
        for goal in self.ground.scenario.goals:
            told = self._reach(goal, told)
        return told

    def _reach(self, goal: Goal, told: Told) -> Told:
        """The status in which the goal is reached. Its deed is asked for once a life; again where refused."""
        asked_in = 0
        while True:
            if goal.deed is not None and asked_in != self.lives and goal.due(told) and not goal.done(told):
                asked_in = self.lives
                try:
                    goal.deed(self, told)
                except _Died:
                    asked_in = 0
                    self.revive()
                except CallRefused as exc:
                    asked_in = 0
                    _LOG.info("refused: %s", exc)
                told = self._status()
            if goal.done(told):
                return told
            if time.monotonic() > self.deadline:
                raise Stuck(f"{goal.name} never came about; last: {told['phase']}: {told['headline']}")
            before = told["cursor"]
            told = self._status(since=before, wait_s=1)
            if told["cursor"] != before and goal.again:
                asked_in = 0

    def _status(self, **more: Any) -> Told:
        while True:
            try:
                return self.call("status", run_id=self.run_id, **more)
            except _Died:
                self.revive()

    def settled(self, expected: Seen | None) -> tuple[Seen, Difference]:
        """What there is once nothing moves any more, or the patience is over."""
        ends = time.monotonic() + _SETTLE_S
        while True:
            self.revive()
            seen = look(self.ground, self._status())
            difference = Difference() if expected is None else compared(seen, expected, self.ground.scenario.raced)
            busy = any(name.startswith(("sandbox", "file runs/", "PENDING", "ENQUEUED", "claim")) for name in seen.left)
            # What was done twice stays so, however long one waits for the rest.
            over = not busy if expected is None else difference.none or (bool(difference.duplicates) and not busy)
            if over or time.monotonic() > ends:
                return seen, difference
            time.sleep(0.02)  # the world is looked at again: nothing tells when a daemon is idle


def _size(journal: Path) -> int:
    return journal.stat().st_size if journal.exists() else 0


def run(
    nursery: Nursery,
    templates: Templates,
    scenario: Scenario,
    forge: str,
    *,
    arms: Sequence[Arm] = (),
    expected: Seen | None = None,
    without: tuple[str, ...] = (),
) -> Ended:
    """One run of the scenario, with a process killed at each arm in turn."""
    begun = time.monotonic()
    made = podman_ground(templates) if forge == PODMAN else ground(scenario, forge, templates, without)
    with made as here:
        driver = Driver(ground=here, nursery=nursery, arms=list(arms))
        seen: Seen | None = None
        try:
            driver.go()
            seen, difference = driver.settled(expected)
        except Exception as exc:  # noqa: BLE001 - one run that goes wrong in whatever way is a row of the table
            difference = Difference(lost=(f"{type(exc).__name__}: {exc}",))
        finally:
            if driver.victim is not None:
                driver.victim.kill()
            driver.hang_up()
        if faults := here.engine.faults():
            difference = Difference(lost=(*difference.lost, faults[0]))
        log = here.log.read_text(encoding="utf-8", errors="replace")[-6000:] if here.log.exists() else ""
        return Ended(
            scenario=scenario.name,
            forge=forge,
            armed=tuple(arms),
            killed=tuple(kills(here.journal)),
            difference=difference,
            seen=seen,
            passed=passages(here.journal),
            seconds=time.monotonic() - begun,
            log=log,
        )


def comes_up_and_leaves(nursery: Nursery, order: Order) -> None:
    """A process of that order, until it is up, and then told to leave."""
    victim = nursery.begin(order)
    ends = time.monotonic() + _UP_S
    while port_told(order.journal) is None:
        if victim.ended.wait(0.02) or time.monotonic() > ends:
            raise Stuck(order.log.read_text(encoding="utf-8")[-3000:])
    victim.signal(15)  # type: ignore[arg-type]
    if not victim.ended.wait(10):
        victim.kill()


@contextmanager
def templates_in(home: Any, nursery: Nursery) -> Iterator[Templates]:
    yield Templates(home=home, begun=lambda order: comes_up_and_leaves(nursery, order))
