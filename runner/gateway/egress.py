"""The egress proxy of set-up steps: CONNECT to named hosts and ports, and nothing else. It fails closed.

Runs in the daemon, one Unix socket a set-up. Names are resolved here, so that a step cannot name an address, and the
address is looked at before it is dialled (RFC 9110, section 9.3.6, describes CONNECT).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gates.text import clean
from runner.egress_rules import Egress, host_and_port, plain_host
from runner.gateway.loop import GatewayLoop, listening_socket

__all__ = ["Egress", "EgressProxy", "connect_target"]

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
_SHOWN_CHARS: Final = 80


@dataclass(kw_only=True)
class _Served:
    server: asyncio.Server
    path: Path
    live: set[asyncio.Task[None]] = field(default_factory=set)


class EgressProxy:
    """Serves set-ups until they are shut. Safe to use from any thread but the loop's own."""

    def __init__(self, loop: GatewayLoop, policy: Egress, *, idle_s: float = _IDLE_S) -> None:
        """Serve nothing yet. policy: for set-ups that are opened without rules of their own.

        idle_s: how long a connection may go without a byte in either direction.
        """
        self._loop = loop
        self._policy = policy
        self._idle_s = idle_s
        self._served: dict[str, _Served] = {}
        self._refused: dict[str, list[str]] = {}
        self._unreached: dict[str, list[str]] = {}

    def open(self, owner: str, socket_dir: Path, rules: Egress | None = None) -> None:
        """Serve `egress.sock` in that directory, by these rules. A second time changes nothing. Raises SandboxFault."""
        self._loop.run(self._serve(owner, socket_dir / "egress.sock", rules))

    def shut(self, owner: str) -> None:
        """No longer serve it, and drop its connections. One that is not open: nothing."""
        self._loop.run(self._stop(owner))

    def close(self) -> None:
        """Shut every set-up."""
        for owner in list(self._served):
            self.shut(owner)

    def refusals(self, owner: str) -> tuple[str, ...]:
        """What was refused to that set-up, each once: `host:port`, or the line that was no CONNECT to a name.

        Bounded; the last few hundred set-ups are remembered.
        """
        return tuple(self._refused.get(owner, ()))

    def unreached(self, owner: str) -> tuple[str, ...]:
        """The named `host:port` that could not be resolved or did not answer, each once, bounded."""
        return tuple(self._unreached.get(owner, ()))

    async def _serve(self, owner: str, path: Path, rules: Egress | None = None) -> None:
        if owner in self._served:
            return
        mine = self._policy if rules is None else rules
        live: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is None or len(live) >= _MAX_CONNECTIONS:
                writer.close()
                return
            live.add(task)
            try:
                await self._exchange(owner, mine, reader, writer)
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
        self._unreached.pop(owner, None)

    async def _stop(self, owner: str) -> None:
        served = self._served.pop(owner, None)
        if served is None:
            return
        served.path.unlink(missing_ok=True)
        served.server.close()
        for task in list(served.live):
            task.cancel()

    async def _exchange(
        self, owner: str, rules: Egress, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_S)
        target = connect_target(head)
        if target is None:
            self._refuse(owner, clean(head.split(b"\r\n", 1)[0].decode("ascii", "replace"), _SHOWN_CHARS))
            await _say(writer, "405 Method Not Allowed")
            return
        host, port = target
        if not rules.admits(host, port):
            self._refuse(owner, f"{host}:{port}")
            await _say(writer, "403 Forbidden")
            return
        found = await _resolved(plain_host(host), port)
        addresses = [one for one in found if rules.admits_address(host, one)][:_MAX_ADDRESSES]
        if found and not addresses:
            self._refuse(owner, f"{host}:{port}")
            await _say(writer, "403 Forbidden")
            return
        # The very addresses that were looked at: the name is not asked for again.
        far = await _dialled(addresses, port)
        if far is None:
            _remember(self._unreached, owner, f"{host}:{port}")
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
        if _remember(self._refused, owner, target):
            _LOG.warning("egress refused: %s", target, extra={"owner": owner})


def _remember(book: dict[str, list[str]], owner: str, target: str) -> bool:
    """Whether that is news of the owner's; what is over the bounds is not."""
    known = book.setdefault(owner, [])
    news = target not in known and len(known) < _MAX_REFUSALS
    if news:
        known.append(target)
    while len(book) > _MAX_REMEMBERED:
        book.pop(next(iter(book)))
    return news


def connect_target(head: bytes) -> tuple[str, int] | None:
    """Host and port of a CONNECT request's head; None for anything else, an address in the place of a name too."""
    line = head.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ")
    if len(line) != 3 or line[0] != "CONNECT" or not line[2].startswith("HTTP/1."):
        return None
    return host_and_port(line[1])


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
