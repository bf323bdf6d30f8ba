"""How long the daemon bears with a slow client, and with how many at once.

uvicorn waits for ever for a request's head and for a client that does not read. Whoever shows no token can hold a
connection for HEAD_S, and no longer.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S: Final = 10.0
"""For a request's head, from the first moment of a connection or from the last answer on it."""
UNREAD_S: Final = 30.0
"""For a client to read on, once what it has not read fills the buffers."""
MAX_CONNECTIONS: Final = 256
"""Held at once; a further one is closed unheard."""


class PatientHttp(H11Protocol):
    """uvicorn's HTTP on h11, with deadlines."""

    head_s: float = HEAD_S
    unread_s: float = UNREAD_S
    max_connections: int = MAX_CONNECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what uvicorn gives."""
        super().__init__(*args, **kwargs)
        self._head: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.abort()
            return
        self._heed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._heard()
        self._read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head that is whole now has been waited for long enough."""
        super().data_received(data)
        self._heed()

    def on_response_complete(self) -> None:
        """Begin to wait for the next head."""
        super().on_response_complete()
        self._heed()

    def pause_writing(self) -> None:
        """The client has not read what fills the buffers."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.unread_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read on."""
        super().resume_writing()
        self._read()

    def _heed(self) -> None:
        at_work = self.cycle is not None and not self.cycle.response_complete
        if at_work or self.transport.is_closing():
            self._heard()
        elif self._head is None:
            self._head = self.loop.call_later(self.head_s, self.transport.abort)

    def _heard(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
