"""The tools that only look."""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_ashigaru.toolsets.answers import RunLine, RunsAnswer
from mcp_ashigaru.toolsets.speaking import speaking
from runner import intents
from runner.errors import BadIntent
from runner.service import Service

_MAX_RUNS = 100


def register(server: MCPServer[Any], service: Service) -> None:
    """Add the observing tools to the server."""

    @server.tool(
        annotations=ToolAnnotations(
            title="List runs", read_only_hint=True, destructive_hint=False, idempotent_hint=True
        )
    )
    @speaking
    async def list_runs(
        repo: Annotated[str | None, Field(description="Only this repository's runs.")] = None,
        limit: Annotated[int, Field(description="How many, 1 to 100.")] = 20,
    ) -> RunsAnswer:
        """List runs, the newest first."""
        wanted = None if repo is None else intents.repo_name(repo)
        if not 1 <= limit <= _MAX_RUNS:
            raise BadIntent(f"limit must be from 1 to {_MAX_RUNS}.")
        found = await anyio.to_thread.run_sync(lambda: service.list_runs(repo=wanted, limit=limit))
        return RunsAnswer(
            runs=[
                RunLine(
                    run_id=run.run_id,
                    repo=run.repo,
                    issue=run.issue,
                    status=run.phase.value,
                    tier=run.tier,
                    pr=run.pull,
                    pr_url=run.pull_url,
                    reason=run.reason,
                    updated_at=run.updated_at,
                )
                for run in found
            ]
        )
