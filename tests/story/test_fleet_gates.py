"""The operator's gates for a repository, through the whole daemon: they stand, whatever the repository says."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_ashigaru.settings import ConfigError
from runner.sandboxes import Role, SandboxSpec
from tests.fakes.behaviours import Behaviour, runs_until_stopped
from tests.fakes.containers import IMAGES, FakeContainers
from tests.story.house import House, repository
from tests.story.scenes import RIGHT, attempt_of, passes_when, writes
from tests.story.test_environment import NamedHosts, installs

DB = "localhost/services/db:1"
FLEET = f"""
[repo."Widgets".gates.setup]
run = ["operators-install"]
manifests = ["needs.txt"]

[[repo."Widgets".gates.gate]]
name = "mine"
run = "operators-check"

[[repo."Widgets".gates.service]]
name = "db"
image = "{DB}"
"""
OWN = '[[gate]]\nname = "own"\nrun = "repositorys-check"\n'
# Without a gate file, this is what would be installed for it.
FILES = {"total.py": "total = 0\n", "test_a.py": "", "needs.txt": "lib==1\n", "requirements.txt": "-r needs.txt\n"}


def house_with(state: Path, agent: Behaviour) -> House:
    def behaviour(spec: SandboxSpec) -> Behaviour:
        known = {Role.SETUP: installs, Role.SERVICE: runs_until_stopped}
        return agent if spec.role is Role.AGENT and attempt_of(spec) else known.get(spec.role, passes_when(RIGHT))

    return House(state=state, containers=FakeContainers(behaviour, images=(*IMAGES, DB)), egress=NamedHosts())


def commands(house: House, role: Role) -> str:
    return "\n".join(" ".join(spec.command or ()) for spec in house.containers.started if spec.role is role)


@pytest.mark.parametrize("own", [OWN, "this is no TOML [", 'local = "none"', None])
def test_the_operators_gates_stand_whatever_the_repository_says(state: Path, tmp_path: Path, own: str | None) -> None:
    (state / "fleet.toml").write_text(FLEET, encoding="utf-8")
    house = house_with(state, writes(RIGHT))
    files = FILES if own is None else FILES | {".ashigaru.toml": own}
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(repository(tmp_path / "w", files)), "widgets")
        told = foreman.at_rest(foreman.work())
    assert told["phase"] == "awaiting_review", told
    assert commands(house, Role.GATE).count("operators-check") == 2
    assert "repositorys-check" not in commands(house, Role.GATE)
    assert "pytest" not in commands(house, Role.GATE)
    assert commands(house, Role.SETUP).count("operators-install") == 1


def test_a_change_to_a_manifest_is_set_up_as_the_operator_says(state: Path, tmp_path: Path) -> None:
    (state / "fleet.toml").write_text(FLEET, encoding="utf-8")
    house = house_with(state, writes("lib==2\n", "needs.txt"))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(repository(tmp_path / "w", FILES)), "widgets")
        assert foreman.at_rest(foreman.work())["phase"] == "awaiting_review"
    assert commands(house, Role.SETUP).count("operators-install") == 2
    assert "pip install" not in commands(house, Role.SETUP)


def test_a_repository_that_the_operator_has_no_gates_for_goes_by_its_own(state: Path, tmp_path: Path) -> None:
    (state / "fleet.toml").write_text(FLEET, encoding="utf-8")
    house = house_with(state, writes(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(repository(tmp_path / "w", FILES | {".ashigaru.toml": OWN})), "gadgets")
        assert foreman.at_rest(foreman.work(repo="gadgets"))["phase"] == "awaiting_review"
    assert "operators-check" not in commands(house, Role.GATE)
    assert "repositorys-check" in commands(house, Role.GATE)


def test_operators_gates_that_are_wrong_keep_the_daemon_from_starting(state: Path) -> None:
    (state / "fleet.toml").write_text(FLEET.replace('"operators-check"', '""'), encoding="utf-8")
    with (
        pytest.raises(ConfigError, match=r'fleet\.toml at \[repo\."Widgets"\] gates\.gate\.1\.run'),
        house_with(state, writes(RIGHT)).daemon(),
    ):
        pass
