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
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.gateway.loop import GatewayLoop, fresh_socket

_LOG: Final = logging.getLogger(__name__)
_HEAD_BYTES: Final = 16 * 1024
_HEAD_S: Final = 15.0
_DIAL_S: Final = 15.0
_IDLE_S: Final = 120.0
_CHUNK: Final = 64 * 1024
_MAX_CONNECTIONS: Final = 64
_MAX_REFUSALS: Final = 50


@dataclass(frozen=True, kw_only=True)
class Egress:
    """Where a set-up may go. allowed: exact `host:port` pairs. private_hosts: those that may be private addresses."""

    allowed: frozenset[str]
    private_hosts: frozenset[str]

    def admits(self, host: str, port: int) -> bool:
        """Whether that very host and port is named."""
        return f"{host.lower().rstrip('.')}:{port}" in self.allowed

    def admits_address(self, host: str, address: str) -> bool:
        """Whether what the name resolved to may be dialled: public, or private where the operator said so."""
        where = ipaddress.ip_address(address.partition("%")[0])
        if where.is_loopback or where.is_link_local or where.is_multicast or where.is_unspecified:
            return False
        return where.is_global or host.lower().rstrip(".") in self.private_hosts


class EgressProxy:
    """Serves set-ups until they are shut."""

    def __init__(self, loop: GatewayLoop, policy: Egress) -> None:
        """Serve nothing yet."""
        self._loop = loop
        self._policy = policy
        self._servers: dict[str, asyncio.Server] = {}
        self._refused: dict[str, list[str]] = {}
        self._live = 0

    def open(self, owner: str, socket_dir: Path) -> None:
        """Serve `egress.sock` in that directory. A second time changes nothing."""
        if owner not in self._servers:
            self._servers[owner] = self._loop.run(self._serve(owner, socket_dir / "egress.sock"))

    def shut(self, owner: str) -> None:
        """No longer serve it."""
        server = self._servers.pop(owner, None)
        if server is not None:
            self._loop.run(_stop(server))

    def refusals(self, owner: str) -> tuple[str, ...]:
        """What was refused to that set-up so far, as `host:port`, each once."""
        return tuple(self._refused.get(owner, ()))

    async def _serve(self, owner: str, path: Path) -> asyncio.Server:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._live >= _MAX_CONNECTIONS:
                writer.close()
                return
            self._live += 1
            try:
                await self._exchange(owner, reader, writer)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                _LOG.debug("an egress connection ended early", exc_info=True)
            finally:
                self._live -= 1
                writer.close()

        return await asyncio.start_unix_server(handle, str(fresh_socket(path)), limit=_HEAD_BYTES)

    async def _exchange(self, owner: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_S)
        target = connect_target(head)
        if target is None:
            await _say(writer, "405 Method Not Allowed")
            return
        host, port = target
        address = await self._resolved(host, port) if self._policy.admits(host, port) else None
        if address is None:
            self._refuse(owner, f"{host}:{port}")
            await _say(writer, "403 Forbidden")
            return
        try:
            far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(address, port), _DIAL_S)
        except (OSError, TimeoutError):
            await _say(writer, "502 Bad Gateway")
            return
        await _say(writer, "200 Connection Established")
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            far_writer.close()

    async def _resolved(self, host: str, port: int) -> str | None:
        """The first address of the name that may be dialled; None where there is none."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            return None
        addresses = [str(info[4][0]) for info in found]
        return next((one for one in addresses if self._policy.admits_address(host, one)), None)

    def _refuse(self, owner: str, target: str) -> None:
        known = self._refused.setdefault(owner, [])
        if target not in known and len(known) < _MAX_REFUSALS:
            known.append(target)
            _LOG.warning("egress refused: %s", target, extra={"owner": owner})


def connect_target(head: bytes) -> tuple[str, int] | None:
    """Host and port of a CONNECT request's head; None for anything else, an address in the place of a name too."""
    line = head.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ")
    if len(line) != 3 or line[0] != "CONNECT" or not line[2].startswith("HTTP/1."):
        return None
    host, colon, port = line[1].rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        return None
    name = all(part and len(part) <= 63 and part.replace("-", "").isalnum() for part in host.rstrip(".").split("."))
    numeric = host.replace(".", "").isdigit()
    return (host.lower(), int(port)) if name and host.isascii() and not numeric and len(host) <= 253 else None


async def _say(writer: asyncio.StreamWriter, status: str) -> None:
    writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode("ascii"))
    await writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await asyncio.wait_for(reader.read(_CHUNK), _IDLE_S):
        writer.write(chunk)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def _stop(server: asyncio.Server) -> None:
    server.close()
