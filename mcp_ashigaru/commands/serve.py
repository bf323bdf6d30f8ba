"""`mcp-ashigaru serve`, and the daemon's own entry point."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mcp_ashigaru.commands.lazily import loaded
from mcp_ashigaru.commands.version import Version
from mcp_ashigaru.settings import load_settings


class Transport(StrEnum):
    """How MCP clients reach the daemon."""

    HTTP = "streamable-http"
    STDIO = "stdio"


TransportOption = Annotated[Transport, typer.Option(help="How MCP clients reach the daemon.")]
HostOption = Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].")]
PortOption = Annotated[int | None, typer.Option(help="Port to listen on [8020].")]
DrainOption = Annotated[
    bool, typer.Option("--drain", help="SIGTERM waits for the rounds at work to come to rest; a second one does not.")
]
StateOption = Annotated[Path | None, typer.Option(help="State directory [ASHIGARU_STATE_DIR].")]


def serve(
    transport: TransportOption = Transport.HTTP,
    host: HostOption = None,
    port: PortOption = None,
    state_dir: StateOption = None,
    drain: DrainOption = False,
    version: Version = False,  # noqa: ARG001 - its callback has told it
) -> None:
    """Run the daemon until it is told to stop."""
    given = {"host": host, "port": port, "state_dir": state_dir}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    # The whole house, which help, the version and a wrong setting do not need.
    loaded("mcp_ashigaru.serving:serve")(settings, transport.value, drain=drain)
