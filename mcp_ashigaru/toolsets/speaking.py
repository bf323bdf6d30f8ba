"""How a tool function answers with a fault: as the one sentence that the fault is."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from mcp.server.mcpserver.exceptions import ToolError

from runner.errors import RunnerError

_LOG: Final = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


def speaking(tool: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """The same tool, whose RunnerError reaches the caller as its sentence. Anything else stays in the log."""

    @wraps(tool)
    async def spoken(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await tool(*args, **kwargs)
        except RunnerError as exc:
            raise ToolError(str(exc)) from exc
        except OSError as exc:
            _LOG.exception("the host refused what a tool was asked")
            raise ToolError(f"The host refused: {exc.strerror or exc}; look at its disk and ask again.") from exc

    return spoken
