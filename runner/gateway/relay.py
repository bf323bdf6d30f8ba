"""Join loopback TCP ports inside a sealed pod to the daemon's Unix sockets: `relay.py --hold 300 8080:model.sock`.

Standard library only, one file: it is PID 1 of a sealed member of the pod. While a socket is missing or refuses, a
connection is held and retried for the hold time, so that a daemon that restarts does not kill the agent. It prints
`ready` once every port listens, and ends at once on SIGTERM.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

LISTENING: dict[int, socket.socket] = {}
"""Ports that listen already, by number."""


def listen_on(arguments: list[str]) -> None:
    """Have the port of every `PORT:SOCKET` listen; what is malformed is left for `parse` to complain of."""
    for text in arguments:
        port = text.partition(":")[0]
        if ":" in text and port.isdecimal() and 0 < int(port) < 65536:
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", int(port)))
            listener.listen(100)
            LISTENING[int(port)] = listener


if __name__ == "__main__":
    # PID 1 ignores every signal that it has no handler for; there is nothing to put in order before leaving.
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
    # The sandbox is started when this is ready: the imports below take four times as long as all before them, and
    # whoever connects meanwhile waits in the queue of the port.
    listen_on(sys.argv[1:])
    sys.stdout.write("ready\n")
    sys.stdout.flush()

import argparse  # noqa: E402
import asyncio  # noqa: E402
import re  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from pathlib import Path  # noqa: E402

MAX_CONNECTIONS = 64
BUFFER = 64 * 1024
RETRY_S = 0.1
LINGER_S = 30.0
"""How long a client may go on sending after the daemon's side has closed."""

_ROUTE = re.compile(r"([1-9][0-9]{0,4}):([a-z0-9][a-z0-9._-]{0,63})")


@dataclass(frozen=True, kw_only=True)
class Route:
    """One loopback port (0: any free one) and the socket that it leads to."""

    port: int
    socket: Path


@dataclass(kw_only=True)
class Relay:
    """Forward connections along `routes`; at most `limit` at a time, the next ones are closed at once."""

    routes: tuple[Route, ...]
    hold_s: float
    limit: int = MAX_CONNECTIONS
    live: set[asyncio.Task[None]] = field(default_factory=set)
    servers: list[asyncio.Server] = field(default_factory=list)

    async def listen(self) -> tuple[int, ...]:
        """Listen on 127.0.0.1 for every route; the ports listened on, in the order of the routes."""
        for route in self.routes:
            listening = LISTENING.pop(route.port, None)
            where = {"sock": listening} if listening is not None else {"host": "127.0.0.1", "port": route.port}
            self.servers.append(await asyncio.start_server(self._accept(route.socket), limit=BUFFER, **where))
        return tuple(int(server.sockets[0].getsockname()[1]) for server in self.servers)

    async def close(self) -> None:
        """No port listens and no connection is left."""
        for server in self.servers:
            server.close()
        for task in tuple(self.live):
            task.cancel()
        await asyncio.gather(*self.live, return_exceptions=True)

    def _accept(self, socket: Path) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if len(self.live) >= self.limit:
                writer.transport.abort()
                return
            task = asyncio.get_running_loop().create_task(self._serve(socket, reader, writer))
            self.live.add(task)
            task.add_done_callback(self.live.discard)

        return accepted

    async def _serve(self, socket: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        try:
            joined = await self._reach(socket, writer)
            if joined is None:
                return
            answers, upstream = joined
            await _join(reader, writer, answers, upstream)
        except OSError:
            pass  # either side went away; aborting both is all there is to do
        finally:
            writer.transport.abort()
            if upstream is not None:
                upstream.transport.abort()

    async def _reach(
        self, socket: Path, client: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.hold_s
        while not client.is_closing():
            try:
                return await asyncio.open_unix_connection(str(socket), limit=BUFFER)
            except OSError:
                if loop.time() >= deadline:
                    return None
            await asyncio.sleep(RETRY_S)
        return None


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answers: asyncio.StreamReader,
    upstream: asyncio.StreamWriter,
) -> None:
    """Copy both ways until both ends have closed, or one of them broke."""
    outward = asyncio.ensure_future(_pump(reader, upstream))
    inward = asyncio.ensure_future(_pump(answers, writer))
    try:
        done, _ = await asyncio.wait({outward, inward}, return_when=asyncio.FIRST_COMPLETED)
        for finished in done:
            finished.result()
        if inward in done and not outward.done():
            await asyncio.wait({outward}, timeout=LINGER_S)
        else:
            await inward
    finally:
        outward.cancel()
        inward.cancel()
        await asyncio.gather(outward, inward, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(BUFFER):
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()


def parse(arguments: Sequence[str]) -> Relay:
    """The relay that the command line asks for; exits with a usage message otherwise."""
    parser = argparse.ArgumentParser(prog="relay.py", description=__doc__)
    parser.add_argument("--hold", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("--sockets", type=Path, default=Path("/ashigaru/sockets"), metavar="DIR")
    parser.add_argument("route", nargs="*", metavar="PORT:SOCKET")
    options = parser.parse_args(arguments)
    routes = []
    for text in options.route:
        found = _ROUTE.fullmatch(text)
        if found is None or int(found[1]) > 65535:
            parser.error(f"{text!r} is not PORT:SOCKET, for example 8080:model.sock")
        routes.append(Route(port=int(found[1]), socket=options.sockets / found[2]))
    return Relay(routes=tuple(routes), hold_s=options.hold)


async def _run(relay: Relay) -> None:
    await relay.listen()
    await asyncio.Event().wait()


def main() -> None:
    """Relay until SIGTERM."""
    asyncio.run(_run(parse(sys.argv[1:])))


if __name__ == "__main__":
    main()
