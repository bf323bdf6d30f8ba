"""A port of loopback that listens as the daemon's does."""

from __future__ import annotations

import socket


def listening(port: int = 0) -> socket.socket:
    """A listening socket of that port, of a free one for 0, that names its protocol as `mcp_ashigaru.serving`'s does:
    without the name, asyncio leaves Nagle's waiting on, and each answer of two pieces takes 40 ms."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    return listener
