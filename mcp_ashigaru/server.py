"""The MCP app: the tools, and one translation of faults into sentences. Nothing else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.types import CallToolResult, TextContent, Tool
from pydantic import ValidationError

from gates.text import clean
from mcp_ashigaru import __version__
from mcp_ashigaru.toolsets import ledger, observe, pipeline
from runner.service import Service

_LOG: Final = logging.getLogger(__name__)

INSTRUCTIONS: Final = (
    "Dispatch a sealed coding agent on one issue of one repository: work_ticket, then status until it says "
    "awaiting_review, then promote once a person has approved. The brief is all the agent is told; put in it what is "
    "wrong and what is wanted. status with since=<cursor> and wait_s waits for news."
)


def build_server(service: Service, stopping: threading.Event) -> MCPServer[Any]:
    """The server with every tool of every toolset, speaking for `service`. Once `stopping` is set no call waits."""
    manners = PlainErrors()
    server: MCPServer[Any] = MCPServer(
        "mcp-ashigaru",
        title="Ashigaru",
        instructions=INSTRUCTIONS,
        version=__version__,
        middleware=[manners],
        log_level="WARNING",
    )
    pipeline.register(server, service, stopping)
    observe.register(server, service)
    ledger.register(server, service)
    manners.tools = server.list_tools
    return server


class PlainErrors:
    """Middleware: a failed tool call answers with one sentence, without the SDK's prefix or a validator's report.

    What the tools do not take is refused before they are called: a misspelt optional argument would be ignored.
    """

    def __init__(self) -> None:
        """Know no tools yet; `tools` tells them."""
        self.tools: Callable[[], Awaitable[Sequence[Tool]]] | None = None
        self._takes: dict[str, list[str]] = {}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Carry the request on, or refuse it; anything but a tool call passes untouched."""
        if ctx.method != "tools/call":
            return await call_next(ctx)
        name, given = str((ctx.params or {}).get("name", "")), (ctx.params or {}).get("arguments") or {}
        if (refusal := await self._refusal(name, given)) is not None:
            return _refused(refusal)
        result = await call_next(ctx)
        told = result if isinstance(result, CallToolResult) else _as_tool_result(result)
        if told is None or not told.is_error:
            return result
        text = " ".join(block.text for block in told.content if isinstance(block, TextContent))
        plain = _refused(sentence(name, text))
        return (
            plain
            if isinstance(result, CallToolResult)
            else plain.model_dump(mode="json", by_alias=True, exclude_none=True)
        )

    async def _refusal(self, name: str, given: object) -> str | None:
        if not self._takes and self.tools is not None:
            self._takes = {tool.name: list(tool.input_schema.get("properties", {})) for tool in await self.tools()}
        if name not in self._takes:
            return f"There is no such tool; the tools are {', '.join(sorted(self._takes))}."
        # What is no object at all is left to the SDK, whose protocol it breaks.
        strange = sorted(set(given) - set(self._takes[name])) if isinstance(given, dict) else []
        if strange:
            return f"{name} takes no argument {clean(strange[0], 40)}; it takes {', '.join(self._takes[name])}."
        return None


def _refused(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _as_tool_result(result: HandlerResult) -> CallToolResult | None:
    """A result that the SDK has put into its wire form already, read back; None for any other result."""
    try:
        return CallToolResult.model_validate(result)
    except ValidationError:
        return None


def sentence(tool: str, text: str) -> str:
    """What a caller is told, given the SDK's error text for that tool."""
    prefix = f"Error executing tool {tool}"
    if text == prefix:
        return f"{tool} failed for a reason that is the daemon's own; its log has the details."
    told = text.removeprefix(f"{prefix}: ")
    # pydantic: a headline, then a line with the field's name and one with what is wrong with it. A fault has one line.
    headline, *lines = told.splitlines() or [""]
    if "validation error" not in headline or len(lines) < 2:
        return told
    field, problem = lines[0].strip(), lines[1].strip()
    problem = problem.partition(" [type=")[0]
    if problem == "Field required":
        return f"{field} is missing; {tool} needs it."
    return f"{field} is wrong: it {problem.removeprefix('Input ')}."
