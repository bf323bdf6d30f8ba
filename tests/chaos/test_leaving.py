"""How a daemon leaves: at once, its agents going on without it, or when the rounds at work have come to rest."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.chaos.conftest import Chaos
from tests.chaos.driving import Driver
from tests.chaos.ground import Ground, ground
from tests.chaos.scenarios import Scenario
from tests.fakes.behaviours import Held
from tests.story.scenes import RIGHT, held

pytestmark = pytest.mark.slow

LEAVING_S = 5.0
RESTING_S = 60.0


@contextmanager
def at_work(chaos: Chaos, agent: Held, *, drain: bool) -> Iterator[Driver]:
    """A daemon with one slot whose agent has begun, and waits to be released."""
    scenario = Scenario(name="held", agents={1: agent}, goals=(), settings={"slots": 1})
    with ground(scenario, "local", chaos.templates) as here:
        here.drain = drain
        driver = Driver(ground=here, nursery=chaos.nursery, arms=[])
        try:
            driver.start()
            driver.run_id = str(driver.call("work_ticket", repo="widgets", issue=1, brief="Off by one.")["run_id"])
            assert agent.reached.wait(20)
            yield driver
        finally:
            if driver.victim is not None:
                driver.victim.kill()
            driver.hang_up()


def phase(driver: Driver, run_id: str = "") -> str:
    return str(driver.call("status", run_id=run_id or driver.run_id)["phase"])


def left(driver: Driver, within_s: float = LEAVING_S) -> int | None:
    """How the process ended."""
    assert driver.victim is not None
    assert driver.victim.ended.wait(within_s)
    return driver.victim.status


def send(driver: Driver, number: signal.Signals) -> None:
    assert driver.victim is not None
    driver.victim.signal(number)


def until_review(driver: Driver, run_id: str) -> None:
    for _ in range(30):
        told = driver.call("status", run_id=run_id)
        if told["phase"] == "awaiting_review":
            return
        driver.call("status", run_id=run_id, since=told["cursor"], wait_s=1)
    pytest.fail(str(told))


def agents(here: Ground) -> list[str]:
    return [name for name in here.engine.started("") if name.startswith("ash-agent-")]


def test_sigterm_leaves_the_agent_at_work_and_the_next_start_adopts_it(chaos: Chaos) -> None:
    agent = held(RIGHT)
    with at_work(chaos, agent, drain=False) as driver:
        send(driver, signal.SIGTERM)
        assert left(driver) == 0
        driver.start()
        assert phase(driver) == "agent"
        agent.release()
        until_review(driver, driver.run_id)
        assert agents(driver.ground) == [f"ash-agent-{driver.run_id}-1"]


@pytest.mark.parametrize(("drain", "asked"), [(True, signal.SIGTERM), (False, signal.SIGUSR1)])
def test_a_drain_waits_for_the_round_at_work_and_begins_no_other(
    chaos: Chaos,
    drain: bool,  # noqa: FBT001 - pytest gives it
    asked: signal.Signals,
) -> None:
    agent = held(RIGHT)
    with at_work(chaos, agent, drain=drain) as driver:
        send(driver, asked)
        other = str(driver.call("work_ticket", repo="widgets", issue=2, brief="Another.")["run_id"])
        assert phase(driver) == "agent"
        agent.release()
        # The round's own time, and then the five seconds.
        assert left(driver, RESTING_S) == 0
        driver.start()
        assert phase(driver) == "awaiting_review"
        until_review(driver, other)
        assert agents(driver.ground) == [f"ash-agent-{driver.run_id}-1", f"ash-agent-{other}-1"]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_waiting_at_once(chaos: Chaos, second: signal.Signals) -> None:
    agent = held(RIGHT)
    with at_work(chaos, agent, drain=True) as driver:
        send(driver, signal.SIGTERM)
        assert phase(driver) == "agent"
        send(driver, second)
        assert left(driver) == 0
        driver.start()
        assert phase(driver) == "agent"
        agent.release()
        until_review(driver, driver.run_id)
        assert len(agents(driver.ground)) == 1
