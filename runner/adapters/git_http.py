"""Serves bare repositories to git over HTTP, by `git http-backend`, one process a request.

Only the three smart services exist, each behind the password. Hooks are off, nothing is listed, and a repository's
name can only ever lead to a bare repository below the root.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from runner.adapters.forge_house import USERNAME
from runner.adapters.git_command import SYSTEM_PATH

_PART: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.|git(?:/|$)|lock(?:/|$)))*"
_TARGET: Final = re.compile(
    rf"/(?P<repo>{_PART}(?:/{_PART})?)\.git/(?P<what>info/refs|git-upload-pack|git-receive-pack)"
)
_SERVICES: Final = frozenset({"git-upload-pack", "git-receive-pack"})
_PROTOCOL: Final = re.compile(r"[a-z0-9=:.-]{1,100}")
_MAX_HEADERS: Final = 16 * 1024
_CHUNK: Final = 64 * 1024

# Read by git as if each had been given with -c.
_CONFIG: Final = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("http.receivepack", "true"),
    ("receive.autogc", "false"),
    ("receive.maxInputSize", str(1024**3)),
    ("receive.hideRefs", "refs/pull"),
    ("gc.auto", "0"),
)


@dataclass(frozen=True, kw_only=True)
class GitHttpLimits:
    """How much is served at once. Durations in seconds, body in bytes as sent."""

    requests: int = 8
    queue_s: float = 60.0
    request_s: float = 600.0
    body_bytes: int = 1024**3


def git_http_app(root: Path, secret: str, *, prefix: str = "/forge", limits: GitHttpLimits | None = None) -> ASGIApp:
    """An ASGI app answering `<prefix>/<repo>.git/…` from the bare repositories `root/<repo>.git`.

    prefix: the whole path that comes before a repository's name, mounted or not. User name `ashigaru`, password
    `secret`. Pushes may rewind a branch (a run replaces its own work); the lease is the pusher's to take.
    """
    return _GitHttp(root.absolute(), secret, prefix.rstrip("/"), limits or GitHttpLimits())


class _GitHttp:
    def __init__(self, root: Path, secret: str, prefix: str, limits: GitHttpLimits) -> None:
        self._root = root
        self._credential = f"{USERNAME}:{secret}".encode()
        self._prefix = prefix
        self._limits = limits
        self._slots = anyio.Semaphore(limits.requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        environment = self._admit(request)
        if isinstance(environment, Response):
            await environment(scope, receive, send)
            return
        if not await self._slot():
            busy = PlainTextResponse("Too many git requests at once; try again.", 503, {"Retry-After": "10"})
            await busy(scope, receive, send)
            return
        exchange = _Exchange(request, send, self._limits.body_bytes)
        try:
            with anyio.move_on_after(self._limits.request_s):
                await exchange.run(environment)
        finally:
            self._slots.release()
        if not exchange.answered:
            await PlainTextResponse("Git could not answer; try again.", 502)(scope, receive, send)

    async def _slot(self) -> bool:
        with anyio.move_on_after(self._limits.queue_s):
            await self._slots.acquire()
            return True
        return False

    def _admit(self, request: Request) -> dict[str, str] | Response:
        """The environment for the backend, or why not."""
        if not _is_admitted(request.headers.get("authorization", ""), self._credential):
            return PlainTextResponse("A password is needed.", 401, {"WWW-Authenticate": 'Basic realm="git"'})
        path: str = request.scope["path"]
        target = _TARGET.fullmatch(path.removeprefix(self._prefix)) if path.startswith(self._prefix) else None
        if target is None or not (self._root / f"{target['repo']}.git" / "HEAD").is_file():
            return PlainTextResponse("There is no such repository, or no such service.", 404)
        advertising = target["what"] == "info/refs"
        service = request.query_params.get("service", "") if advertising else target["what"]
        if service not in _SERVICES or request.method != ("GET" if advertising else "POST"):
            return PlainTextResponse("Only git's smart protocol is served here; use git 1.6.6 or newer.", 403)
        if not advertising and request.headers.get("content-type") != f"application/x-{service}-request":
            return PlainTextResponse("That is not a request of git's.", 415)
        return self._environment(request, f"{target['repo']}.git/{target['what']}", service)

    def _environment(self, request: Request, path: str, service: str) -> dict[str, str]:
        headers = request.headers
        environment = {
            "PATH": SYSTEM_PATH,
            "HOME": "/nonexistent",
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": str(len(_CONFIG)),
            "PATH_INFO": f"/{path}",
            "QUERY_STRING": f"service={service}" if request.method == "GET" else "",
            "REQUEST_METHOD": request.method,
            "REMOTE_USER": USERNAME,
            "REMOTE_ADDR": "",
            "CONTENT_TYPE": headers.get("content-type", "") if request.method == "POST" else "",
        }
        for number, (name, value) in enumerate(_CONFIG):
            environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        # Without a length (a chunked body) the backend reads to the end of its input.
        if headers.get("content-length", "").isdecimal():
            environment["CONTENT_LENGTH"] = headers["content-length"]
        if headers.get("content-encoding") in {"gzip", "x-gzip"}:
            environment["HTTP_CONTENT_ENCODING"] = "gzip"
        if _PROTOCOL.fullmatch(headers.get("git-protocol", "")):
            environment["GIT_PROTOCOL"] = headers["git-protocol"]
        return environment


class _Exchange:
    """One request handed to one backend process, and its answer handed back as it comes."""

    def __init__(self, request: Request, send: Send, body_bytes: int) -> None:
        self._request = request
        self._send = send
        self._left = body_bytes
        self.answered = False

    async def run(self, environment: Mapping[str, str]) -> None:
        """Returns when the answer has been sent, or when there is none to send; the process is gone either way."""
        process = await anyio.open_process(
            ["git", "http-backend"],
            env=environment,
            cwd="/",
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            if process.stdin is None or process.stdout is None:
                return
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._feed, process, process.stdin)
                await self._relay(process.stdout)
                # A backend that was killed or died has said half an answer: the client must not take it for a whole.
                if await process.wait() == 0 and self.answered:
                    await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                # The answer is complete; whatever the client still sends is of no use.
                tasks.cancel_scope.cancel()
        finally:
            _kill(process)
            with anyio.CancelScope(shield=True):
                await process.aclose()

    async def _feed(self, process: Process, stdin: ByteSendStream) -> None:
        try:
            async for chunk in self._request.stream():
                self._left -= len(chunk)
                if self._left < 0:
                    _kill(process)
                    return
                await stdin.send(chunk)
            await stdin.aclose()
        except ClientDisconnect:
            _kill(process)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            # The backend has read all it wants; its answer says why.
            return

    async def _relay(self, stdout: ByteReceiveStream) -> None:
        buffered = BufferedByteReceiveStream(stdout)
        try:
            head = await buffered.receive_until(b"\r\n\r\n", _MAX_HEADERS)
        except (anyio.IncompleteRead, anyio.DelimiterNotFound):
            return
        status, headers = _parsed(head)
        self.answered = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        with suppress(anyio.EndOfStream):
            while True:
                chunk = await buffered.receive(_CHUNK)
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})


def _parsed(head: bytes) -> tuple[int, list[tuple[bytes, bytes]]]:
    """HTTP status and headers from a CGI answer's head."""
    status, headers = 200, []
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"status":
            digits = value.split()[:1]
            status = int(digits[0]) if digits and digits[0].isdigit() else 502
        elif name:
            headers.append((name.lower(), value.strip()))
    return status, headers


def _is_admitted(authorization: str, credential: bytes) -> bool:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        decoded = base64.b64decode(given.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(decoded, credential)


def _kill(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
