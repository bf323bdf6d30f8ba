"""Which hosts this machine's own package managers are set to use. Nothing here knows a registry: the tools are asked.

The `read_*` functions are pure; `Presets` looks. Credentials in addresses are dropped where they are read.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from gates.text import clean
from runner.egress_rules import host_and_port, plain_host

_ASK_S: Final = 15.0
_MAX_BYTES: Final = 1024 * 1024
_MAX_FILES: Final = 100
_TOOLS_VARIABLES: Final = frozenset({"PATH", "HOME", "LANG", "XDG_CONFIG_HOME", "CARGO_HOME", "MAVEN_HOME"})
_TOOLS_KINDS: Final = ("PIP_", "NPM_CONFIG_", "GO")
_PIP_DEFAULT: Final = re.compile(r"--index-url\b.{0,200}?\(default\s+(https?://[^\s)]+)\)", re.DOTALL)
_APT_LINE: Final = re.compile(r"\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s*)?(?P<url>\S+)")
_APT_FIELD: Final = re.compile(r"(?im)^URIs:\s*(?P<urls>.+(?:\n[ \t]+.+)*)")


@dataclass(frozen=True, kw_only=True)
class Source:
    """An address that a package manager uses, and where that was read. target None: no set-up can go there; see note.

    target: `host:port`. note: what a person should know of it; "" mostly. Neither holds a credential.
    """

    where: str
    target: str | None
    note: str = ""


def source_of(url: str, where: str) -> Source | None:
    """What that address asks for; None where it is none of the network's (a directory, a word such as `direct`)."""
    try:
        parts = urlsplit(url.strip().removeprefix("sparse+").removeprefix("registry+"))
        host, port = parts.hostname, parts.port
    except ValueError:
        return Source(where=where, target=None, note="it names an address that cannot be read")
    if parts.scheme == "http" and host:
        note = f"{clean(host, 100)} is plain http, and the proxy takes CONNECT only: give it https"
        return Source(where=where, target=None, note=note)
    if parts.scheme != "https" or not host:
        return None
    target = f"{plain_host(host)}:{port or 443}"
    if host_and_port(target) is None:
        return Source(where=where, target=None, note="it names an address in the place of a host; use a name")
    secret = parts.username is not None or parts.password is not None
    return Source(where=where, target=target, note="its user name and password are not used" if secret else "")


def read_pip(config: str, usage: str) -> Iterator[Source]:
    """`pip config list`, and of `pip install --help` the index that pip goes to unasked."""
    said = False
    for line in config.splitlines():
        key, _, value = line.partition("=")
        if key.rpartition(".")[2] in {"index-url", "extra-index-url", "find-links"}:
            said = said or key.endswith(".index-url")
            yield from _sources(_quoted(value).split(), f"pip config {clean(key, 60)}")
    found = None if said else _PIP_DEFAULT.search(usage)
    if found is not None:
        source = source_of(found[1], "pip's own default index")
        if source is not None:
            note = "an index may send pip to another host for the files: name that one in egress"
            yield Source(where=source.where, target=source.target, note=source.note or note)


def read_npm(config: str) -> Iterator[Source]:
    """`npm config list --json`: the registry, and those of scopes."""
    for key, value in sorted(_object(config).items()):
        if isinstance(value, str) and (key == "registry" or key.endswith(":registry")):
            yield from _sources([value], f"npm config {clean(key, 60)}")


def read_go(environment: str) -> Iterator[Source]:
    """`go env -json GOPROXY GOSUMDB`."""
    told = _object(environment)
    proxies, sums = str(told.get("GOPROXY", "")), str(told.get("GOSUMDB", ""))
    yield from _sources(re.split(r"[,|]", proxies), "go env GOPROXY")
    # The name of a checksum database is its host, unless an address follows the key.
    name, *address = sums.split() or ["off"]
    if name != "off":
        yield from _sources(address or [f"https://{name.partition('+')[0]}"], "go env GOSUMDB")


def read_cargo(config: str, where: str) -> Iterator[Source]:
    """A `config.toml` of cargo's: its sources and registries."""
    try:
        told = tomllib.loads(config)
    except (ValueError, RecursionError):
        yield Source(where=where, target=None, note="it is not valid TOML")
        return
    for table, key in (("source", "registry"), ("registries", "index")):
        for name, one in _table(told.get(table)).items():
            if isinstance(url := _table(one).get(key), str):
                yield from _sources([url], f"{where} [{table}.{clean(name, 40)}]")


def read_apt(text: str, where: str) -> Iterator[Source]:
    """A list of apt's, in either of its forms."""
    lines = [found["url"] for found in map(_APT_LINE.match, text.splitlines()) if found]
    fields = [url for found in _APT_FIELD.finditer(text) for url in found["urls"].split()]
    yield from _sources([*lines, *fields], where)


def read_maven(text: str, where: str) -> Iterator[Source]:
    """Maven's settings: mirrors and repositories."""
    try:
        root = fromstring(text)
    except (ParseError, DefusedXmlException, ValueError):
        yield Source(where=where, target=None, note="it cannot be read as XML")
        return
    for element in root.iter():
        if element.tag.rpartition("}")[2] in {"mirror", "repository", "pluginRepository"}:
            urls = [child.text or "" for child in element if child.tag.rpartition("}")[2] == "url"]
            yield from _sources(urls, f"{where} {element.tag.rpartition('}')[2]}")


@dataclass(frozen=True, kw_only=True)
class Presets:
    """Looks at this host. environment: for the tools that are asked, and of where they keep their settings."""

    environment: Mapping[str, str]
    root: Path = Path("/")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Presets:
        """Those of a process with that environment; the tools get only what says how they are set up."""
        return cls(environment={name: one for name, one in environment.items() if _is_for_tools(name)})

    def sources(self, tool: str) -> tuple[Source, ...]:
        """What that package manager uses, each address once. Nothing where it is not here. Bounded in time."""
        looks: dict[str, Callable[[], Iterator[Source]]] = {
            "apt": self._apt,
            "cargo": self._cargo,
            "go": lambda: read_go(self._ask("go", "env", "-json", "GOPROXY", "GOSUMDB")),
            "maven": self._maven,
            "npm": lambda: read_npm(self._ask("npm", "config", "list", "--json")),
            "pip": self._pip,
        }
        return tuple(dict.fromkeys(looks[tool]()))

    def targets(self, tool: str) -> frozenset[str]:
        """The `host:port` among them."""
        return frozenset(one.target for one in self.sources(tool) if one.target is not None)

    def _pip(self) -> Iterator[Source]:
        name = "pip3" if self._found("pip3") else "pip"
        return read_pip(self._ask(name, "config", "list"), self._ask(name, "install", "--help"))

    def _apt(self) -> Iterator[Source]:
        lists = self.root / "etc" / "apt"
        for path in (lists / "sources.list", *_listed(lists / "sources.list.d", "*.list", "*.sources")):
            yield from read_apt(_text(path), str(path))

    def _cargo(self) -> Iterator[Source]:
        home = Path(self.environment.get("CARGO_HOME") or self._home / ".cargo")
        for path in (home / "config.toml", home / "config"):
            yield from read_cargo(_text(path), str(path))

    def _maven(self) -> Iterator[Source]:
        installed = self.environment.get("MAVEN_HOME")
        for path in (
            self._home / ".m2" / "settings.xml",
            *([Path(installed, "conf/settings.xml")] if installed else []),
        ):
            if text := _text(path):
                yield from read_maven(text, str(path))

    @property
    def _home(self) -> Path:
        return Path(self.environment.get("HOME") or "/nonexistent")

    def _found(self, name: str) -> str | None:
        return shutil.which(name, path=self.environment.get("PATH", ""))

    def _ask(self, name: str, *arguments: str) -> str:
        """What the tool printed, "" where it is not here or has nothing to say. Started where no project lies."""
        program = self._found(name)
        if program is None:
            return ""
        try:
            done = subprocess.run(
                [program, *arguments],
                cwd=self.root,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_ASK_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout[:_MAX_BYTES].decode("utf-8", "replace") if done.returncode == 0 else ""


def _is_for_tools(variable: str) -> bool:
    return variable in _TOOLS_VARIABLES or variable.upper().startswith(_TOOLS_KINDS)


def _sources(urls: list[str], where: str) -> Iterator[Source]:
    for url in urls:
        found = source_of(url, where)
        if found is not None:
            yield found


def _quoted(value: str) -> str:
    try:
        told = ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ""
    return told if isinstance(told, str) else ""


def _object(text: str) -> dict[str, Any]:
    try:
        return _table(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(folder: Path, *patterns: str) -> list[Path]:
    try:
        return sorted(path for pattern in patterns for path in folder.glob(pattern))[:_MAX_FILES]
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return handle.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
