"""One run through its crashes: a daemon that is started again as often as it dies, and a caller who asks again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mcp_ashigaru.client import CallRefused, connect
from tests.chaos.ground import Ground, Templates, ground
from tests.chaos.nursery import Nursery, Victim
from tests.chaos.points import Arm, kills, passages, port_told
from tests.chaos.scenarios import Goal, Scenario, Told
from tests.chaos.seen import Difference, Seen, compared, look
from tests.chaos.victim import Order
from tests.story.worlds import World

_UP_S = 20.0
_CALL_S = 10.0
RUN_S = 40.0
_SETTLE_S = 8.0
_MOST_LIVES = 12
_LOG = logging.getLogger(__name__)


class _Died(Exception):
    """The daemon is gone in the middle of something."""


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
    deadline: float = field(default_factory=lambda: time.monotonic() + RUN_S)

    @property
    def world(self) -> World:
        return self.ground.world

    def once(self, key: str, deed: Any) -> None:
        self.ground.once(key, deed)

    def hand(self) -> Any:
        return self.ground.hand()

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A tool's answer. Raises CallRefused, _Died."""
        url = f"http://127.0.0.1:{self.ground.settings['port']}"

        async def once() -> dict[str, Any]:
            async with connect(url, None) as caller:
                return await caller.call(tool, **arguments)

        try:
            return asyncio.run(asyncio.wait_for(once(), _CALL_S))
        except CallRefused:
            raise
        except BaseException as exc:
            if isinstance(exc, KeyboardInterrupt | SystemExit):
                raise
            if self.victim is not None and self.victim.ended.wait(2.0):
                raise _Died from exc
            raise

    def start(self) -> None:
        """A daemon is up; one that dies while it starts is started again."""
        while True:
            self.lives += 1
            if self.lives > _MOST_LIVES:
                raise Stuck("it dies at every start")
            arm = self.arms.pop(0) if self.arms else None
            before = port_told(self.ground.journal), self._ups()
            self.victim = self.nursery.begin(self.ground.order(arm))
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
                self.start()
        for goal in self.ground.scenario.goals:
            self._reach(goal)
        return self._status()

    def _reach(self, goal: Goal) -> None:
        asked, told = False, self._status()
        while True:
            if self.lives != getattr(self, "_asked_in", self.lives):
                asked = False
            try:
                if goal.deed is not None and not asked and goal.due(told):
                    self._asked_in = self.lives
                    asked = True
                    if not goal.done(told) or goal.name == "moved":
                        goal.deed(self, told)
                        told = self._status()
            except _Died:
                self.start()
                asked, told = False, self._status()
                continue
            except CallRefused as exc:
                _LOG.info("refused: %s", exc)
                asked = False
                told = self._status()
            if goal.done(told):
                return
            if time.monotonic() > self.deadline:
                raise Stuck(f"{goal.name} never came about; last: {told['phase']}: {told['headline']}")
            before = self.lives
            told = self._status(since=told["cursor"], wait_s=1)
            if self.lives != before or (goal.deed is not None and goal.due(told)):
                asked = asked and self.lives == before and goal.name != "promote"

    def _status(self, **more: Any) -> Told:
        while True:
            try:
                return self.call("status", run_id=self.run_id, **more)
            except _Died:
                self.start()

    def settled(self, expected: Seen | None) -> tuple[Seen, Difference]:
        """What there is once nothing moves any more, or the patience is over."""
        ends = time.monotonic() + _SETTLE_S
        while True:
            if self.victim is not None and self.victim.ended.is_set():
                self.start()
            seen = look(self.ground, self._status())
            difference = Difference() if expected is None else compared(seen, expected)
            busy = any(name.startswith(("sandbox", "file runs/", "PENDING", "ENQUEUED", "claim")) for name in seen.left)
            if time.monotonic() > ends or (expected is None and not busy) or (expected and difference.none):
                return seen, difference
            time.sleep(0.02)  # the world is looked at again: nothing tells when a daemon is idle


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
    with ground(scenario, forge, templates, without) as here:
        driver = Driver(ground=here, nursery=nursery, arms=list(arms))
        seen: Seen | None = None
        try:
            driver.go()
            seen, difference = driver.settled(expected)
        except (Stuck, TimeoutError, OSError) as exc:
            difference = Difference(lost=(f"{type(exc).__name__}: {exc}",))
        finally:
            if driver.victim is not None:
                driver.victim.kill()
        if here.containers.faults:
            difference = Difference(lost=(*difference.lost, here.containers.faults[0]))
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
