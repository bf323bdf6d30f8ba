"""The egress proxy of set-up steps: CONNECT to named hosts and ports, and nothing else. It fails closed.

Runs in the daemon, one Unix socket a set-up. Names are resolved here, so that a step cannot name an address, and the
address is looked at before it is dialled (RFC 9110, section 9.3.6, describes CONNECT).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from runner.gateway.loop import GatewayLoop, listening_socket

_LOG: Final = logging.getLogger(__name__)
_HEAD_BYTES: Final = 16 * 1024
_HEAD_S: Final = 15.0
_RESOLVE_S: Final = 10.0
_DIAL_S: Final = 15.0
_IDLE_S: Final = 120.0
_CHUNK: Final = 64 * 1024
_MAX_ADDRESSES: Final = 4
_MAX_CONNECTIONS: Final = 64
_MAX_REFUSALS: Final = 50
_MAX_REMEMBERED: Final = 200
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, kw_only=True)
class Egress:
    """Where a set-up may go: exact `host:port` pairs, in lower case.

    private_hosts: names, in lower case, that may resolve to this host's loopback or to a private network.
    """

    allowed: frozenset[str]
    private_hosts: frozenset[str]

    def admits(self, host: str, port: int) -> bool:
        """Whether that very host and port is named."""
        return f"{_plain(host)}:{port}" in self.allowed

    def admits_address(self, host: str, address: str) -> bool:
        """Whether what the name resolved to may be dialled: public, or private where the operator said so.

        Link-local addresses are never dialled: clouds keep their machines' credentials there.
        """
        where = _innermost(ipaddress.ip_address(address.partition("%")[0]))
        if where.is_link_local or where.is_multicast or where.is_unspecified:
            return False
        return where.is_global or _plain(host) in self.private_hosts


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address


@dataclass(kw_only=True)
class _Served:
    server: asyncio.Server
    path: Path
    live: set[asyncio.Task[None]] = field(default_factory=set)


class EgressProxy:
    """Serves set-ups until they are shut. Safe to use from any thread but the loop's own."""

    def __init__(self, loop: GatewayLoop, policy: Egress, *, idle_s: float = _IDLE_S) -> None:
        """Serve nothing yet. idle_s: how long a connection may go without a byte in either direction."""
        self._loop = loop
        self._policy = policy
        self._idle_s = idle_s
        self._served: dict[str, _Served] = {}
        self._refused: dict[str, list[str]] = {}

    def open(self, owner: str, socket_dir: Path) -> None:
        """Serve `egress.sock` in that directory. A second time changes nothing. Raises SandboxFault."""
        self._loop.run(self._serve(owner, socket_dir / "egress.sock"))

    def shut(self, owner: str) -> None:
        """No longer serve it, and drop its connections. One that is not open: nothing."""
        self._loop.run(self._stop(owner))

    def close(self) -> None:
        """Shut every set-up."""
        for owner in list(self._served):
            self.shut(owner)

    def refusals(self, owner: str) -> tuple[str, ...]:
        """What was refused to that set-up, as `host:port`, each once; the last few hundred set-ups are remembered."""
        return tuple(self._refused.get(owner, ()))

    async def _serve(self, owner: str, path: Path) -> None:
        if owner in self._served:
            return
        live: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is None or len(live) >= _MAX_CONNECTIONS:
                writer.close()
                return
            live.add(task)
            try:
                await self._exchange(owner, reader, writer)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                _LOG.debug("an egress connection ended early", exc_info=True)
            except asyncio.CancelledError:
                # Only `_stop` and the end of the loop cancel it, and a stream's handler that ends as cancelled is
                # reported as broken by asyncio.
                _LOG.debug("an egress connection was dropped")
            finally:
                live.discard(task)
                writer.close()

        listener = listening_socket(path)
        server = await asyncio.start_unix_server(handle, sock=listener, limit=_HEAD_BYTES)
        self._served[owner] = _Served(server=server, path=path, live=live)
        self._refused.pop(owner, None)

    async def _stop(self, owner: str) -> None:
        served = self._served.pop(owner, None)
        if served is None:
            return
        served.path.unlink(missing_ok=True)
        served.server.close()
        for task in list(served.live):
            task.cancel()

    async def _exchange(self, owner: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_S)
        target = connect_target(head)
        if target is None:
            await _say(writer, "405 Method Not Allowed")
            return
        host, port = target
        if not self._policy.admits(host, port):
            self._refuse(owner, f"{host}:{port}")
            await _say(writer, "403 Forbidden")
            return
        found = await _resolved(_plain(host), port)
        addresses = [one for one in found if self._policy.admits_address(host, one)][:_MAX_ADDRESSES]
        if found and not addresses:
            self._refuse(owner, f"{host}:{port}")
            await _say(writer, "403 Forbidden")
            return
        far = await _dialled(addresses, port)
        if far is None:
            await _say(writer, "502 Bad Gateway")
            return
        far_reader, far_writer = far
        try:
            await _say(writer, "200 Connection Established")
            await self._joined((reader, writer), (far_reader, far_writer))
        finally:
            far_writer.close()

    async def _joined(
        self,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Pass bytes both ways until both ends have said all, or nothing moved for too long. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._idle_s) as idle, asyncio.TaskGroup() as pumps:

            async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                # A broken end is an ended one: the other direction is told by the end of what it reads.
                with contextlib.suppress(OSError):
                    while chunk := await reader.read(_CHUNK):
                        idle.reschedule(loop.time() + self._idle_s)
                        writer.write(chunk)
                        await writer.drain()
                    writer.write_eof()

            pumps.create_task(pump(near[0], far[1]))
            pumps.create_task(pump(far[0], near[1]))

    def _refuse(self, owner: str, target: str) -> None:
        known = self._refused.setdefault(owner, [])
        if target not in known and len(known) < _MAX_REFUSALS:
            known.append(target)
            _LOG.warning("egress refused: %s", target, extra={"owner": owner})
        while len(self._refused) > _MAX_REMEMBERED:
            self._refused.pop(next(iter(self._refused)))


def connect_target(head: bytes) -> tuple[str, int] | None:
    """Host and port of a CONNECT request's head; None for anything else, an address in the place of a name too."""
    line = head.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ")
    if len(line) != 3 or line[0] != "CONNECT" or not line[2].startswith("HTTP/1."):
        return None
    host, colon, port = line[1].rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        return None
    labels = host.removesuffix(".").split(".")
    named = all(0 < len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    # What looks like a number is taken for an IPv4 address by some resolvers: 127.1, 2130706433, 0x7f000001.
    numeric = labels[-1][:1].isdigit()
    return (host.lower(), int(port)) if named and host.isascii() and not numeric and len(host) <= 253 else None


async def _resolved(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await asyncio.wait_for(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM), _RESOLVE_S)
    except (OSError, TimeoutError):
        return []
    return list(dict.fromkeys(str(info[4][0]) for info in found))


async def _dialled(addresses: list[str], port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    for address in addresses:
        with contextlib.suppress(OSError, TimeoutError):
            return await asyncio.wait_for(asyncio.open_connection(address, port), _DIAL_S)
    return None


async def _say(writer: asyncio.StreamWriter, status: str) -> None:
    writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode("ascii"))
    await writer.drain()
