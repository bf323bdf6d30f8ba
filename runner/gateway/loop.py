"""An event loop in a thread of its own, serving Unix sockets while the rest of the runner is synchronous."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from runner.errors import SandboxFault

T = TypeVar("T")

_ANSWER_S: Final = 20.0
_BACKLOG: Final = 128


class GatewayLoop:
    """Started once, closed once; `run` is safe from any other thread."""

    def __init__(self) -> None:
        """Make the loop; nothing runs yet."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)

    def start(self) -> None:
        """Run the loop in its thread."""
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result. Raises TimeoutError when it takes unreasonably long; it is cancelled then."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(_ANSWER_S)
        except TimeoutError:
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop; open connections are dropped."""

        async def drop() -> None:
            here = asyncio.current_task()
            tasks = [task for task in asyncio.all_tasks() if task is not here]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=2.0)
            await asyncio.get_running_loop().shutdown_asyncgens()
            await asyncio.get_running_loop().shutdown_default_executor()

        if self._thread.is_alive():
            with contextlib.suppress(TimeoutError):
                self.run(drop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_ANSWER_S)
        if not self._loop.is_running():
            self._loop.close()


def listening_socket(path: Path) -> socket.socket:
    """A socket at `path` that only this account may connect to; an old one there is replaced. Raises SandboxFault.

    The path may be longer than the 107 bytes that a socket's address holds.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            made.bind(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
        # Connecting needs the right to write; nobody can connect before `listen`.
        path.chmod(0o600)
        made.listen(_BACKLOG)
    except OSError as exc:
        made.close()
        raise SandboxFault(f"No socket can be made at {path} ({exc.strerror}); see to that directory.") from exc
    made.settimeout(0.0)
    return made
