"""`fleet.toml`: what the operator sets for repositories, read once at start. docs/fleet.md says what it may hold."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gates.plan import CiOnly, GatePlan, plan_of
from gates.spec import GateFile
from gates.text import clean
from mcp_ashigaru.settings import ConfigError, Settings
from runner.admission import RepoLimits
from runner.egress_rules import Egress, host_and_port, is_host, plain_host
from runner.fair_queue import Priority
from runner.fleet import Fleet, RepoRules
from runner.policy import ChangeLimits, is_gits_own

FILE_NAME: Final = "fleet.toml"
PRESETS: Final = ("apt", "cargo", "go", "maven", "npm", "pip")
"""Each a package manager of this host; `auto` is all of them."""

_MAX_BYTES: Final = 256 * 1024
_MAX_LISTED: Final = 200
_MAX_REPOS: Final = 1000
_MAX_RUNS: Final = 10_000
_REPO: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,4}")


def _target(text: str) -> str:
    found = host_and_port(text)
    if found is None:
        raise ValueError("must be host:port, with a name and no address")
    return f"{plain_host(found[0])}:{found[1]}"


def _host(text: str) -> str:
    if not is_host(text):
        raise ValueError("must be a host's name, without a port and no address")
    return plain_host(text)


def _preset(text: str) -> str:
    if text not in {"auto", *PRESETS}:
        raise ValueError(f"must be auto or one of {', '.join(PRESETS)}")
    return text


def _grant(text: str) -> str:
    parts = text.split("/")
    named = [part for part in parts if part != "**"]
    if len(text) > 200 or not text.isprintable() or any(part in {"", ".", ".."} for part in parts):
        raise ValueError("must be a path pattern from the repository's top, such as .github/**")
    if not named or not named[0].strip("*?") or "**" in parts[1:-1]:
        raise ValueError("must name a file or a folder; ** may stand first or last")
    if any(map(is_gits_own, named)):
        raise ValueError("names a file of git's own, which no change may touch")
    return text


def _priority(text: str) -> str:
    if text not in set(Priority):
        raise ValueError(f"must be one of {', '.join(Priority)}")
    return text


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Table(_Section):
    """`[default]` or one `[repo."…"]`. None: as the table above it says, and as the variables say above that."""

    egress: Annotated[list[Annotated[str, AfterValidator(_target)]], Field(max_length=_MAX_LISTED)] | None = None
    egress_presets: Annotated[list[Annotated[str, AfterValidator(_preset)]], Field(max_length=20)] | None = None
    egress_private: Annotated[list[Annotated[str, AfterValidator(_host)]], Field(max_length=_MAX_LISTED)] | None = None
    allow_protected: Annotated[list[Annotated[str, AfterValidator(_grant)]], Field(max_length=_MAX_LISTED)] | None = (
        None
    )
    priority: Annotated[str, AfterValidator(_priority)] | None = None
    live_runs: Annotated[int, Field(ge=0, le=_MAX_RUNS)] | None = None
    queued_runs: Annotated[int, Field(ge=0, le=_MAX_RUNS)] | None = None


class RepoTable(Table):
    """One `[repo."…"]`. gates: what the repository's own gate file would say; it takes the place of that."""

    gates: GateFile | None = None


class _File(_Section):
    default: Table = Table()
    repo: Annotated[dict[str, RepoTable], Field(max_length=_MAX_REPOS)] = {}


@dataclass(frozen=True, kw_only=True)
class Said:
    """One repository's rules as the operator said them: presets by name, hosts as `host:port`.

    gates: how it is judged, whatever its own gate file says; None: as that says. runs: how many there may be.
    """

    egress: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    allow_protected: tuple[str, ...] = ()
    gates: GatePlan | CiOnly | None = None
    priority: Priority = Priority.NORMAL
    runs: RepoLimits = field(default_factory=RepoLimits)

    def tools(self) -> tuple[str, ...]:
        """The package managers that its presets are."""
        return PRESETS if "auto" in self.presets else tuple(sorted(set(self.presets)))


@dataclass(frozen=True, kw_only=True)
class FleetFile:
    """What the file and the variables say together. repos: by name in lower case."""

    default: Said
    repos: dict[str, Said]

    def of(self, repo: str | None) -> Said:
        """What is said of that repository; None: of all that are not named."""
        return self.default if repo is None else self.repos.get(repo.lower(), self.default)

    def fleet(self, resolve: Callable[[str], Iterable[str]]) -> Fleet:
        """The rules. resolve: the `host:port` that a package manager of this host uses; asked once for each."""
        tools = {tool for said in (self.default, *self.repos.values()) for tool in said.tools()}
        found = {tool: frozenset(resolve(tool)) for tool in sorted(tools)}

        def rules(said: Said) -> RepoRules:
            allowed = frozenset(said.egress).union(*(found[tool] for tool in said.tools()))
            return RepoRules(
                egress=Egress(allowed=allowed, private_hosts=frozenset(said.private)),
                limits=ChangeLimits(granted=said.allow_protected),
                gates=said.gates,
                priority=said.priority,
                runs=said.runs,
            )

        return Fleet(default=rules(self.default), repos={repo: rules(said) for repo, said in self.repos.items()})


def fleet_trouble(settings: Settings) -> str | None:
    """What keeps a daemon from starting with these rules, a sentence with its cure; "" nothing; None: no file."""
    try:
        read_fleet(settings)
    except ConfigError as exc:
        return str(exc)
    return "" if _place_of(settings).exists() else None


def read_fleet(settings: Settings) -> FleetFile:
    """The operator's rules: the file's, and the variables' where it says nothing. Raises ConfigError."""
    variables = _from_variables(settings)
    path = _place_of(settings)
    data = _content(path, named=settings.fleet_file is not None)
    return FleetFile(default=variables, repos={}) if data is None else parse_fleet(data, variables, path.name)


def parse_fleet(data: bytes, variables: Said, name: str = FILE_NAME) -> FleetFile:
    """The file's rules; `variables` stand where it says nothing. Raises ConfigError with the place and a cure."""
    try:
        told = _File.model_validate(_toml(data))
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        problem = clean(first["msg"].removeprefix("Value error, ").rstrip("."), 200)
        raise ConfigError(f"{name} at {_place(first['loc'])}: {problem}; docs/fleet.md says what it takes.") from exc
    except ValueError as exc:
        raise ConfigError(f"{name} is not valid TOML ({clean(str(exc), 120)}); correct it.") from exc
    default = _over(variables, told.default)
    repos: dict[str, Said] = {}
    for repo, table in told.repo.items():
        if not _REPO.fullmatch(repo):
            raise ConfigError(
                f'{name} at [repo."{clean(repo, 60)}"]: that is no repository; name it as the forge does.'
            )
        if repo.lower() in repos:
            raise ConfigError(f'{name} at [repo."{repo}"]: it is there twice; letters\' case makes no difference.')
        gates = None if table.gates is None else plan_of(table.gates)
        repos[repo.lower()] = replace(_over(default, table), gates=gates)
    return FleetFile(default=default, repos=repos)


def _place_of(settings: Settings) -> Path:
    return settings.fleet_file or settings.state_dir / FILE_NAME


def _from_variables(settings: Settings) -> Said:
    return Said(
        egress=_checked("ASHIGARU_SETUP_EGRESS", settings.setup_egress, _target),
        private=_checked("ASHIGARU_SETUP_PRIVATE_HOSTS", settings.setup_private_hosts, _host),
    )


def _checked(variable: str, listed: Sequence[str], check: Callable[[str], str]) -> tuple[str, ...]:
    try:
        return tuple(map(check, listed))
    except ValueError as exc:
        raise ConfigError(f"{variable} is wrong: each {exc}; docs/operate.md says what it takes.") from exc


def _over(below: Said, table: Table) -> Said:
    """What the table says, and what is below it where it says nothing."""

    def one(said: list[str] | None, otherwise: tuple[str, ...]) -> tuple[str, ...]:
        return otherwise if said is None else tuple(said)

    return Said(
        egress=one(table.egress, below.egress),
        presets=one(table.egress_presets, below.presets),
        private=one(table.egress_private, below.private),
        allow_protected=one(table.allow_protected, below.allow_protected),
        priority=below.priority if table.priority is None else Priority(table.priority),
        runs=RepoLimits(
            live=below.runs.live if table.live_runs is None else table.live_runs,
            queued=below.runs.queued if table.queued_runs is None else table.queued_runs,
        ),
    )


def _content(path: Path, *, named: bool) -> bytes | None:
    """The file's bytes; None where it is not there and nobody named it."""
    try:
        # Not waited for: a FIFO in its place must not hold the start.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as handle:
            mode = os.fstat(handle.fileno()).st_mode
            data = handle.read(_MAX_BYTES + 1) if stat.S_ISREG(mode) else b""
    except FileNotFoundError as exc:
        if named:
            raise ConfigError("ASHIGARU_FLEET_FILE names a file that is not there; correct the path.") from exc
        return None
    except OSError as exc:
        raise ConfigError(f"{path.name} cannot be read ({exc.strerror}); correct its mode.") from exc
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{path.name} is no plain file; put one in its place.")
    if mode & stat.S_IWOTH:
        raise ConfigError(f"{path.name} can be written by anybody on this machine; chmod o-w it.")
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path.name} is over {_MAX_BYTES} bytes; say less in it.")
    return data


def _toml(data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError as exc:
        raise ValueError("it is nested too deep") from exc


def _place(loc: tuple[int | str, ...]) -> str:
    """`[repo."acme/widgets"] egress.2`: entries are counted from 1."""
    parts = [str(part + 1) if isinstance(part, int) else clean(part, 60) for part in loc]
    if parts[:1] == ["repo"] and len(parts) > 1:
        table, rest = f'[repo."{parts[1]}"]', parts[2:]
    elif parts[:1] == ["default"]:
        table, rest = "[default]", parts[1:]
    else:
        table, rest = ".".join(parts) or "the top", []
    return clean(f"{table} {'.'.join(rest)}".strip(), 120)
