"""The double served on a loopback port, for as long as a test needs it."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.fakes.github.answers import Answer
from tests.fakes.github.dispatch import Raw, replied
from tests.fakes.github.double import GitHubDouble
from tests.fakes.github.git_http import TARGET, served
from tests.fakes.github.state import Asked, State

MAX_BODY = 64 * 1024 * 1024
_IDLE_S = 30.0


@contextmanager
def running_double(root: Path) -> Iterator[GitHubDouble]:
    """A GitHub on a port of its own; its repositories are under `root`. Gone, connections and all, afterwards."""
    state = State(root=root / "github")
    server = _Server(state)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="github-double")
    thread.start()
    try:
        yield GitHubDouble(state, server.origin)
    finally:
        state.faults.clear()
        server.shutdown()
        server.hang_up()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, state: State) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.state = state
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is the double's own fault and is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """End every connection that is still kept alive."""
        with self._guard:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def answer_one(self) -> None:
        body = self._body()
        if body is None:
            return
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        raw = Raw(method=self.command, path=path, query=query, headers=headers, body=body)
        state, origin = self.server.state, self.server.origin
        if TARGET.fullmatch(path) and not path.startswith("/api/"):
            answer = served(state, origin, raw)
            with state.lock:
                state.log.append(
                    Asked(
                        method=raw.method,
                        path=path,
                        query=query,
                        status=answer.status,
                        conditional=False,
                        token="git",
                        landed=answer.status < 400,
                    )
                )
            self._send(answer, short=False)
            return
        reply = replied(state, origin, raw)
        if reply.answer is None:
            self.close_connection = True
            return
        self._send(reply.answer, short=reply.short)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer_one  # noqa: N815 - the library's names

    def _send(self, answer: Answer, *, short: bool) -> None:
        payload = answer.payload()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status not in {204, 304}:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD" and answer.status not in {204, 304}:
            self.wfile.write(payload[: len(payload) // 2] if short else payload)
        self.wfile.flush()
        if short:
            self.close_connection = True

    def _body(self) -> bytes | None:
        """The whole body; None (and the connection's end) where it is too large or broken."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True
            return None
        return self._whole(int(length))

    def _chunks(self) -> bytes | None:
        parts: list[bytes] = []
        total = 0
        while total <= MAX_BODY:
            said = self.rfile.readline(64)
            # A client that was killed in the middle asked for nothing.
            size = int(said.split(b";")[0], 16) if said.endswith(b"\n") else -1
            part = None if size < 0 else self._whole(size)
            if part is None:
                break
            self.rfile.readline(8)
            if size == 0:
                return b"".join(parts)
            parts.append(part)
            total += size
        self.close_connection = True
        return None

    def _whole(self, size: int) -> bytes | None:
        """So many bytes; None, and nothing is done, where the client was gone before it had sent them."""
        read = self.rfile.read(size)
        if len(read) < size:
            self.close_connection = True
            return None
        return read

    def log_message(self, *_: Any) -> None:
        """Nothing is printed; the double keeps its own log."""
