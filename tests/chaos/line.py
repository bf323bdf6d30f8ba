"""A caller's one connection to a daemon, for as long as that lives."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from contextlib import suppress
from typing import Any

from mcp_ashigaru.client import Caller, connect

_CALL_S = 30.0
_LOOK_S = 0.05


class Line:
    """MCP over HTTP, in a thread of its own: the client wants to be left by the task that entered it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._caller: concurrent.futures.Future[Caller] = concurrent.futures.Future()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._hold, name="caller", daemon=True)
        self._thread.start()

    def call(self, gone: threading.Event, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A tool's answer; raises whatever became of it, ConnectionError where the daemon is `gone`."""
        caller = _awaited(self._caller, gone)
        asked = asyncio.run_coroutine_threadsafe(caller.call(tool, **arguments), self._loop)
        try:
            return _awaited(asked, gone)
        finally:
            asked.cancel()

    def close(self) -> None:
        """Nobody is at the line any more."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10)

    def _hold(self) -> None:
        async def hold() -> None:
            try:
                async with connect(self._url, None) as caller:
                    self._caller.set_result(caller)
                    await self._closing.wait()
            except BaseException as exc:  # noqa: BLE001 - it is for whoever waits for the connection
                if not self._caller.done():
                    self._caller.set_exception(exc)

        self._loop.set_exception_handler(lambda *_: None)
        try:
            self._loop.run_until_complete(hold())
            self._loop.run_until_complete(_swept())
        finally:
            self._loop.close()


async def _swept() -> None:
    """What the client left running is over."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _awaited(what: concurrent.futures.Future[Any], gone: threading.Event) -> Any:
    for _ in range(int(_CALL_S / _LOOK_S)):
        with suppress(concurrent.futures.TimeoutError):
            return what.result(_LOOK_S)
        if gone.is_set():
            raise ConnectionError("the daemon is gone")
    raise TimeoutError("no answer")
