"""Group C, the way out of a set-up: where the egress proxy goes, and where not. Nothing is dialled: it is noted."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from runner.gateway import egress
from runner.gateway.egress import Egress, EgressProxy
from runner.gateway.loop import GatewayLoop
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.taking_out import answering, out, replaced

_PUBLIC = "8.8.8.8"
"""Some address that is global; it is never dialled."""

_NAMED = frozenset({"packages.example:443"})


def _case(defence: str, vector: str, tried: str, attempt: Attempt) -> Case:
    return Case(group="C", defence=defence, vector=vector, tried=tried, attempt=attempt)


@dataclass(kw_only=True)
class _Proxy:
    proxy: EgressProxy
    home: Path
    dialled: list[str] = field(default_factory=list)

    def connection(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(8.0)
        try:
            made.connect(str(self.home / "egress.sock"))
        except OSError:
            made.close()
            raise
        return made

    def ask(self, line: str) -> str:
        """The status line that came back."""
        with self.connection() as made:
            made.sendall(f"{line}\r\nhost: x\r\n\r\n".encode())
            return made.recv(200).split(b"\r\n")[0].decode("ascii", "replace")


@contextmanager
def _proxy(ground: Ground, policy: Egress, resolved: tuple[str, ...]) -> Iterator[_Proxy]:
    loop = GatewayLoop()
    loop.start()
    made = _Proxy(proxy=EgressProxy(loop, policy), home=ground.directory())

    async def resolve(_host: str, _port: int) -> list[str]:
        return list(resolved)

    async def dial(addresses: list[str], _port: int) -> None:
        made.dialled.extend(addresses)

    try:
        made.proxy.open("setup", made.home)
        with replaced((egress, "_resolved", resolve), (egress, "_dialled", dial)):
            yield made
    finally:
        made.proxy.close()
        loop.close()


def _connect(line: str, policy: Egress, resolved: tuple[str, ...], ground: Ground) -> Outcome:
    with _proxy(ground, policy, resolved) as one:
        said = one.ask(line)
        if one.dialled:
            return Through(what=f"{one.dialled[0]} was dialled")
        refused = one.proxy.refusals("setup")
    return Stopped(by=f"{said}{' and told: ' + refused[0] if refused else ''}")


def _listed(vector: str, target: str) -> Case:
    policy = Egress(allowed=_NAMED, private_hosts=frozenset())
    line = f"CONNECT {target} HTTP/1.1"
    return _case("egress-list", vector, line, partial(_connect, line, policy, (_PUBLIC,)))


def _address(vector: str, address: str, *, private: bool = False) -> Case:
    hosts = frozenset({"packages.example"}) if private else frozenset()
    policy = Egress(allowed=_NAMED, private_hosts=hosts)
    line = "CONNECT packages.example:443 HTTP/1.1"
    tried = f"have the named host resolve to {address}"
    return _case("egress-addresses", vector, tried, partial(_connect, line, policy, (address,)))


def _form(vector: str, line: str) -> Case:
    # Even where it were on the list.
    host = line.split(" ")[1].removeprefix("http://").split("/")[0]
    policy = Egress(allowed=frozenset({host, f"{host}:443", "any.example:443"}), private_hosts=frozenset())
    return _case("connect-to-names", vector, line, partial(_connect, line, policy, (_PUBLIC,)))


def _carelessly_read(head: bytes) -> tuple[str, int]:
    """The target as a careless proxy reads it."""
    target = head.split(b" ")[1].decode("utf-8", "replace").removeprefix("http://").split("/")[0]
    host, _, port = target.rpartition(":")
    return (host, int(port)) if host and port.isdigit() else (target, 443)


def _shut(ground: Ground) -> Outcome:
    with _proxy(ground, Egress(allowed=_NAMED, private_hosts=frozenset()), (_PUBLIC,)) as one:
        one.proxy.shut("setup")
        try:
            one.ask("CONNECT packages.example:443 HTTP/1.1")
        except OSError as fault:
            return Stopped(by=f"nobody listens any more ({type(fault).__name__})")
        return Through(what="it was served") if one.dialled else Stopped(by="it was not served")


async def _never(*_arguments: object) -> None:
    """In the place of what would stop the proxy."""


def _flood(ground: Ground) -> Outcome:
    with _proxy(ground, Egress(allowed=_NAMED, private_hosts=frozenset()), (_PUBLIC,)) as one, ExitStack() as held:
        for _ in range(64):
            held.enter_context(one.connection())
        try:
            said = one.ask("CONNECT packages.example:443 HTTP/1.1")
        except OSError as fault:
            return Stopped(by=type(fault).__name__)
    return Through(what=f"the next one was served: {said}") if said else Stopped(by="the next one is closed at once")


_DEFENCES = (
    Defence(
        name="egress-list",
        sentence="A set-up reaches the very hosts and ports that are named.",
        without=out(Egress, "admits", answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="egress-addresses",
        sentence="A name that leads to a private place is not dialled, and a link-local one never.",
        without=out(Egress, "admits_address", answering(True)),  # noqa: FBT003 - what it answers
    ),
    Defence(
        name="connect-to-names",
        sentence="The proxy takes CONNECT with a host's name, and nothing else.",
        without=out(egress, "connect_target", _carelessly_read),
    ),
    Defence(
        name="egress-ends",
        sentence="When the set-up is over nobody listens.",
        without=out(EgressProxy, "_stop", _never),
    ),
    Defence(
        name="egress-bound",
        sentence="A set-up holds a bounded number of connections.",
        without=out(egress, "_MAX_CONNECTIONS", 10**6),
    ),
)

_CASES = (
    _listed("other-host", "evil.example:443"),
    _listed("other-port", "packages.example:22"),
    _listed("below-it", "evil.packages.example:443"),
    _listed("name-with-it-at-the-end", "evilpackages.example:443"),
    _listed("name-with-it-in-front", "packages.example.evil.example:443"),
    _listed("dns-over-https", "dns.example:443"),
    _address("loopback", "127.0.0.1"),
    _address("loopback-v6", "::1"),
    _address("private", "10.0.0.5"),
    _address("home-network", "192.168.1.1"),
    _address("carrier", "100.64.0.1"),
    _address("metadata", "169.254.169.254"),
    _address("metadata-of-a-private-host", "169.254.169.254", private=True),
    _address("metadata-v6", "fd00:ec2::254"),
    _address("link-local-v6", "fe80::1"),
    _address("mapped", "::ffff:169.254.169.254"),
    _address("translated", "64:ff9b::7f00:1"),
    _address("six-to-four", "2002:7f00:1::1"),
    _address("unspecified", "0.0.0.0"),  # noqa: S104 - nothing is bound
    _address("multicast", "224.0.0.1"),
    _form("plain-get", "GET http://any.example/ HTTP/1.1"),
    _form("address", "CONNECT 127.0.0.1:443 HTTP/1.1"),
    _form("address-v6", "CONNECT [::1]:443 HTTP/1.1"),
    _form("decimal-address", "CONNECT 2130706433:443 HTTP/1.1"),
    _form("hexadecimal-address", "CONNECT 0x7f000001:443 HTTP/1.1"),
    _form("octal-address", "CONNECT 0177.0.0.1:443 HTTP/1.1"),
    _form("short-address", "CONNECT 127.1:443 HTTP/1.1"),
    _form("no-port", "CONNECT any.example HTTP/1.1"),
    _form("user-part", "CONNECT any.example@evil.example:443 HTTP/1.1"),
    _case("egress-ends", "after-the-set-up", "go on when the set-up is over", _shut),
    _case("egress-bound", "flood", "open 65 connections", _flood),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
