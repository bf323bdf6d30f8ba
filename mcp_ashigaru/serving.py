"""Serve a daemon over Streamable HTTP or stdio until told to stop."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import anyio
import uvicorn

from mcp_ashigaru.daemon import Daemon, running
from mcp_ashigaru.settings import Settings

_LOG = logging.getLogger(__name__)
_LAST_REQUESTS_S = 2


def serve(settings: Settings, transport: Literal["streamable-http", "stdio"]) -> None:
    """Serve until SIGTERM, SIGINT or, on stdio, the end of input. Sandboxes at work are left for the next start."""
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with running(settings) as daemon:
        if transport == "stdio":
            anyio.run(_stdio, daemon, settings)
        else:
            _web_server(daemon, settings).run()


def _web_server(daemon: Daemon, settings: Settings) -> uvicorn.Server:
    config = uvicorn.Config(
        daemon.app,
        host=settings.host,
        port=settings.port,
        log_level=logging.getLevelName(settings.log_level.upper()),
        access_log=False,
        timeout_graceful_shutdown=_LAST_REQUESTS_S,
        server_header=False,
        # Our logging is set up already; uvicorn's would write to stdout, which stdio needs for itself.
        log_config=None,
    )
    return _Announcing(config, daemon)


class _Announcing(uvicorn.Server):
    """Says where it listens once it does, and lets long waits go when it is to stop."""

    def __init__(self, config: uvicorn.Config, daemon: Daemon) -> None:
        super().__init__(config)
        self._daemon = daemon

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            _LOG.info("serving MCP on http://%s:%d/mcp", self.config.host, self.config.port)

    def handle_exit(self, sig: int, frame: object) -> None:  # type: ignore[override]
        self._daemon.stopping.set()
        super().handle_exit(sig, frame)  # type: ignore[arg-type]


async def _stdio(daemon: Daemon, settings: Settings) -> None:
    """MCP on stdin and stdout; the forge and its pages still answer on the port."""
    web = _web_server(daemon, settings)
    async with anyio.create_task_group() as group:
        group.start_soon(web.serve)
        try:
            await daemon.server.run_stdio_async()
        finally:
            daemon.stopping.set()
            web.should_exit = True
