"""The MCP app: the tools, and one translation of faults into sentences. Nothing else."""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.types import CallToolResult, TextContent
from pydantic import ValidationError

from mcp_ashigaru import __version__
from mcp_ashigaru.toolsets import observe, pipeline
from runner.service import Service

_LOG: Final = logging.getLogger(__name__)

INSTRUCTIONS: Final = (
    "Dispatch a sealed coding agent on one issue of one repository: work_ticket, then status until it says "
    "awaiting_review, then promote once a person has approved. The brief is all the agent is told; put in it what is "
    "wrong and what is wanted. status with since=<cursor> and wait_s waits for news."
)


def build_server(service: Service, stopping: threading.Event) -> MCPServer[Any]:
    """The server with every tool of every toolset, speaking for `service`. Once `stopping` is set no call waits."""
    server: MCPServer[Any] = MCPServer(
        "mcp-ashigaru",
        title="Ashigaru",
        instructions=INSTRUCTIONS,
        version=__version__,
        middleware=[plain_errors],
        log_level="WARNING",
    )
    pipeline.register(server, service, stopping)
    observe.register(server, service)
    return server


async def plain_errors(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Have a failed tool call answer with one sentence, without the SDK's prefix or a validator's report."""
    result = await call_next(ctx)
    if ctx.method != "tools/call":
        return result
    told = result if isinstance(result, CallToolResult) else _as_tool_result(result)
    if told is None or not told.is_error:
        return result
    name = str((ctx.params or {}).get("name", ""))
    text = " ".join(block.text for block in told.content if isinstance(block, TextContent))
    plain = CallToolResult(content=[TextContent(type="text", text=sentence(name, text))], is_error=True)
    return (
        plain if isinstance(result, CallToolResult) else plain.model_dump(mode="json", by_alias=True, exclude_none=True)
    )


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
    if "validation error" not in told.partition("\n")[0]:
        return told
    # pydantic: a headline, then a line with the field's name and one with what is wrong with it.
    lines = told.splitlines()
    field, problem = (lines[1].strip(), lines[2].strip()) if len(lines) > 2 else ("an argument", "is wrong")
    return f"{field} is wrong: {problem.partition(' [type=')[0]}."
