"""Serve a daemon over Streamable HTTP or stdio until told to stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from functools import partial
from types import FrameType
from typing import Literal

import anyio
import uvicorn

from mcp_ashigaru.daemon import Daemon, Parts, running
from mcp_ashigaru.draining import Drain
from mcp_ashigaru.memory import one_heap, settled
from mcp_ashigaru.secrecy import Redacting, marked_of
from mcp_ashigaru.server import build_server
from mcp_ashigaru.settings import ConfigError, Settings
from mcp_ashigaru.standing_by import once_it_can
from mcp_ashigaru.web.patience import PatientHttp

_LOG = logging.getLogger(__name__)
_LAST_REQUESTS_S = 1
_BACKLOG = 128


def serve(
    settings: Settings,
    transport: Literal["streamable-http", "stdio"],
    parts: Parts | None = None,
    *,
    drain: bool = False,
) -> None:
    """Serve until SIGTERM, SIGINT or, on stdio, the end of input. Sandboxes at work are left for the next start.

    SIGUSR1, and with `drain` the first SIGTERM too: until the rounds at work have come to rest (`draining.Drain`).
    Waits where nothing can be written yet; raises ConfigError, RunnerError where it cannot start for another reason.
    Ends the process itself where a thread would hold it.
    """
    one_heap()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacting("%(asctime)s %(levelname)s %(name)s %(message)s", marked_of(settings)))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    for chatty in ("httpx", "httpx2", "alembic", "dbos"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(name, _leave_while_starting)
    # Bound before anything is started, so that a port in use costs nothing and is one sentence.
    with _listener(settings) as listener:
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        with once_it_can(partial(running, settings, parts), listener) as daemon:
            web = web_server(daemon, settings)
            draining = Drain(rounds=daemon.rounds, leave=web.leave, stopping=daemon.stopping)
            web.draining = draining if drain else None
            signal.signal(signal.SIGUSR1, lambda *_: draining.begin())
            if transport == "stdio":
                _speak_on_stdio(daemon, web)
            for name in (signal.SIGTERM, signal.SIGINT):
                # uvicorn takes the signals over, and raises them again when it is done: by then they have been heeded.
                signal.signal(name, _heeded)
            settled()
            web.run(sockets=[listener])
            daemon.stopping.set()
    _let_go()


def _leave_while_starting(_sig: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _heeded(_sig: int, _frame: FrameType | None) -> None:
    """Nothing more to do."""


def _listener(settings: Settings) -> socket.socket:
    """The socket that the daemon listens on. Raises ConfigError."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # Named in full: asyncio turns Nagle's waiting off only where a socket says that it speaks TCP, and without that
        # every answer that is written in two pieces takes 40 ms.
        listener = socket.socket(family, kind, socket.IPPROTO_TCP)
    except OSError as exc:
        raise ConfigError(f"{settings.host} is no address of this machine; choose another --host.") from exc
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as exc:
        listener.close()
        raise ConfigError(
            f"Cannot listen on {settings.host}:{settings.port} ({exc.strerror}); choose another --port."
        ) from exc
    return listener


def _let_go() -> None:
    """End the process where a thread that did not leave in time would hold it; its step is done again."""
    held = [one.name for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
    if held:
        _LOG.info("leaving without waiting for %s", ", ".join(sorted(set(held))))
        logging.shutdown()
        sys.stderr.flush()
        os._exit(0)


def web_server(daemon: Daemon, settings: Settings) -> _Announcing:
    """A server of the daemon's app that bears with slow clients, and with many, up to a point."""
    config = uvicorn.Config(
        daemon.app,
        log_level=logging.getLevelName(settings.log_level.upper()),
        access_log=False,
        http=PatientHttp,
        ws="none",
        # Nothing here asks where a request came from; a proxy's word on it would be anybody's word.
        proxy_headers=False,
        timeout_graceful_shutdown=_LAST_REQUESTS_S,
        server_header=False,
        # Our logging is set up already; uvicorn's would write to stdout, which stdio needs for itself.
        log_config=None,
    )
    return _Announcing(config, daemon, settings.url)


class _Announcing(uvicorn.Server):
    """Says where it listens once it does, and lets long waits go when it is to stop."""

    def __init__(self, config: uvicorn.Config, daemon: Daemon, url: str) -> None:
        super().__init__(config)
        self._daemon = daemon
        self._url = url
        self.draining: Drain | None = None
        """What SIGTERM begins instead of leaving at once, the first time."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _LOG.info("serving MCP on %s/mcp", self._url)

    def leave(self) -> None:
        """Stop serving, from whichever thread."""
        self._daemon.stopping.set()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGTERM and self.draining is not None and not self.draining.begun:
            self.draining.begin()
            return
        self._daemon.stopping.set()
        super().handle_exit(sig, frame)


def _speak_on_stdio(daemon: Daemon, web: uvicorn.Server) -> None:
    """MCP on stdin and stdout, beside the port; the end of input ends the daemon.

    A thread of its own, because a read from stdin cannot be taken back: a signal must not wait for the next line.
    """

    def speak() -> None:
        try:
            anyio.run(build_server(daemon.service, daemon.stopping).run_stdio_async)
        finally:
            daemon.stopping.set()
            web.should_exit = True

    threading.Thread(target=speak, name="stdio", daemon=True).start()
