"""Who calls a tool: found in the request that carried the call, never in the call itself."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from runner.callers import OPERATOR, Caller
from runner.desk import Desk
from runner.service import Service

CALLER = "ashigaru.caller"
"""Where the layer around the app leaves the caller in a request's scope."""


def desk_of(ctx: Context[Any, Any], service: Service) -> Desk:
    """The service as this call's caller has it.

    Without a request the call came over stdio, from whoever started this process. A request that passed no door is
    refused: it is better that nothing works than that everybody is the operator.
    """
    request = ctx.request_context.request
    if request is None:
        return Desk(service, OPERATOR)
    caller = request.scope.get(CALLER)
    if not isinstance(caller, Caller):
        raise ToolError("Nobody has said who asks; reach the daemon at its own address.")
    return Desk(service, caller)
