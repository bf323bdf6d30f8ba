"""Groups B and C: what `fleet.toml`, and the addresses behind its names may widen. Nothing is dialled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from pydantic import BaseModel, ConfigDict, Field

from mcp_ashigaru import fleet_file
from mcp_ashigaru.fleet_file import Said, parse_fleet
from mcp_ashigaru.settings import ConfigError
from runner import egress_rules, policy
from runner.changes import ChangeKind, FileChange, Snapshot
from runner.egress_rules import Egress
from runner.fleet import Fleet, RepoRules
from runner.gateway import egress
from runner.policy import Allowed, judge_changes
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out, out_everywhere, replaced


def _case(defence: str, vector: str, tried: str, attempt: Attempt, group: str = "C") -> Case:
    return Case(group=group, defence=defence, vector=vector, tried=tried, attempt=attempt)


def _fleet(text: str) -> Fleet:
    return parse_fleet(text.encode(), Said()).fleet(lambda _tool: ())


def _taken(text: str, has_effect: Callable[[Fleet], bool], _ground: Ground) -> Outcome:
    try:
        fleet = _fleet(text)
    except ConfigError as refusal:
        return Stopped(by=str(refusal))
    return Through(what="the daemon goes by it") if has_effect(fleet) else Stopped(by="it has no effect")


def _any(_fleet: Fleet) -> bool:
    return True


def _key(vector: str, text: str) -> Case:
    return _case("fleet-keys", vector, f"have {text.split()[-3]} passed over", partial(_taken, text, _any))


def _target(defence: str, vector: str, host: str, port: str) -> Case:
    def reached(fleet: Fleet) -> bool:
        return fleet.of("widgets").egress.admits(host, int(port))

    text = f'[default]\negress = ["{host}:{port}"]\n'
    return _case(defence, vector, f"name {host}:{port}", partial(_taken, text, reached))


def _private(vector: str, host: str) -> Case:
    def reached(fleet: Fleet) -> bool:
        return fleet.of("widgets").egress.admits_address(host, "10.0.0.5")

    text = f'[default]\negress_private = ["{host}"]\n'
    return _case("fleet-hosts", vector, f"mark {host} as private", partial(_taken, text, reached))


def _careless_target(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.lower(), int(port)


_TWO = (
    '[repo.gadgets]\negress = ["mirror.example:8443"]\negress_private = ["mirror.example"]\n'
    'allow_protected = [".github/**"]\n[repo.widgets]\negress = ["packages.example:443"]\n'
)


def _anothers(_fleet: Fleet, _repo: str) -> RepoRules:
    return next(iter(_fleet.repos.values()))


def _workflow_allowed(fleet: Fleet, repo: str) -> bool:
    return _allowed(".github/workflows/x.yml", fleet, repo)


def _allowed(path: str, fleet: Fleet, repo: str = "widgets") -> bool:
    change = FileChange(kind=ChangeKind.WRITE, path=path, mode="100644", content=b"x\n")
    return isinstance(judge_changes(Snapshot(changes=(change,)), fleet.limits(repo)), Allowed)


def _others(vector: str, tried: str, has_effect: Callable[[Fleet], bool]) -> Case:
    return _case("own-rules", vector, tried, partial(_taken, _TWO, has_effect))


def _granted(defence: str, vector: str, grant: str, path: str) -> Case:
    text = f'[default]\nallow_protected = ["{grant}"]\n'
    return _case(
        defence, vector, f"have {grant} granted and write {path}", partial(_taken, text, partial(_allowed, path)), "B"
    )


def _metadata(vector: str, address: str) -> Case:
    def attempt(_ground: Ground) -> Outcome:
        rules = Egress(private_hosts=frozenset({"mirror.example"}))
        if rules.admits_address("mirror.example", address):
            return Through(what=f"{address} would be dialled")
        return Stopped(by="it is never dialled")

    return _case("metadata-addresses", vector, f"have a host marked private resolve to {address}", attempt)


async def _asks_again(_addresses: list[str], port: int) -> None:
    for address in await egress._resolved("mirror.example", port):
        await asyncio.open_connection(address, port)


def _rebound(second: str, _ground: Ground) -> Outcome:
    """The name leads elsewhere at the second look-up than at the first."""
    answers, dialled = iter(["8.8.8.8"]), list[str]()

    async def resolve(_host: str, _port: int) -> list[str]:
        return [next(answers, second)]

    async def noted(address: str, _port: int) -> None:
        dialled.append(address)
        raise OSError

    async def once() -> None:
        found = await egress._resolved("mirror.example", 443)
        rules = Egress(allowed=frozenset({"mirror.example:443"}))
        try:
            await egress._dialled([one for one in found if rules.admits_address("mirror.example", one)], 443)
        except OSError:
            return

    with replaced((egress, "_resolved", resolve), (asyncio, "open_connection", noted)):
        asyncio.run(once())
    return Through(what=f"{second} was dialled") if second in dialled else Stopped(by=f"only {dialled} were dialled")


class _LaxTable(fleet_file.Table):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)
    gates: None = None


class _LaxFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)
    default: _LaxTable = _LaxTable()
    repo: dict[str, _LaxTable] = Field(default_factory=dict)


_DEFENCES = (
    Defence(
        name="fleet-keys",
        sentence="What fleet.toml does not know keeps the daemon from starting.",
        without=out(fleet_file, "_File", _LaxFile),
    ),
    Defence(
        name="fleet-hosts",
        sentence="A host is named by its name: no pattern and no address in any spelling.",
        without=out_everywhere(egress_rules.is_host, answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="fleet-ports",
        sentence="A port is a number that there is.",
        without=out_everywhere(egress_rules.host_and_port, _careless_target),
    ),
    Defence(
        name="own-rules",
        sentence="A repository goes by its own table.",
        without=out(Fleet, "of", _anothers),
    ),
    Defence(
        name="gits-own-files",
        sentence="What git itself reads cannot be granted.",
        without=out_everywhere(policy.is_gits_own, answering(False)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="exact-grants",
        sentence="A grant is for the paths that fit it.",
        without=out(policy, "fits", answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="metadata-addresses",
        sentence="Where clouds keep machines' credentials is never dialled, private host or not.",
        without=out(egress_rules, "_METADATA", frozenset()),
    ),
    Defence(
        name="dialled-as-judged",
        sentence="The addresses that were judged are dialled; the name is not asked for again.",
        without=out(egress, "_dialled", _asks_again),
    ),
)

_CASES = (
    _key("unknown-table", '[defaults]\negress = ["a.example:443"]\n'),
    _key("misspelled-key", '[default]\nallow_protectd = ["CLAUDE.md"]\n'),
    _key("unknown-key-of-a-repository", '[repo.widgets]\nnetwork = "host"\n'),
    _target("fleet-hosts", "any-host", "*", "443"),
    _target("fleet-hosts", "wildcard", "*.example", "443"),
    _target("fleet-hosts", "raw-address", "169.254.169.254", "80"),
    _target("fleet-hosts", "raw-address-v6", "[::1]", "443"),
    _target("fleet-hosts", "number-for-an-address", "2130706433", "443"),
    _private("private-address", "10.0.0.5"),
    _private("private-wildcard", "*.internal"),
    _target("fleet-ports", "zero", "a.example", "0"),
    _target("fleet-ports", "beyond-the-last", "a.example", "65536"),
    _target("fleet-ports", "negative", "a.example", "-1"),
    _target("fleet-ports", "digits-of-another-script", "a.example", "\uff14\uff14\uff13"),
    _others(
        "anothers-host", "CONNECT to a host of another", lambda f: f.of("widgets").egress.admits("mirror.example", 8443)
    ),
    _others(
        "anothers-private-host",
        "have another's private host lead into the network",
        lambda f: f.of("widgets").egress.admits_address("mirror.example", "10.0.0.5"),
    ),
    _others("anothers-grant", "write what another is granted", lambda f: _workflow_allowed(f, "widgets")),
    _others("name-alike", "go by the table of a name alike", lambda f: _workflow_allowed(f, "gadgets2")),
    _granted("gits-own-files", "modules", ".gitmodules", ".gitmodules"),
    _granted("gits-own-files", "attributes-at-any-depth", "**/.gitattributes", "src/.gitattributes"),
    _granted("gits-own-files", "attributes-by-a-pattern", "**/*attributes", ".gitattributes"),
    _granted("gits-own-files", "short-name-of-ntfs", "GITMOD~1", "GITMOD~1"),
    _granted("exact-grants", "folder-beside-it", ".github/ISSUE_TEMPLATE/**", ".github/workflows/x.yml"),
    _granted("exact-grants", "same-name-below", "CLAUDE.md", "src/CLAUDE.md"),
    _granted("exact-grants", "star-across-folders", "docs/*", "docs/a/CLAUDE.md"),
    _metadata("v6", "fd00:ec2::254"),
    _metadata("in-the-carriers-range", "100.100.100.200"),
    _metadata("public-one", "168.63.129.16"),
    _metadata("public-one-mapped", "::ffff:168.63.129.16"),
    _case("dialled-as-judged", "to-loopback", "rebind to 127.0.0.1 after the look-up", partial(_rebound, "127.0.0.1")),
    _case("dialled-as-judged", "to-metadata", "rebind to metadata after it", partial(_rebound, "169.254.169.254")),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
