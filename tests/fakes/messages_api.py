"""A Messages API on a loopback port that does as the brief of each question says: well, badly, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from runner.gateway.cassette import ScriptedTool, Turn, as_events, message

PATIENCE_S: Final = 120.0
ERRORS: Final = {
    "case-401": (401, "authentication_error", {}),
    "case-429": (429, "rate_limit_error", {"retry-after": "7200"}),
    "case-500": (500, "api_error", {}),
    "case-529": (529, "overloaded_error", {}),
}


@dataclass(kw_only=True)
class ScriptedApi:
    """What was asked, by case, and what holds an answer back."""

    url: str = ""
    asked: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    held: threading.Event = field(default_factory=threading.Event)
    """Set when an answer is held back."""
    go_on: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: ScriptedApi

    def do_POST(self) -> None:
        """Answer one question."""
        body = self.rfile.read(int(self.headers["content-length"]))
        asked: dict[str, Any] = json.loads(body)
        text = json.dumps(asked["messages"])
        case = next((word for word in (*ERRORS, *_WAYS) if word in text), "case-well")
        self.api.asked[case] = self.api.asked.get(case, 0) + 1
        self.api.keys.add(self.headers.get("x-api-key", ""))
        self.close_connection = True
        if case in ERRORS:
            self._fail(*ERRORS[case])
        else:
            _WAYS.get(case, _Handler.well)(self, asked)

    def well(self, asked: dict[str, Any]) -> None:
        """Write the right file, then be done."""
        answered = sum(one["role"] == "assistant" for one in asked["messages"])
        turns = [
            Turn(tool=[ScriptedTool(name="Read", input={"file_path": "/workspace/total.py"})]),
            Turn(
                tool=[ScriptedTool(name="Write", input={"file_path": "/workspace/total.py", "content": "total = 1\n"})]
            ),
            Turn(text="Done."),
        ]
        index = min(answered, len(turns) - 1)
        whole = message(turns[index], f"0.{index}", asked["model"], 1, 4000)
        if asked.get("stream"):
            self._send(200, "text/event-stream", as_events(whole))
        else:
            self._send(200, "application/json", json.dumps(whole).encode())

    def silent(self, _asked: dict[str, Any]) -> None:
        """Take the question and say nothing."""
        self.api.over.wait(PATIENCE_S)

    def cut(self, asked: dict[str, Any]) -> None:
        """Begin an answer, and break off."""
        whole = message(Turn(text="I begin, and then " * 40), "0.0", asked["model"], 1, 4000)
        self._head(200, "text/event-stream", {"content-length": "1000000"})
        self.wfile.write(as_events(whole)[:300])

    def breaks_down(self, asked: dict[str, Any]) -> None:
        """Say in the middle of an answer that there is no more; at once where the answer is to come whole."""
        if not asked.get("stream"):
            self._fail(*ERRORS["case-529"])
            return
        told = {"type": "error", "error": {"type": "overloaded_error", "message": "scripted"}}
        self._send(200, "text/event-stream", f"event: error\ndata: {json.dumps(told)}\n\n".encode())

    def waits(self, asked: dict[str, Any]) -> None:
        """Hold the first answer back until told to go on; then do well."""
        self.api.held.set()
        self.api.go_on.wait(PATIENCE_S)
        self.well(asked)

    def _fail(self, status: int, kind: str, headers: dict[str, str]) -> None:
        told = {"type": "error", "error": {"type": kind, "message": "scripted"}}
        self._send(status, "application/json", json.dumps(told).encode(), headers)

    def _send(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, kind, {"content-length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def _head(self, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nothing on standard error."""


_WAYS: Final = {
    "case-silent": _Handler.silent,
    "case-cut": _Handler.cut,
    "case-breaks-down": _Handler.breaks_down,
    "case-waits": _Handler.waits,
}


@contextmanager
def scripted_api() -> Iterator[ScriptedApi]:
    """The API, up until the block ends."""
    api = ScriptedApi()
    handler = type("Handler", (_Handler,), {"api": api})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.over.set()
        api.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
