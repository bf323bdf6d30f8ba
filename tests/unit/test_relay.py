"""The relay, on loopback ports and Unix sockets of the test's own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runner.gateway import relay as relay_module
from runner.gateway.relay import Relay, Route, parse

DEADLINE_S = 10.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await test()

    asyncio.run(bounded())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with everything there was, once the other side has closed."""
    writer.write(b"you said " + await reader.read())
    writer.write_eof()
    await writer.drain()
    writer.close()


@asynccontextmanager
async def relaying(path: Path, *, hold_s: float = DEADLINE_S, limit: int = 4) -> AsyncIterator[tuple[Relay, int]]:
    relay = Relay(routes=(Route(port=0, socket=path),), hold_s=hold_s, limit=limit)
    (port,) = await relay.listen()
    try:
        yield relay, port
    finally:
        await relay.close()


@asynccontextmanager
async def daemon(path: Path, handler: Handler = echo) -> AsyncIterator[None]:
    server = await asyncio.start_unix_server(handler, str(path))
    try:
        yield
    finally:
        server.close()
        path.unlink()  # noqa: ASYNC240 - a test's own file


async def connect(port: int) -> Streams:
    return await asyncio.open_connection("127.0.0.1", port)


async def heard(reader: asyncio.StreamReader) -> bytes:
    """What came until the other side ended or reset the connection."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(int(DEADLINE_S * 1000)):
        if condition():
            return
        await asyncio.sleep(0.001)


async def say(port: int, data: bytes) -> bytes:
    reader, writer = await connect(port)
    writer.write(data)
    writer.write_eof()
    heard = await reader.read()
    writer.close()
    return heard


def test_a_connection_is_joined_both_ways_and_half_closes_pass_through(tmp_path: Path) -> None:
    async def scene() -> None:
        async with daemon(tmp_path / "s"), relaying(tmp_path / "s") as (_, port):
            assert await say(port, b"x" * 300_000) == b"you said " + b"x" * 300_000

    run(scene)


def test_a_connection_is_held_until_the_daemon_is_there(tmp_path: Path) -> None:
    async def scene() -> None:
        async with relaying(tmp_path / "s") as (relay, port):
            asked = asyncio.create_task(say(port, b"hello"))
            await until(lambda: len(relay.live) == 1)
            async with daemon(tmp_path / "s"):
                assert await asked == b"you said hello"

    run(scene)


def test_a_stale_socket_is_held_like_a_missing_one(tmp_path: Path) -> None:
    async def scene() -> None:
        server = await asyncio.start_unix_server(echo, str(tmp_path / "s"))
        server.close()
        assert (tmp_path / "s").is_socket()
        async with relaying(tmp_path / "s") as (relay, port):
            asked = asyncio.create_task(say(port, b"hello"))
            await until(lambda: len(relay.live) == 1)
            (tmp_path / "s").unlink()
            async with daemon(tmp_path / "s"):
                assert await asked == b"you said hello"

    run(scene)


def test_a_connection_is_let_go_when_the_hold_time_is_over(tmp_path: Path) -> None:
    async def scene() -> None:
        async with relaying(tmp_path / "s", hold_s=0.0) as (_, port):
            reader, writer = await connect(port)
            assert await heard(reader) == b""
            writer.close()

    run(scene)


def test_one_connection_too_many_is_closed_at_once(tmp_path: Path) -> None:
    async def scene() -> None:
        async with relaying(tmp_path / "s", limit=2) as (relay, port):
            held = [await connect(port) for _ in range(2)]
            await until(lambda: len(relay.live) == 2)
            reader, writer = await connect(port)
            assert await heard(reader) == b""
            assert len(relay.live) == 2
            writer.close()
            for _, open_writer in held:
                open_writer.close()

    run(scene)


def test_a_client_hears_at_once_that_the_daemon_has_died(tmp_path: Path) -> None:
    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"half an ans")
        await writer.drain()
        writer.transport.abort()

    async def scene() -> None:
        async with daemon(tmp_path / "s", dies), relaying(tmp_path / "s") as (_, port):
            reader, writer = await connect(port)
            writer.write(b"question\n")
            assert await heard(reader) in {b"half an ans", b""}  # a reset may overtake what was sent
            writer.close()

    run(scene)


def test_a_client_that_goes_away_frees_its_place(tmp_path: Path) -> None:
    async def listens(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def scene() -> None:
        async with daemon(tmp_path / "s", listens), relaying(tmp_path / "s") as (relay, port):
            _, writer = await connect(port)
            await until(lambda: len(relay.live) == 1)
            writer.transport.abort()
            await until(lambda: not relay.live)

    run(scene)


@pytest.mark.parametrize("route", ["x", "0:a.sock", "70000:a.sock", "80:../a", "80:/a", "80:", "80:.hidden", "80:A b"])
def test_a_route_that_is_none_is_refused(route: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([route])
    assert "PORT:SOCKET" in capsys.readouterr().err


def test_routes_lead_into_the_socket_directory() -> None:
    assert parse(["--hold", "5", "8080:model.sock", "3128:egress.sock"]) == Relay(
        routes=(
            Route(port=8080, socket=Path("/ashigaru/sockets/model.sock")),
            Route(port=3128, socket=Path("/ashigaru/sockets/egress.sock")),
        ),
        hold_s=5.0,
    )


def test_sigterm_ends_it_at_once_even_while_connections_are_held() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-I", str(relay_module.__file__), "--hold", "600", f"{port}:nobody.sock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S):
            process.send_signal(signal.SIGTERM)
            try:
                assert process.wait(DEADLINE_S) == 0
            finally:
                process.kill()


def test_what_is_no_route_is_left_for_the_command_line_to_complain_of() -> None:
    relay_module.listen_on(["--hold", "600", "x:y", "0:a.sock", "70000:a.sock", "plain"])
    assert relay_module.LISTENING == {}
