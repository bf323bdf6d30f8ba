"""The container engine of a harness, reached from the victims over a Unix socket: sandboxes outlive the daemon.

One JSON object a line: `{"call": …, "with": {…}}`, answered by `{"told": …}` or `{"fault": kind, "text": …}`.
"""

from __future__ import annotations

import base64
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from runner.errors import EngineDown, ImageMissing, RunnerError, SandboxFault
from runner.sandboxes import SandboxListing, SandboxSpec, SandboxStatus
from tests.fakes.containers import FakeContainers

_SPEC = TypeAdapter(SandboxSpec)
_STATUS = TypeAdapter(SandboxStatus)
_LISTING = TypeAdapter(tuple[SandboxListing, ...])
_FAULTS = {one.__name__: one for one in (EngineDown, ImageMissing, SandboxFault)}
_TIMEOUT_S = 30.0


@contextmanager
def served(containers: FakeContainers, path: Path) -> Iterator[None]:
    """Those sandboxes at that socket."""

    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                asked = json.loads(line)
                try:
                    answer = {"told": _answer(containers, asked["call"], asked["with"])}
                except RunnerError as exc:
                    answer = {"fault": type(exc).__name__, "text": str(exc)}
                try:
                    self.wfile.write(json.dumps(answer).encode() + b"\n")
                except OSError:
                    # Whoever asked was killed meanwhile; what was asked for is done.
                    return

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:
            """A client that was killed."""

    # One that did not end in peace left its name behind, and whoever tries again must get it.
    path.unlink(missing_ok=True)
    with Server(str(path), Line) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(5)
            path.unlink(missing_ok=True)


def _answer(containers: FakeContainers, call: str, given: dict[str, Any]) -> Any:
    match call:
        case "start" | "ready":
            return getattr(containers, call)(_SPEC.validate_python(given["spec"]))
        case "status":
            return _STATUS.dump_python(containers.status(given["name"]), mode="json")
        case "listing":
            return _LISTING.dump_python(containers.listing(given["run_id"]), mode="json")
        case "output":
            return base64.b64encode(containers.output(**given)).decode("ascii")
        case "image_id" | "stop" | "remove":
            return getattr(containers, call)(**given)
        case _:
            raise LookupError(call)


class DistantContainers:
    """`runner.ports.Containers` at the other end of that socket; a connection a thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()

    def _ask(self, call: str, **given: Any) -> Any:
        try:
            line = self._line()
            line.write(json.dumps({"call": call, "with": given}).encode() + b"\n")
            line.flush()
            read = line.readline()
        except OSError as exc:
            raise EngineDown("The engine of the harness does not answer.") from exc
        if not read:
            raise EngineDown("The engine of the harness is gone.")
        answer = json.loads(read)
        if "fault" in answer:
            raise _FAULTS[answer["fault"]](answer["text"])
        return answer["told"]

    def _line(self) -> Any:
        if getattr(self._local, "line", None) is None:
            made = socket.socket(socket.AF_UNIX)
            made.settimeout(_TIMEOUT_S)
            made.connect(self._path)
            self._local.line = made.makefile("rwb")
        return self._local.line

    def image_id(self, reference: str) -> str:
        return str(self._ask("image_id", reference=reference))

    def ready(self, spec: SandboxSpec) -> None:
        self._ask("ready", spec=_SPEC.dump_python(spec, mode="json"))

    def start(self, spec: SandboxSpec) -> bool:
        return bool(self._ask("start", spec=_SPEC.dump_python(spec, mode="json")))

    def status(self, name: str) -> SandboxStatus:
        return _STATUS.validate_python(self._ask("status", name=name))

    def output(self, name: str, max_bytes: int) -> bytes:
        return base64.b64decode(self._ask("output", name=name, max_bytes=max_bytes))

    def stop(self, name: str, grace_s: float) -> None:
        self._ask("stop", name=name, grace_s=grace_s)

    def remove(self, name: str) -> None:
        self._ask("remove", name=name)

    def listing(self, run_id: str | None = None) -> tuple[SandboxListing, ...]:
        return _LISTING.validate_python(self._ask("listing", run_id=run_id))
