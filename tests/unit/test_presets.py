"""What this host's package managers are set to use, read without a table of ours and without a credential."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mcp_ashigaru.commands.egress import page
from mcp_ashigaru.fleet_file import PRESETS, Said
from mcp_ashigaru.presets import (
    Presets,
    read_apt,
    read_cargo,
    read_go,
    read_maven,
    read_npm,
    read_pip,
    source_of,
)

USAGE = """
  -i, --index-url <url>       Base URL of the Python Package Index (default
                              https://index.example/simple). This should point
"""


def targets(*sources: object) -> list[str | None]:
    return [getattr(one, "target", None) for one in sources]


def test_an_address_gives_its_host_and_port_and_never_its_credential() -> None:
    found = source_of("https://me:s3cret@Mirror.Example/simple/", "pip config global.index-url")
    assert found is not None
    assert found.target == "mirror.example:443"
    assert "not used" in found.note
    assert "s3cret" not in repr(found)
    assert "me:" not in repr(found)


def test_what_a_set_up_cannot_reach_is_said_and_what_is_no_address_is_left_out() -> None:
    plain = source_of("http://mirror.example/", "x")
    numbered = source_of("https://10.0.0.1/", "x")
    assert plain is not None and plain.target is None and "https" in plain.note  # noqa: PT018 - one thought
    assert numbered is not None and numbered.target is None and "name" in numbered.note  # noqa: PT018 - one thought
    assert source_of("https://host:port/", "x") is not None
    for nothing in ("direct", "off", "file:///opt/simple", "/opt/wheels", "", "ssh://git@host/x"):
        assert source_of(nothing, "x") is None


def test_pip_says_its_index_or_the_one_it_goes_to_unasked() -> None:
    config = (
        "global.cert='/etc/ca.crt'\n"
        "global.extra-index-url='https://a.example/simple\\nhttps://b.example:8443/simple'\n"
        "global.find-links='/opt/wheels'\n"
    )
    assert targets(*read_pip(config, USAGE)) == ["a.example:443", "b.example:8443", "index.example:443"]
    said = f":env:.index-url='https://mine.example/simple'\n{config}"
    assert targets(*read_pip(said, USAGE)) == ["mine.example:443", "a.example:443", "b.example:8443"]
    assert targets(*read_pip("", "")) == []


def test_npm_says_its_registries() -> None:
    config = {"registry": "https://r.example/", "@acme:registry": "https://acme.example/npm/", "omit": [], "x": None}
    assert targets(*read_npm(json.dumps(config))) == ["acme.example:443", "r.example:443"]


def test_go_says_its_proxies_and_its_checksum_database() -> None:
    told = {"GOPROXY": "https://p.example|https://q.example:444,direct", "GOSUMDB": "sum.example+1234+abc"}
    assert targets(*read_go(json.dumps(told))) == ["p.example:443", "q.example:444", "sum.example:443"]
    told = {"GOPROXY": "off", "GOSUMDB": "sum.example+1 https://mirror.example/sumdb"}
    assert targets(*read_go(json.dumps(told))) == ["mirror.example:443"]
    assert targets(*read_go(json.dumps({"GOPROXY": "off", "GOSUMDB": "off"}))) == []


def test_cargo_apt_and_maven_say_theirs_in_files() -> None:
    cargo = (
        '[source.near]\nregistry = "sparse+https://c.example/index/"\n[registries.own]\nindex = "https://d.example"\n'
    )
    assert targets(*read_cargo(cargo, "config.toml")) == ["c.example:443", "d.example:443"]
    apt = "# deb https://no.example x\ndeb [signed-by=/k] https://e.example/debian stable main\n"
    assert targets(*read_apt(apt, "sources.list")) == ["e.example:443"]
    deb822 = "Types: deb\nURIs: https://f.example/debian\n https://g.example/debian\nSuites: stable\n"
    assert targets(*read_apt(deb822, "own.sources")) == ["f.example:443", "g.example:443"]
    maven = (
        '<settings xmlns="urn:x"><mirrors><mirror><id>m</id><url>https://h.example/maven</url></mirror></mirrors>'
        "<profiles><profile><repositories><repository><url>https://i.example</url></repository></repositories>"
        "</profile></profiles></settings>"
    )
    assert targets(*read_maven(maven, "settings.xml")) == ["h.example:443", "i.example:443"]


def test_a_file_that_bombs_is_a_note() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><settings>&b;</settings>'
    assert [one.target for one in read_maven(bomb, "settings.xml")] == [None]
    assert [one.target for one in read_cargo("[", "config.toml")] == [None]


@given(st.text(max_size=200))
def test_no_text_can_break_a_reader(text: str) -> None:
    for read in (read_cargo, read_apt, read_maven):
        assert all(one.where.startswith("x") for one in read(text, "x"))
    for found in (read_npm(text), read_go(text), read_pip(text, text), read_pip(f"a.index-url={text}", text)):
        assert all(one.target is None or one.target.count(":") == 1 for one in found)
    found = source_of(f"https://{text}", "x")
    assert found is None or found.target is None or found.target == found.target.lower()


def host(tmp_path: Path) -> Presets:
    """A host whose npm writes down what it is started with."""
    programs = tmp_path / "bin"
    programs.mkdir()
    npm = programs / "npm"
    npm.write_text(
        '#!/bin/sh\n[ "$PWD" != "$HOME" ] || exit 1\necho \'{"registry": "https://u:p4ss@npm.example/"}\'\n',
        encoding="utf-8",
    )
    npm.chmod(0o755)
    home = tmp_path / "home"
    (home / ".cargo").mkdir(parents=True)
    (home / ".cargo" / "config.toml").write_text('[registries.a]\nindex = "https://cargo.example"\n', encoding="utf-8")
    return Presets(environment={"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(home)}, root=tmp_path)


def test_tools_that_are_here_are_asked_and_files_are_read_each_told_with_its_place(tmp_path: Path) -> None:
    presets = host(tmp_path)
    assert presets.targets("npm") == {"npm.example:443"}
    assert presets.targets("cargo") == {"cargo.example:443"}
    assert presets.targets("apt") == frozenset()
    lines = page(
        Said(egress=("npm.example:443", "own.example:8443"), presets=("npm", "cargo"), private=("own.example",)),
        presets,
    )
    assert lines[:3] == [
        f"cargo.example:443  preset cargo: {tmp_path}/home/.cargo/config.toml [registries.a]",
        "npm.example:443    egress; preset npm: npm config registry",
        "own.example:8443   egress",
    ]
    assert "may be private: own.example" in lines
    assert "p4ss" not in "\n".join(lines)


def test_nothing_allowed_is_said_too(tmp_path: Path) -> None:
    assert page(Said(), host(tmp_path)) == ["nothing: set-ups have no network"]


def test_a_tool_is_given_nothing_but_what_says_how_it_is_set_up() -> None:
    given = {
        "PATH": "/bin",
        "PIP_INDEX_URL": "x",
        "npm_config_registry": "y",
        "ANTHROPIC_API_KEY": "z",
        "PGPASSWORD": "z",
    }
    assert Presets.of(given).environment == {"PATH": "/bin", "PIP_INDEX_URL": "x", "npm_config_registry": "y"}


def test_a_host_without_tools_has_no_sources(tmp_path: Path) -> None:
    nothing = Presets(environment={"PATH": "/nonexistent", "HOME": str(tmp_path)}, root=tmp_path)
    assert [tool for tool in PRESETS if nothing.sources(tool)] == []
