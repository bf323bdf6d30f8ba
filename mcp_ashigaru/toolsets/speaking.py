"""How a tool function answers with a fault: as the one sentence that the fault is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from mcp.server.mcpserver.exceptions import ToolError

from runner.errors import RunnerError

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

    return spoken
