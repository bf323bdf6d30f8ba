"""Group C: what this host's own settings may bring into a set-up: passwords, variables, keys beside certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from mcp_ashigaru import presets, walls
from mcp_ashigaru.presets import Presets, Source, read_apt, read_cargo, read_maven, read_npm, read_pip
from mcp_ashigaru.settings import ConfigError, Settings, load_settings
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out
from tests.fakes.behaviours import exits
from tests.fakes.containers import FakeContainers

_SECRET = "s3cret-of-the-mirror"


def _case(defence: str, vector: str, tried: str, attempt: Attempt) -> Case:
    return Case(group="C", defence=defence, vector=vector, tried=tried, attempt=attempt)


def _leaky(url: str, where: str) -> Source:
    return Source(where=where, target=url)


def _read(read: Callable[[], Iterator[Source]], _ground: Ground) -> Outcome:
    told = repr(list(read()))
    return Through(what="the password is in what is shown") if _SECRET in told else Stopped(by=told)


def _address_of(tool: str, read: Callable[[], Iterator[Source]]) -> Case:
    tried = f"keep a password in {tool}'s settings"
    return _case("no-credential-of-tools", tool, tried, partial(_read, read))


_URL = f"https://me:{_SECRET}@mirror.example/x"


def _told_to_tool(variable: str, ground: Ground) -> Outcome:
    home = ground.directory()
    tool = home / "npm"
    tool.write_text('#!/bin/sh\n/usr/bin/env > "${0%/*}/seen"\necho "{}"\n', encoding="utf-8")
    tool.chmod(0o700)
    Presets.of({"PATH": str(home), variable: _SECRET}).sources("npm")
    seen = (home / "seen").read_text(encoding="utf-8")
    return Through(what=f"the tool saw {variable}") if _SECRET in seen else Stopped(by="the tool was not given it")


_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def _shown_beside(bundle: str, beside: str, ground: Ground) -> Outcome:
    """What lies where the sandbox sees its certificates."""
    home, lies = ground.directory(), ground.directory()
    (lies / "ca.pem").write_text(bundle, encoding="utf-8")
    (lies / "server.key").write_text(beside, encoding="utf-8")
    settings = load_settings(state_dir=home, setup_ca_bundle=lies / "ca.pem")
    try:
        shown = walls.recipes_of(settings, FakeContainers(lambda _spec: exits())).ca_bundle
    except ConfigError as refusal:
        return Stopped(by=str(refusal))
    seen = "" if shown is None else "".join(path.read_text(encoding="utf-8") for path in shown.parent.iterdir())
    return Through(what="a key lies there") if _SECRET in seen else Stopped(by="a copy that lies alone is shown")


def _as_named(settings: Settings) -> Path | None:
    return settings.setup_ca_bundle


_DEFENCES = (
    Defence(
        name="no-credential-of-tools",
        sentence="A password in a package manager's address is dropped where it is read.",
        without=out(presets, "source_of", _leaky),
    ),
    Defence(
        name="tools-environment",
        sentence="Package managers that are asked get only what says how they are set up.",
        without=out(presets, "_is_for_tools", answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="own-ca-bundle",
        sentence="Set-ups see a copy of certificates that lies alone and holds no key.",
        without=out(walls, "_own_ca_bundle", _as_named),
    ),
)

_CASES = (
    _address_of("pip", lambda: read_pip(f"global.index-url='{_URL}'\n", "")),
    _address_of("npm", lambda: read_npm(f'{{"registry": "{_URL}"}}')),
    _address_of("cargo", lambda: read_cargo(f'[registries.own]\nindex = "{_URL}"\n', "config.toml")),
    _address_of("apt", lambda: read_apt(f"deb {_URL} stable main\n", "sources.list")),
    _address_of("maven", lambda: read_maven(f"<s><mirror><url>{_URL}</url></mirror></s>", "settings.xml")),
    *(
        _case("tools-environment", vector, f"have npm see {name}", partial(_told_to_tool, name))
        for vector, name in (("forge-token", "ASHIGARU_GITHUB_TOKEN"), ("model-key", "ANTHROPIC_API_KEY"))
    ),
    _case("own-ca-bundle", "key-beside-it", "keep a key beside it", partial(_shown_beside, _CERTIFICATE, _SECRET)),
    _case(
        "own-ca-bundle",
        "key-within",
        "name a file with a key in it",
        partial(_shown_beside, f"{_CERTIFICATE}-----BEGIN RSA PRIVATE KEY-----\n{_SECRET}\n", ""),
    ),
    _case("own-ca-bundle", "token-for-it", "name a token's file", partial(_shown_beside, _SECRET, "")),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
