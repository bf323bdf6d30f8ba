"""A gate's dependencies: made once, from the base's files alone, shared, and only ever read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runner.egress_rules import Egress as EgressRules
from runner.sandbox import ENV_DIR
from runner.sandboxes import Role, SandboxSpec
from tests.fakes.behaviours import Behaviour, Ended, Inside
from tests.fakes.containers import FakeContainers
from tests.story.house import House, repository
from tests.story.scenes import RIGHT, Facts, attempt_of, passes_when, started, writes
from tests.story.test_review import push

GATE = '[setup]\nrun = ["install"]\nmanifests = ["needs.txt"]\n[[gate]]\nname = "test"\nrun = "check"\n'
FILES = {"total.py": "total = 0\n", "needs.txt": "lib==1\n", ".ashigaru.toml": GATE}


@dataclass(kw_only=True)
class NamedHosts:
    """Egress that refuses one host."""

    opened: list[str] = field(default_factory=list)
    shut_owners: list[str] = field(default_factory=list)
    rules: dict[str, EgressRules] = field(default_factory=dict)
    refused: tuple[str, ...] = ("evil.example:443",)

    def open(self, owner: str, socket_dir: Path, rules: EgressRules) -> None:
        self.rules[owner] = rules
        socket_dir.mkdir(parents=True, exist_ok=True)
        self.opened.append(owner)

    def shut(self, owner: str) -> None:
        self.shut_owners.append(owner)

    def refusals(self, owner: str) -> tuple[str, ...]:  # noqa: ARG002 - the port's signature
        return self.refused

    def unreached(self, owner: str) -> tuple[str, ...]:  # noqa: ARG002 - the port's signature
        return ()


def installs(inside: Inside) -> Ended:
    """A set-up: what the manifest names becomes the environment."""
    (inside.host(ENV_DIR) / "lib").write_text((inside.tree / "needs.txt").read_text(encoding="utf-8"), encoding="utf-8")
    return Ended(code=0)


def house_with(
    state: Path, set_up: Behaviour, agent: Behaviour, gate: Callable[[Inside], Ended] | None = None
) -> tuple[House, NamedHosts]:
    def behaviour(spec: SandboxSpec) -> Behaviour:
        if spec.role is Role.SETUP:
            return set_up
        return agent if spec.role is Role.AGENT and attempt_of(spec) else gate or passes_when(RIGHT)

    egress = NamedHosts()
    return House(state=state, containers=FakeContainers(behaviour), egress=egress), egress


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return repository(tmp_path / "widgets", FILES)


def test_it_is_made_once_from_the_base_whatever_the_agent_writes_and_shared_by_the_next_run(
    state: Path, source: Path
) -> None:
    seen: list[str] = []

    def gate(inside: Inside) -> Ended:
        seen.append((inside.host(ENV_DIR) / "lib").read_text(encoding="utf-8"))
        return Ended(code=0)

    house, egress = house_with(state, installs, writes("lib==666\n", "needs.txt"), gate)
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        for issue in (1, 2):
            assert foreman.at_rest(foreman.work(issue=issue))["phase"] == "awaiting_review"
    assert len(started(house, Role.SETUP)) == 1
    assert seen == ["lib==1\n"] * 2, "one base and one head, for the second run's head is the same tree"
    gates = [spec for spec in house.containers.started if spec.role is Role.GATE]
    assert all(mount.read_only for spec in gates for mount in spec.mounts if mount.target == ENV_DIR)
    assert all(spec.relay is None for spec in gates)
    assert egress.opened == egress.shut_owners
    assert house.containers.listing() == ()


def test_a_manifest_that_changed_on_the_base_is_set_up_anew(state: Path, source: Path, tmp_path: Path) -> None:
    house, _ = house_with(state, installs, writes(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        foreman.at_rest(foreman.work())
        push(state, tmp_path, "main", "other.py", "x = 1\n")
        foreman.at_rest(foreman.work(issue=2))
        assert len(started(house, Role.SETUP)) == 1, "another base with the same manifest"
        push(state, tmp_path, "main", "needs.txt", "lib==2\n")
        foreman.at_rest(foreman.work(issue=3))
    assert len(started(house, Role.SETUP)) == 2


def test_a_set_up_that_fails_is_nobodys_fault_and_names_what_it_was_refused(state: Path, source: Path) -> None:
    def fails(inside: Inside) -> Ended:
        inside.say(b"cannot reach evil.example\n")
        return Ended(code=1)

    house, egress = house_with(state, fails, writes(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
        assert told["phase"] == "blocked"
        assert "set-up" in told["reason"]
        assert "evil.example:443" in told["reason"]
        assert told["verdicts"][0]["outcome"] == "inconclusive"
    assert started(house, Role.GATE) == []
    assert len(started(house, Role.AGENT)) == 1
    assert set(egress.opened) == set(egress.shut_owners)
    assert list((state / "environments").iterdir()) == []


def test_a_set_up_under_way_at_a_restart_is_adopted(state: Path, source: Path) -> None:
    facts = Facts(crash_at=4)
    house, _ = house_with(state, installs, writes(RIGHT))
    house.witness = facts
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert facts.crashed.wait(20)
    with house.daemon() as foreman:
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert len(started(house, Role.SETUP)) == 1
