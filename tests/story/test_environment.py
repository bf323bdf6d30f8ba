"""A gate's dependencies: made once, from the base's files alone, shared, and only ever read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mcp_ashigaru.settings import ConfigError
from runner.egress_rules import Egress as EgressRules
from runner.errors import SandboxFault
from runner.sandbox import ENV_DIR
from runner.sandboxes import Role, SandboxSpec
from tests.fakes.behaviours import PATIENCE_S, Behaviour, Ended, Inside
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


def lib_seen_by(seen: list[str]) -> Callable[[Inside], Ended]:
    """A gate that is green, and notes what is set up for it."""

    def gate(inside: Inside) -> Ended:
        seen.append((inside.host(ENV_DIR) / "lib").read_text(encoding="utf-8"))
        return Ended(code=0)

    return gate


def test_it_is_made_once_and_shared_by_the_next_run(state: Path, source: Path) -> None:
    seen: list[str] = []
    house, egress = house_with(state, installs, writes(RIGHT), lib_seen_by(seen))
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


def test_a_change_that_edits_a_manifest_has_a_layer_that_nothing_else_uses(state: Path, source: Path) -> None:
    seen: list[str] = []
    house, egress = house_with(state, installs, writes("lib==666\n", "needs.txt"), lib_seen_by(seen))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        for issue in (1, 2):
            assert foreman.at_rest(foreman.work(issue=issue))["phase"] == "awaiting_review"
        assert sorted(seen) == ["lib==1\n", "lib==666\n", "lib==666\n"], "the same change is judged anew, in its own"
        assert len(set(started(house, Role.SETUP))) == 3
    gates = [spec for spec in house.containers.started if spec.role is Role.GATE]
    shown = [mount.source for spec in gates for mount in spec.mounts if mount.target == ENV_DIR]
    assert len(set(shown)) == 3
    assert len(list((state / "environments").iterdir())) == 1
    assert list((state / "runs").iterdir()) == [], "each went with its run"
    assert egress.opened == egress.shut_owners


def test_what_one_change_poisons_is_clean_for_the_next_run_and_for_the_base(state: Path, source: Path) -> None:
    """A set-up that does whatever the change says can harm its own layer alone."""
    seen: list[str] = []
    agents = {1: writes("lib==666\n", "needs.txt"), 2: writes(RIGHT)}
    runs: list[str] = []

    def agent(inside: Inside) -> Ended:
        run = dict(inside.spec.labels)["ashigaru.run"]
        if run not in runs:
            runs.append(run)
        return agents[len(runs)](inside)

    def poisons(inside: Inside) -> Ended:
        """The change's own build writes wherever it can."""
        if "666" in (inside.tree / "needs.txt").read_text(encoding="utf-8"):
            for mount in inside.spec.mounts:
                if not mount.read_only:
                    (Path(mount.source) / "lib").write_text("poison\n", encoding="utf-8")
            return Ended(code=0)
        return installs(inside)

    house, _ = house_with(state, poisons, agent, lib_seen_by(seen))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        foreman.at_rest(foreman.work())
        assert sorted(seen) == ["lib==1\n", "poison\n"]
        seen.clear()
        foreman.at_rest(foreman.work(issue=2))
        assert seen == ["lib==1\n"]
    (layer,) = (state / "environments").iterdir()
    assert (layer / "env" / "lib").read_text(encoding="utf-8") == "lib==1\n"


def test_an_own_layer_that_cannot_be_made_is_the_changes_fault_unless_the_network_is(state: Path, source: Path) -> None:
    def fails_on_the_change(inside: Inside) -> Ended:
        if "666" not in (inside.tree / "needs.txt").read_text(encoding="utf-8"):
            return installs(inside)
        inside.say(b"no such release: lib 666\n")
        return Ended(code=1)

    for refused, outcome in (((), "failed"), (("evil.example:443",), "inconclusive")):
        house, egress = house_with(state / outcome, fails_on_the_change, writes("lib==666\n", "needs.txt"))
        (state / outcome).mkdir()
        egress.refused = refused
        with house.daemon() as foreman:
            foreman.daemon.forge.add(str(source), "widgets")
            told = foreman.at_rest(foreman.work())
        heads = [one for one in told["verdicts"] if one["what"] == "head"]
        assert {one["outcome"] for one in heads} == {outcome}
        tried = ["small", "large", "huge"] if outcome == "failed" else ["small"]
        assert list(dict.fromkeys(one["tier"] for one in heads)) == tried, "only a red one has the next tier try"
        if refused:
            assert (told["phase"], "evil.example:443" in told["reason"]) == ("escalated", True)
        else:
            assert "set-up" in heads[0]["summary"]


def test_what_was_refused_is_in_the_status_though_the_set_up_did_without(state: Path, source: Path) -> None:
    house, egress = house_with(state, installs, writes(RIGHT))
    egress.refused = tuple(f"h{number}.example:443" for number in range(50))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    (notice,) = [one for one in told["notices"] if one["kind"] == "egress"]
    assert "h0.example:443" in notice["text"]
    assert len(notice["text"]) <= 200


def test_each_repository_goes_by_its_own_table_and_none_uses_anothers_layer(state: Path, source: Path) -> None:
    (state / "fleet.toml").write_text(
        '[default]\negress = ["packages.example:443"]\n'
        '[repo.gadgets]\negress = ["mirror.example:8443"]\negress_private = ["mirror.example"]\n',
        encoding="utf-8",
    )
    house, egress = house_with(state, installs, writes(RIGHT))
    with house.daemon() as foreman:
        for repo in ("widgets", "gadgets", "sprockets"):
            foreman.daemon.forge.add(str(source), repo)
            assert foreman.at_rest(foreman.work(repo=repo))["phase"] == "awaiting_review"
    assert [egress.rules[owner] for owner in egress.opened] == [
        EgressRules(allowed=frozenset({"packages.example:443"})),
        EgressRules(allowed=frozenset({"mirror.example:8443"}), private_hosts=frozenset({"mirror.example"})),
        EgressRules(allowed=frozenset({"packages.example:443"})),
    ]


def test_without_a_proxy_no_set_up_is_begun_and_the_run_is_blocked_with_the_reason(state: Path, source: Path) -> None:
    class Broken(NamedHosts):
        def open(self, owner: str, socket_dir: Path, rules: EgressRules) -> None:  # noqa: ARG002 - the port's
            raise SandboxFault("The gateway's loop has ended; restart the daemon.")

    house, _ = house_with(state, installs, writes(RIGHT))
    house.egress = Broken()
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "blocked"
    assert "no egress proxy" in told["reason"]
    assert started(house, Role.SETUP) == started(house, Role.GATE) == []


def test_a_fleet_file_that_is_wrong_keeps_the_daemon_from_starting(state: Path) -> None:
    (state / "fleet.toml").write_text('[default]\negress = ["nowhere"]\n', encoding="utf-8")
    house, _ = house_with(state, installs, writes(RIGHT))
    with pytest.raises(ConfigError, match=r"egress\.1"), house.daemon():
        pass


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


def test_an_own_layer_under_way_at_a_restart_is_adopted(state: Path, source: Path) -> None:
    seen: list[str] = []
    reached, go = threading.Event(), threading.Event()

    def installs_slowly(inside: Inside) -> Ended:
        if "666" in (inside.tree / "needs.txt").read_text(encoding="utf-8"):
            reached.set()
            assert go.wait(PATIENCE_S)
        return installs(inside)

    house, _ = house_with(state, installs_slowly, writes("lib==666\n", "needs.txt"), lib_seen_by(seen))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        run_id = foreman.work()
        assert reached.wait(PATIENCE_S)
    with house.daemon() as foreman:
        go.set()
        assert foreman.at_rest(run_id)["phase"] == "awaiting_review"
    assert len(started(house, Role.SETUP)) == 2
    assert sorted(seen) == ["lib==1\n", "lib==666\n"]
    assert list((state / "runs").iterdir()) == []


def test_a_protected_file_may_be_changed_where_the_operator_grants_it_and_nowhere_else(
    state: Path, source: Path
) -> None:
    (state / "fleet.toml").write_text('[repo.widgets]\nallow_protected = ["CLAUDE.md"]\n', encoding="utf-8")
    house, _ = house_with(state, installs, writes("Be brief.\n", "CLAUDE.md"), lib_seen_by([]))
    with house.daemon() as foreman:
        for repo in ("widgets", "gadgets"):
            foreman.daemon.forge.add(str(source), repo)
        granted, other = (foreman.at_rest(foreman.work(repo=repo)) for repo in ("widgets", "gadgets"))
    assert granted["phase"] == "awaiting_review"
    assert (other["phase"], len(other["tiers_tried"])) == ("blocked", 2), "told once, then blocked"
    assert "CLAUDE.md" in other["reason"]
