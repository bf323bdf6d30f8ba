"""Before the daemon is up: where nothing can be written it waits for that, and says so to whoever asks."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final, TypeVar

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from runner.errors import DiskLow, RecordsDown

T = TypeVar("T")

_LOG: Final = logging.getLogger(__name__)
_PASSES: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EMFILE, errno.ENFILE})
_AGAIN_S: Final = 1.0
_LEAVE_S: Final = 5.0


@contextmanager
def once_it_can(
    start: Callable[[], AbstractContextManager[T]], listener: socket.socket, *, again_s: float = _AGAIN_S
) -> Iterator[T]:
    """What `start` starts, tried again for as long as nothing can be written; what it else raises is raised.

    A daemon that ended instead would be started over and over, and none would say what is wrong. Meanwhile every
    request on `listener` is answered 503, with why.
    """
    with ExitStack() as stack:
        yield _started(start, listener, stack, again_s)


def _started(
    start: Callable[[], AbstractContextManager[T]], listener: socket.socket, stack: ExitStack, again_s: float
) -> T:
    told = _Told()
    with ExitStack() as meanwhile:
        while True:
            try:
                return stack.enter_context(start())
            except (RecordsDown, DiskLow) as exc:
                told.why = str(exc)
            except OSError as exc:
                if exc.errno not in _PASSES:
                    raise
                told.why = f"The host refused: {exc.strerror}; look at its disk. It goes on by itself after that."
            _LOG.error("the daemon cannot start yet: %s", told.why)
            if not told.answering:
                meanwhile.enter_context(_answering(listener, told))
            threading.Event().wait(again_s)


class _Told:
    """Why there is no daemon yet."""

    why = ""
    answering = False


@contextmanager
def _answering(listener: socket.socket, told: _Told) -> Iterator[None]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse({"status": "stands still", "reason": told.why}, 503)(scope, receive, send)

    # uvicorn closes the sockets that it is given.
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener.dup()]}, name="standing-by", daemon=True)
    thread.start()
    told.answering = True
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_LEAVE_S)
        told.answering = False
