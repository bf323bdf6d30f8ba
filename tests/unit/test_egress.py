"""The egress proxy, driven over its Unix socket. Names are those of this machine: nothing leaves it."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateway import egress
from runner.gateway.egress import Egress, EgressProxy, connect_target
from runner.gateway.loop import GatewayLoop

DEADLINE_S = 20.0


@pytest.fixture
def loop() -> Iterator[GatewayLoop]:
    made = GatewayLoop()
    made.start()
    yield made
    made.close()


@contextmanager
def echo(loop: GatewayLoop, *, silent: bool = False) -> Iterator[int]:
    """A server on this machine that says everything again, or nothing at all; gives its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            if not silent:
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(answer, "127.0.0.1", 0)

    async def stop(server: asyncio.Server) -> None:
        server.close()

    server = loop.run(serve())
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        loop.run(stop(server))


def proxy(
    loop: GatewayLoop, home: Path, *allowed: str, private: str = "localhost", idle_s: float = 120.0
) -> EgressProxy:
    policy = Egress(allowed=frozenset(allowed), private_hosts=frozenset({private}))
    made = EgressProxy(loop, policy, idle_s=idle_s)
    made.open("setup", home)
    return made


def dial(home: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(DEADLINE_S)
    try:
        made.connect(str(home / "egress.sock"))
    except OSError:
        made.close()
        raise
    return made


def ask(home: Path, line: str) -> tuple[socket.socket, bytes]:
    """A connection and the status line that came back ("" where it was closed)."""
    made = dial(home)
    made.sendall(f"{line}\r\nhost: x\r\n\r\n".encode())
    return made, answer_head(made).split(b"\r\n")[0]


def answer_head(made: socket.socket) -> bytes:
    held = b""
    while not held.endswith(b"\r\n\r\n"):
        byte = made.recv(1)
        if not byte:
            break
        held += byte
    return held


def test_a_named_host_is_reached_and_bytes_go_both_ways(loop: GatewayLoop, tmp_path: Path) -> None:
    with echo(loop) as port:
        one = proxy(loop, tmp_path, f"localhost:{port}")
        made, status = ask(tmp_path, f"CONNECT LocalHost.:{port} HTTP/1.1")
        with closing(made):
            assert status == b"HTTP/1.1 200 Connection Established"
            made.sendall(b"hello")
            made.shutdown(socket.SHUT_WR)
            assert made.recv(100) == b"hello"
            assert made.recv(100) == b""
        assert one.refusals("setup") == ()
        one.close()


def test_what_is_not_named_is_refused_and_remembered_once(loop: GatewayLoop, tmp_path: Path) -> None:
    one = proxy(loop, tmp_path, "localhost:443")
    for target in ("localhost:22", "evil.example:443", "EVIL.example:443", "sub.localhost:443"):
        made, status = ask(tmp_path, f"CONNECT {target} HTTP/1.1")
        made.close()
        assert status == b"HTTP/1.1 403 Forbidden"
    assert one.refusals("setup") == ("localhost:22", "evil.example:443", "sub.localhost:443")
    assert one.refusals("another") == ()
    one.close()


def test_a_name_that_leads_to_this_machine_is_refused_unless_it_may(loop: GatewayLoop, tmp_path: Path) -> None:
    with echo(loop) as port:
        one = proxy(loop, tmp_path, f"localhost:{port}", private="elsewhere")
        made, status = ask(tmp_path, f"CONNECT localhost:{port} HTTP/1.1")
        made.close()
        assert status == b"HTTP/1.1 403 Forbidden"
        assert one.refusals("setup") == (f"localhost:{port}",)
        one.close()


def test_a_name_is_resolved_once_and_only_an_address_that_may_be_is_dialled(
    loop: GatewayLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that changes its mind (DNS rebinding) is not asked again; of two addresses the public one is taken."""
    answers = [["127.0.0.1", "93.184.216.34"], ["127.0.0.1"]]
    dialled: list[tuple[list[str], int]] = []

    async def resolved(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    async def dialled_to(addresses: list[str], port: int) -> None:
        dialled.append((addresses, port))

    monkeypatch.setattr(egress, "_resolved", resolved)
    monkeypatch.setattr(egress, "_dialled", dialled_to)
    one = proxy(loop, tmp_path, "twofaced.example:443")
    made, status = ask(tmp_path, "CONNECT twofaced.example:443 HTTP/1.1")
    made.close()
    assert (dialled, len(answers)) == ([(["93.184.216.34"], 443)], 1)
    assert status == b"HTTP/1.1 502 Bad Gateway"
    assert (one.unreached("setup"), one.refusals("setup")) == (("twofaced.example:443",), ())
    one.close()


def test_what_is_dialled_is_an_address_and_no_name(
    loop: GatewayLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled: list[str] = []

    async def dial(host: str, _port: int) -> None:
        dialled.append(host)
        raise ConnectionRefusedError

    one = proxy(loop, tmp_path, "localhost:443")
    monkeypatch.setattr(egress.asyncio, "open_connection", dial)
    ask(tmp_path, "CONNECT localhost:443 HTTP/1.1")[0].close()
    one.close()
    assert dialled
    assert set(dialled) <= {"127.0.0.1", "::1"}


def test_each_set_up_goes_by_its_own_rules(loop: GatewayLoop, tmp_path: Path) -> None:
    with echo(loop) as port:
        one = proxy(loop, tmp_path, f"localhost:{port}")
        one.open("other", tmp_path / "other", Egress(allowed=frozenset({"elsewhere.example:443"})))
        for home, wanted in ((tmp_path, b"200 Connection Established"), (tmp_path / "other", b"403 Forbidden")):
            made, status = ask(home, f"CONNECT localhost:{port} HTTP/1.1")
            made.close()
            assert status == b"HTTP/1.1 " + wanted
        assert (one.refusals("setup"), one.refusals("other")) == ((), (f"localhost:{port}",))
        one.close()


def test_what_is_no_connect_to_a_name_is_told_of_too_harmless_to_a_terminal(loop: GatewayLoop, tmp_path: Path) -> None:
    one = proxy(loop, tmp_path)
    for line in ("CONNECT 169.254.169.254:80 HTTP/1.1", "GET http://\x1b[2Jx/ HTTP/1.1", f"GET {'x' * 500}"):
        ask(tmp_path, line)[0].close()
    first, second, third = one.refusals("setup")
    assert (first, second) == ("CONNECT 169.254.169.254:80 HTTP/1.1", "GET http://x/ HTTP/1.1")
    assert len(third) == 80
    one.close()


def test_refusals_are_bounded(loop: GatewayLoop, tmp_path: Path) -> None:
    one = proxy(loop, tmp_path)
    for number in range(60):
        ask(tmp_path, f"CONNECT h{number}.example:443 HTTP/1.1")[0].close()
    assert len(one.refusals("setup")) == 50
    one.close()


@pytest.mark.parametrize(
    "line", ["GET http://localhost/ HTTP/1.1", "CONNECT 127.0.0.1:443 HTTP/1.1", "CONNECT x HTTP/1.1"]
)
def test_anything_but_connect_to_a_name_is_refused(loop: GatewayLoop, tmp_path: Path, line: str) -> None:
    one = proxy(loop, tmp_path, "127.0.0.1:443", "localhost:80")
    made, status = ask(tmp_path, line)
    made.close()
    assert status == b"HTTP/1.1 405 Method Not Allowed"
    one.close()


def test_a_host_that_does_not_answer_is_a_bad_gateway_and_no_refusal(loop: GatewayLoop, tmp_path: Path) -> None:
    with closing(socket.socket()) as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        one = proxy(loop, tmp_path, f"localhost:{port}")
        made, status = ask(tmp_path, f"CONNECT localhost:{port} HTTP/1.1")
        made.close()
    assert status == b"HTTP/1.1 502 Bad Gateway"
    assert one.refusals("setup") == ()
    one.close()


def test_an_endless_head_is_cut_off(loop: GatewayLoop, tmp_path: Path) -> None:
    one = proxy(loop, tmp_path)
    with closing(dial(tmp_path)) as made:
        # The last of it may meet a closed connection: the kernel tells that in the sending or in the reading.
        with suppress(ConnectionError):
            made.sendall(b"CONNECT " + b"x" * 1_000_000)
        with suppress(ConnectionError):
            assert made.recv(1) == b""
    one.close()


def test_a_connection_where_nothing_moves_is_dropped(loop: GatewayLoop, tmp_path: Path) -> None:
    with echo(loop, silent=True) as port:
        one = proxy(loop, tmp_path, f"localhost:{port}", idle_s=0.05)
        made, status = ask(tmp_path, f"CONNECT localhost:{port} HTTP/1.1")
        with closing(made):
            assert status.endswith(b"Established")
            assert made.recv(1) == b""
        one.close()


def test_bytes_in_one_direction_keep_the_other_open(loop: GatewayLoop, tmp_path: Path) -> None:
    """A download says nothing upwards for as long as it takes."""

    idle_s = 0.4

    async def download() -> bool:
        clock = asyncio.get_running_loop().time
        sent = 0

        async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await reader.readexactly(1)
            begun = clock()
            while clock() < begun + 2 * idle_s:
                sent += 1
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0)
            writer.close()

        server = await asyncio.start_server(pour, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        policy = Egress(allowed=frozenset({f"localhost:{port}"}), private_hosts=frozenset({"localhost"}))
        one = EgressProxy(loop, policy, idle_s=idle_s)
        await one._serve("setup", tmp_path / "egress.sock")
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "egress.sock"))
        writer.write(f"CONNECT localhost:{port} HTTP/1.1\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"!")
        got = await reader.read(-1)
        writer.close()
        server.close()
        await one._stop("setup")
        return len(got) == sent

    assert loop.run(download())


def test_connections_are_bounded_for_each_set_up(loop: GatewayLoop, tmp_path: Path) -> None:
    with echo(loop) as port:
        one = proxy(loop, tmp_path, f"localhost:{port}")
        one.open("other", tmp_path / "other")
        held = [ask(tmp_path, f"CONNECT localhost:{port} HTTP/1.1") for _ in range(64)]
        assert {status for _, status in held} == {b"HTTP/1.1 200 Connection Established"}
        over = dial(tmp_path)
        with closing(over), suppress(ConnectionError):
            over.sendall(f"CONNECT localhost:{port} HTTP/1.1\r\n\r\n".encode())
            assert answer_head(over) == b""
        made, status = ask(tmp_path / "other", f"CONNECT localhost:{port} HTTP/1.1")
        assert status == b"HTTP/1.1 200 Connection Established"
        for connection, _ in [*held, (made, status)]:
            connection.close()
        one.close()


def test_shut_drops_what_is_open_and_serves_no_more(loop: GatewayLoop, tmp_path: Path) -> None:
    with echo(loop) as port:
        one = proxy(loop, tmp_path, f"localhost:{port}")
        made, _ = ask(tmp_path, f"CONNECT localhost:{port} HTTP/1.1")
        with closing(made):
            one.shut("setup")
            one.shut("setup")
            assert made.recv(1) == b""
        with pytest.raises(OSError):  # noqa: PT011 - refused or not there
            dial(tmp_path)


def test_opening_twice_changes_nothing_and_only_this_account_may_connect(loop: GatewayLoop, tmp_path: Path) -> None:
    one = proxy(loop, tmp_path)
    inode = (tmp_path / "egress.sock").stat().st_ino
    one.open("setup", tmp_path)
    assert (tmp_path / "egress.sock").stat().st_ino == inode
    assert stat.S_IMODE((tmp_path / "egress.sock").stat().st_mode) == 0o600
    one.close()


NEVER = [
    "169.254.169.254",
    "fe80::1%eth0",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    *("169.254.170.2", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "::ffff:168.63.129.16"),
    *("::7f00:1", "::a9fe:a9fe", "fec0::1", "2002:a9fe:a9fe::1", "ff02::1"),
    "0.0.0.0",  # noqa: S104 - looked at, not bound
    "::",
    "224.0.0.1",
]
PRIVATE = [
    *("127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "100.64.0.1", "fd12::1", "::ffff:127.0.0.1"),
    *("64:ff9b::7f00:1", "2002:7f00:1::", "240.0.0.1", "192.0.2.1"),
]
PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]


def test_addresses_are_admitted_by_what_they_are() -> None:
    policy = Egress(allowed=frozenset(), private_hosts=frozenset({"inside.example"}))
    assert [one for one in NEVER if policy.admits_address("inside.example", one)] == []
    assert [one for one in PRIVATE if policy.admits_address("outside.example", one)] == []
    assert [one for one in PRIVATE if not policy.admits_address("Inside.Example.", one)] == []
    assert [one for one in PUBLIC if not policy.admits_address("outside.example", one)] == []


@pytest.mark.parametrize(
    "line",
    [
        *("CONNECT 127.1:80 HTTP/1.1", "CONNECT 2130706433:80 HTTP/1.1", "CONNECT 0x7f000001:80 HTTP/1.1"),
        *("CONNECT [::1]:80 HTTP/1.1", "CONNECT a..b:80 HTTP/1.1", "CONNECT :80 HTTP/1.1", "CONNECT a:0 HTTP/1.1"),
        *("CONNECT a:65536 HTTP/1.1", "CONNECT a:-1 HTTP/1.1", "CONNECT a:٣ HTTP/1.1", "connect a:80 HTTP/1.1"),
        *("CONNECT a:80", "CONNECT a:80 HTTP/2", "CONNECT user@a:80 HTTP/1.1", "CONNECT a/b:80 HTTP/1.1"),
        *(f"CONNECT {'a' * 64}:80 HTTP/1.1", f"CONNECT a:{'0' * 5000}80 HTTP/1.1", "CONNECT xn--é:80 HTTP/1.1"),
    ],
)
def test_a_head_that_names_no_host_is_not_understood(line: str) -> None:
    assert connect_target(line.encode() + b"\r\n\r\n") is None


@given(st.binary(max_size=300))
def test_no_bytes_can_break_the_reader(data: bytes) -> None:
    found = connect_target(b"CONNECT " + data + b" HTTP/1.1\r\n\r\n")
    assert found is None or (0 < found[1] < 65536 and found[0] == found[0].lower())
