"""`fleet.toml`: what the operator sets for each repository, read strictly."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.plan import CiOnly, GatePlan, plan
from mcp_ashigaru.commands.health import judge_fleet
from mcp_ashigaru.findings import Level
from mcp_ashigaru.fleet_file import PRESETS, FleetFile, Said, fleet_trouble, parse_fleet, read_fleet
from mcp_ashigaru.settings import ConfigError, Settings, load_settings
from runner.policy import ChangeLimits

WHOLE = b"""
[default]
egress = ["Packages.Example:443"]
egress_presets = ["npm"]

[repo."Acme/Widgets"]
egress = ["mirror.example.:8443"]
egress_presets = []
egress_private = ["Mirror.example"]
allow_protected = [".github/**", "CLAUDE.md"]

[repo.gadgets]
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A state directory whose path is short enough for one."""
    with tempfile.TemporaryDirectory(prefix="ash") as path:
        yield Path(path)


def settings(home: Path, **changes: object) -> Settings:
    return load_settings(**({"state_dir": home} | changes))


def refused(data: bytes) -> str:
    with pytest.raises(ConfigError) as said:
        parse_fleet(data, Said())
    sentence = str(said.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 400
    return sentence


def test_a_repositorys_table_stands_over_the_default_key_by_key() -> None:
    told = parse_fleet(WHOLE, Said(private=("other.example",)))
    assert told.of(None) == Said(egress=("packages.example:443",), presets=("npm",), private=("other.example",))
    assert told.of("acme/WIDGETS") == Said(
        egress=("mirror.example:8443",), private=("mirror.example",), allow_protected=(".github/**", "CLAUDE.md")
    )
    assert told.of("gadgets") == told.of("never/heard.of") == told.default


def test_the_fleet_has_the_presets_of_whoever_names_them_and_asks_for_each_once() -> None:
    asked: list[str] = []

    def resolve(tool: str) -> list[str]:
        asked.append(tool)
        return [f"{tool}.example:443"]

    fleet = parse_fleet(WHOLE, Said()).fleet(resolve)
    assert fleet.of("gadgets").egress.allowed == {"packages.example:443", "npm.example:443"}
    widgets = fleet.of("ACME/widgets")
    assert (widgets.egress.allowed, widgets.egress.private_hosts) == ({"mirror.example:8443"}, {"mirror.example"})
    assert fleet.limits("acme/widgets") == ChangeLimits(granted=(".github/**", "CLAUDE.md"))
    assert fleet.limits("gadgets") == ChangeLimits()
    assert asked == ["npm"]


def test_auto_is_every_preset() -> None:
    assert parse_fleet(b'[default]\negress_presets = ["auto"]', Said()).default.tools() == PRESETS


def test_a_repositorys_gates_are_those_of_a_gate_file_that_said_the_same() -> None:
    document = b"""
        environment = { CI = "1" }
        [policy]
        tests-gone = "fail"
        [[gate]]
        name = "test"
        run = "pytest"
        """
    moved = document.replace(b"environment", b'repo."A/B".gates.environment').replace(
        b"[policy]", b'[repo."A/B".gates.policy]'
    )
    told = parse_fleet(moved.replace(b"[[gate]]", b'[[repo."A/B".gates.gate]]'), Said())
    meant = plan(document, (), lambda _: None)
    assert told.fleet(lambda _tool: ()).of("a/b").gates == meant
    assert isinstance(meant, GatePlan)
    assert told.of("other").gates is None
    none = parse_fleet(b'[repo.a.gates]\nlocal = "none"', Said()).fleet(lambda _tool: ())
    assert (none.of("a").gates, none.of("b").gates) == (CiOnly(), None)


def test_without_a_file_nothing_is_allowed_but_what_the_variables_say(home: Path) -> None:
    assert read_fleet(settings(home)) == FleetFile(default=Said(), repos={})
    told = read_fleet(settings(home, setup_egress=("A.example:443",), setup_private_hosts=("A.example",)))
    assert told.default == Said(egress=("a.example:443",), private=("a.example",))
    assert fleet_trouble(settings(home)) is None


@pytest.mark.parametrize("target", ["host", "127.0.0.1:443", "[::1]:443", "0x7f000001:80", "a.example:0", "a b:1"])
def test_an_address_or_a_name_without_a_port_is_refused_in_the_file_and_in_the_variable(
    home: Path, target: str
) -> None:
    assert "[default] egress.1" in refused(f'[default]\negress = ["{target}"]'.encode())
    with pytest.raises(ConfigError, match="ASHIGARU_SETUP_EGRESS"):
        read_fleet(settings(home, setup_egress=(target,)))


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'[repo."acme/widgets"]\negress = ["a.example:443", "b"]', '[repo."acme/widgets"] egress.2'),
        (b'[repo."acme/widgets"]\nallow = true', '[repo."acme/widgets"] allow'),
        (b'[repo."acme/widgets"]\negress = "a.example:443"', '[repo."acme/widgets"] egress'),
        (b'[repo."../x"]', '[repo."../x"]'),
        (b'[repo."a/b"]\n[repo."A/B"]', "twice"),
        (b'[default]\negress_presets = ["conda"]', "[default] egress_presets.1"),
        (b'[default]\negress_private = ["10.0.0.1"]', "[default] egress_private.1"),
        (b'[defaults]\negress = ["a.example:443"]', "defaults"),
        (b'[repo."a/b".gates]\n', '[repo."a/b"] gates: gate: there is none'),
        (b'[[repo."a/b".gates.gate]]\nname = "x"\nrun = ""\n', '[repo."a/b"] gates.gate.1.run'),
        (b'[[repo.a.gates.gate]]\nname = "x"\nrun = "x"\nneeds = ["y"]\n', "x needs y"),
        (b'[[default.gates.gate]]\nname = "x"\nrun = "x"\n', "[default] gates"),
        (b"[default", "TOML"),
        (b"\xff", "TOML"),
        (b"x = " + b"[" * 5000, "TOML"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_place(data: bytes, place: str) -> None:
    assert place in refused(data)


@pytest.mark.parametrize(
    "pattern",
    [
        *(".git/**", ".git/hooks/pre-push", ".gitmodules", "**/.gitattributes", ".GitConfig", "x/.git/config"),
        *("GIT~1/**", "**", "*", "**/*", "*/**", "/etc/passwd", "../x", "a//b", "", "a/**/b", ".gitsomething"),
    ],
)
def test_gits_own_files_and_everything_at_once_cannot_be_granted(pattern: str) -> None:
    assert "allow_protected.1" in refused(f'[default]\nallow_protected = ["{pattern}"]'.encode())


def test_a_file_that_anybody_may_write_or_that_is_none_is_refused(home: Path) -> None:
    path = home / "fleet.toml"
    path.write_bytes(WHOLE)
    path.chmod(0o646)
    assert "chmod o-w" in (fleet_trouble(settings(home)) or "")
    (finding,) = judge_fleet(fleet_trouble(settings(home)))
    assert (finding.level, finding.cure) == (Level.FAIL, "chmod o-w it")
    path.chmod(0o644)
    assert judge_fleet(fleet_trouble(settings(home)))[0].level is Level.OK
    assert fleet_trouble(settings(home)) == ""
    path.unlink()
    os.mkfifo(path)
    assert "no plain file" in (fleet_trouble(settings(home)) or "")
    path.unlink()
    path.write_bytes(b"#" * 300_000)
    assert "over" in (fleet_trouble(settings(home)) or "")
    assert "not there" in (fleet_trouble(settings(home, fleet_file=home / "none.toml")) or "")


@given(
    st.text(max_size=200)
    | st.sampled_from(["[default]\n", '[repo."a"]\n']).flatmap(lambda head: st.text().map(head.__add__))
)
def test_no_text_can_break_the_reader(text: str) -> None:
    try:
        told = parse_fleet(text.encode("utf-8", "replace"), Said())
    except ConfigError as exc:
        said = str(exc)
    else:
        said = ""
        assert told.fleet(lambda _tool: ()).of("a").egress.private_hosts == set(told.of("a").private)
    assert "\n" not in said
