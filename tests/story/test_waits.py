"""What is in the way outside: the model API in every way it fails, podman gone at every step, its storage full."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runner.conclusion import UpstreamFailure
from runner.errors import DiskLow, RunnerError, SandboxFault
from runner.facts import Fact, Step
from runner.model import RoundInput
from runner.sandboxes import Role, SandboxSpec
from tests.fakes.behaviours import AgentAtWork, works
from tests.fakes.containers import FakeContainers
from tests.story.house import LADDER, House
from tests.story.scenes import RIGHT, WRONG, branches, house_of, passes_when, says_hello, started, writes
from tests.story.test_trouble import hasten

LATER = 4_000_000_000.0
FULL = "Podman's storage is full; free some space, for example of images that nobody needs"


def api_error(status: int | None) -> dict[str, Any]:
    return {"is_error": True, "terminal_reason": "api_error", "api_error_status": status}


@pytest.mark.parametrize(
    ("status", "word", "sentence", "after_s"),
    [
        (429, "rate_limit_error", "The model API's quota is used up", 900),
        (529, "overloaded_error", "The model API is overloaded", 60),
        (500, "api_error", "The model API is overloaded", 60),
        (503, "", "The model API is overloaded", 60),
        (401, "authentication_error", "refused the credential; renew ANTHROPIC_API_KEY", 1800),
        (403, "permission_error", "refused the credential; renew ANTHROPIC_API_KEY", 1800),
        (400, "billing_error", "The model account is out of credit; top it up", 1800),
        (None, "", "The model API cannot be reached", 60),
    ],
)
def test_a_model_api_that_fails_is_waited_for_at_the_same_tier_and_then_the_work_goes_on(
    state: Path, source: Path, status: int | None, word: str, sentence: str, after_s: float
) -> None:
    house = house_of(state, {1: writes(WRONG, **api_error(status)), 2: writes(RIGHT)}, passes_when(RIGHT))
    house.model.upstream = UpstreamFailure(status=status, type=word)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "waiting"
        assert sentence in told["reason"]
        assert "It tries again by itself at" in told["next"]
        run = foreman.daemon.service._known(run_id)
        assert run.retry_at == run.updated_at + after_s
        assert house.containers.listing() == ()
        house.model.upstream = None
        hasten(foreman, run_id)
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
    assert [tried["tier"] for tried in told["tiers_tried"]] == ["small", "small"]


def test_a_model_api_that_is_silent_until_the_clock_runs_out_is_no_fault_of_the_agent(
    state: Path, source: Path
) -> None:
    def silent(agent: AgentAtWork) -> int:
        says_hello(agent)
        agent.inside.stopping.wait(20)
        return 143

    house = house_of(state, {1: works(silent), 2: writes(RIGHT)}, passes_when(RIGHT))
    house.changes = {"ladder": tuple(replace(tier, idle_s=1) for tier in LADDER)}
    house.model.upstream = UpstreamFailure(status=None)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert (told["phase"], told["tiers_tried"][0]["ending"]) == ("waiting", "network")
        assert "The model API cannot be reached" in told["reason"]
        house.model.upstream = None
        hasten(foreman, run_id)
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
    assert [tried["tier"] for tried in told["tiers_tried"]] == ["small", "small"]


@dataclass(kw_only=True)
class GoesDown:
    """A witness that takes podman away after one kind of step, and does not do so again."""

    containers: FakeContainers
    kind: str
    done: threading.Event = field(default_factory=threading.Event)

    def __call__(self, _round: RoundInput, step: Step, _fact: Fact) -> None:
        if step.kind == self.kind and not self.done.is_set():
            self.done.set()
            self.containers.down = True


@pytest.mark.parametrize(("kind", "paid"), [("prepare", 1), ("collect", 1), ("judge_head", 1), ("publish", 1)])
def test_podman_gone_at_any_step_costs_neither_an_agent_nor_the_work(
    state: Path, source: Path, kind: str, paid: int
) -> None:
    house = house_of(state, {1: writes(RIGHT), 2: writes(RIGHT)}, passes_when(RIGHT))
    house.witness = GoesDown(containers=house.containers, kind=kind)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        if told["phase"] == "waiting":
            assert "Podman does not answer; see that its service runs" in told["reason"]
            house.containers.down = False
            hasten(foreman, run_id)
            told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
        house.containers.down = False
        assert told["tier"] == "small"
        assert len(branches(state)) == 1
    assert len(started(house, Role.AGENT)) == paid
    with house.daemon():
        assert house.containers.listing() == (), "what could not be removed is swept at the next start"


@dataclass(kw_only=True)
class Refuses:
    """Starts of one role are refused, so many times."""

    containers: FakeContainers
    role: Role
    fault: Callable[[], RunnerError]
    times: int = 1

    def start(self, spec: SandboxSpec) -> bool:
        if spec.role is self.role and self.times:
            self.times -= 1
            raise self.fault()
        return FakeContainers.start(self.containers, spec)


def refusing(house: House, role: Role, fault: Callable[[], RunnerError]) -> None:
    house.containers.start = Refuses(containers=house.containers, role=role, fault=fault).start  # type: ignore[method-assign]


@pytest.mark.parametrize("role", [Role.AGENT, Role.GATE])
@pytest.mark.parametrize(
    ("fault", "sentence", "after_s"),
    [
        (lambda: DiskLow(FULL), "Podman's storage is full; free some space", 300),
        (lambda: SandboxFault("Podman refused to do its work; its reason was: boom"), "its reason was: boom", 60),
    ],
    ids=["full", "500"],
)
def test_a_podman_that_refuses_a_sandbox_is_waited_for_with_its_reason(
    state: Path, source: Path, role: Role, fault: Callable[[], RunnerError], sentence: str, after_s: float
) -> None:
    house = house_of(state, {1: writes(RIGHT), 2: writes(RIGHT)}, passes_when(RIGHT))
    refusing(house, role, fault)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        told = foreman.at_rest(run_id)
        assert told["phase"] == "waiting"
        assert sentence in told["reason"]
        run = foreman.daemon.service._known(run_id)
        assert run.retry_at == run.updated_at + after_s
        hasten(foreman, run_id)
        told = foreman.until(run_id, lambda told: told["phase"] == "awaiting_review")
    assert told["tier"] == "small"
    assert len(started(house, Role.AGENT)) == 1
