"""An event loop in a thread of its own, serving ASGI apps on Unix sockets while the rest of the runner is synchronous."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

_ANSWER_S: Final = 20.0


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
        """The coroutine's result. Raises TimeoutError when it takes unreasonably long."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_S)

    def close(self) -> None:
        """Stop the loop; open connections are dropped."""

        async def drop() -> None:
            here = asyncio.current_task()
            tasks = [task for task in asyncio.all_tasks() if task is not here]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=2.0) if tasks else None

        if self._thread.is_alive():
            with contextlib.suppress(TimeoutError):
                self.run(drop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_ANSWER_S)
        self._loop.close()


def fresh_socket(path: Path) -> Path:
    """`path`, with its directory there for this account alone, and no old socket at it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    return path
