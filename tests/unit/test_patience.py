"""Slow clients, and many of them: how long each can hold a connection, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from mcp_ashigaru import serving
from mcp_ashigaru.settings import Settings
from mcp_ashigaru.web.patience import HEAD_S, MAX_CONNECTIONS, UNREAD_S, PatientHttp

PATIENCE_S: Final = 20.0
ASKED: Final = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class Hasty(PatientHttp):
    head_s = 0.3
    unread_s = 0.3
    max_connections = 3


class Answers:
    """An app that answers after a time, or without end; `left` is set once it has ended."""

    def __init__(self, *, after_s: float = 0.0, pieces: int = 1) -> None:
        self.after_s = after_s
        self.pieces = pieces
        self.left = threading.Event()

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await asyncio.sleep(self.after_s)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(self.pieces):
            await send({"type": "http.response.body", "body": b"x" * 1024 * 1024, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        self.left.set()


@contextmanager
def serving_to(app: Answers) -> Iterator[int]:
    """The port of a server that does not wait long."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Hasty, ws="none", lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    with listener:
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)


def knock(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def is_let_go(client: socket.socket) -> bool:
    """Whether the server ends the connection; False where it sends something."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: h\r\n", ASKED[:-1]])
def test_a_head_that_does_not_come_is_not_waited_for(said: bytes) -> None:
    with serving_to(Answers()) as port, knock(port) as client:
        client.sendall(said)
        assert is_let_go(client)


def test_a_head_that_trickles_is_not_waited_for_either() -> None:
    with serving_to(Answers()) as port, knock(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        client.settimeout(0.02)
        for _ in range(500):
            try:
                client.sendall(b"x")
                assert client.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                break
            else:
                break
        else:
            raise AssertionError("it was waited for")


def test_a_second_head_on_a_connection_is_waited_for_no_longer_than_the_first() -> None:
    with serving_to(Answers(pieces=0)) as port, knock(port) as client:
        client.sendall(ASKED)
        answer = b""
        while b"0\r\n\r\n" not in answer:
            answer += client.recv(4096)
        client.sendall(b"GET / HT")
        assert is_let_go(client)


def test_an_answer_may_take_longer_than_a_head() -> None:
    with serving_to(Answers(after_s=3 * Hasty.head_s, pieces=0)) as port, knock(port) as client:
        client.sendall(ASKED)
        assert client.recv(12) == b"HTTP/1.1 200"


def test_who_does_not_read_is_let_go() -> None:
    app = Answers(pieces=200)
    with serving_to(app) as port, knock(port) as client:
        client.sendall(ASKED)
        assert app.left.wait(PATIENCE_S)


def test_no_more_connections_are_held_than_the_bound() -> None:
    with serving_to(Answers(after_s=3 * Hasty.head_s, pieces=0)) as port:
        held = [knock(port) for _ in range(Hasty.max_connections)]
        for one in held:
            one.sendall(ASKED)
        with knock(port) as late:
            late.sendall(ASKED)
            assert is_let_go(late)
        assert all(one.recv(12) == b"HTTP/1.1 200" for one in held)
        for one in held:
            one.close()


def test_the_daemon_is_served_with_that_patience() -> None:
    daemon: Any = SimpleNamespace(app=Answers())
    config = serving.web_server(daemon, Settings()).config
    assert config.http is PatientHttp
    assert config.ws == "none"
    assert max(PatientHttp.head_s, PatientHttp.unread_s) == max(HEAD_S, UNREAD_S) <= 60
    assert PatientHttp.max_connections == MAX_CONNECTIONS <= 1024
