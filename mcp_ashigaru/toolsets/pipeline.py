"""The tools that move a ticket from words to a merged change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_ashigaru.toolsets.answers import PromoteAnswer, TicketAnswer
from mcp_ashigaru.toolsets.asking import desk_of
from mcp_ashigaru.toolsets.speaking import speaking
from runner import intents
from runner.digest import Digest
from runner.errors import BadIntent
from runner.model import WORKING_PHASES, Phase
from runner.promoting import NotPromoted, Promoted
from runner.records import RunRecord
from runner.service import Service

T = TypeVar("T")

_POLL_S = 0.15
_PROGRESS_S = 2.0
_WORKING = {phase.value for phase in WORKING_PHASES | {Phase.CI}}

Repo = Annotated[str, Field(description="The repository, as the forge names it: 'widgets' or 'acme/widgets'.")]
RunId = Annotated[str, Field(description="A run's id, from work_ticket or list_runs.")]


def register(server: MCPServer[Any], service: Service, stopping: threading.Event) -> None:
    """Add the pipeline's tools to the server. Once `stopping` is set, status answers at once."""
    _register_writes(server, service)
    _register_status(server, service, stopping)


def _ticket(run: RunRecord) -> TicketAnswer:
    return TicketAnswer(run_id=run.run_id, repo=run.repo, issue=run.issue, status=run.phase.value)


def _register_writes(server: MCPServer[Any], service: Service) -> None:
    @server.tool(
        annotations=ToolAnnotations(
            title="Work a ticket", read_only_hint=False, destructive_hint=False, idempotent_hint=True
        )
    )
    @speaking
    async def work_ticket(
        ctx: Context[Any, Any],
        repo: Repo,
        issue: Annotated[int, Field(description="The issue's number, 1 or more.")],
        brief: Annotated[str, Field(description="All the agent is told of the issue: what is wrong, what is wanted.")],
        model: Annotated[str | None, Field(description="Tier or model to start at; leave out to start cheap.")] = None,
        priority: Annotated[str | None, Field(description="low, normal or high; leave out for the usual.")] = None,
    ) -> TicketAnswer:
        """Start a run: a sealed agent fixes the issue, the repository's own gates judge it, a pull request opens.

        Returns at once; follow it with status. A second call for the same live (repo, issue) returns the same run.
        """
        intent = intents.work_ticket(repo, issue, brief, model, priority)
        return _ticket(await _off_loop(lambda: desk_of(ctx, service).work_ticket(intent)))

    @server.tool(
        annotations=ToolAnnotations(title="Promote", read_only_hint=False, destructive_hint=True, idempotent_hint=True)
    )
    @speaking
    async def promote(
        ctx: Context[Any, Any],
        repo: Repo,
        pr: Annotated[int, Field(description="The pull request's number.")],
        head_sha: Annotated[str | None, Field(description="The head you reviewed, to merge only that.")] = None,
    ) -> PromoteAnswer:
        """Squash-merge exactly the head that the gates judged, or say in one sentence why not."""
        intent = intents.promote(repo, pr, head_sha)
        match await _off_loop(lambda: desk_of(ctx, service).promote(intent)):
            case Promoted(repo=where, pull=number, sha=sha):
                detail = f"Merged as {sha[:12]}."
                return PromoteAnswer(repo=where, pr=number, promoted=True, sha=sha, detail=detail)
            case NotPromoted(repo=where, pull=number, reason=reason):
                return PromoteAnswer(repo=where, pr=number, promoted=False, detail=reason)

    @server.tool(annotations=ToolAnnotations(title="Request changes", read_only_hint=False, destructive_hint=False))
    @speaking
    async def request_changes(
        ctx: Context[Any, Any],
        run_id: RunId,
        notes: Annotated[str, Field(description="What the reviewer wants changed.")],
    ) -> TicketAnswer:
        """Start a new round on the run's branch and pull request, at the tier it reached."""
        intent = intents.request_changes(run_id, notes)
        return _ticket(await _off_loop(lambda: desk_of(ctx, service).request_changes(intent)))

    @server.tool(annotations=ToolAnnotations(title="Retry", read_only_hint=False, destructive_hint=False))
    @speaking
    async def retry(
        ctx: Context[Any, Any],
        run_id: RunId,
        *,
        from_start: Annotated[bool, Field(description="Forget the work so far; start on the newest base.")] = False,
        tier: Annotated[str | None, Field(description="Tier to go on at; leave out for the one it reached.")] = None,
    ) -> TicketAnswer:
        """Have a run that ended escalated, blocked or cancelled go on, from the work that was kept.

        Work that no gate could judge is judged again; where the base was red, the run starts on the base as it is now.
        """
        identity = intents.run_identity(run_id)
        rung = None if tier is None else intents.tier_name(tier)
        return _ticket(await _off_loop(lambda: desk_of(ctx, service).retry(identity, from_start=from_start, tier=rung)))

    @server.tool(
        annotations=ToolAnnotations(title="Cancel", read_only_hint=False, destructive_hint=True, idempotent_hint=True)
    )
    @speaking
    async def cancel(ctx: Context[Any, Any], run_id: RunId) -> TicketAnswer:
        """Stop a run. Its work so far is kept on its branch."""
        intent = intents.cancel(run_id)
        return _ticket(await _off_loop(lambda: desk_of(ctx, service).cancel(intent)))


def _register_status(server: MCPServer[Any], service: Service, stopping: threading.Event) -> None:
    @server.tool(
        annotations=ToolAnnotations(title="Status", read_only_hint=True, destructive_hint=False, idempotent_hint=True)
    )
    @speaking
    async def status(
        ctx: Context[Any, Any],
        run_id: RunId,
        since: Annotated[int | None, Field(description="The cursor of your last status.")] = None,
        wait_s: Annotated[float, Field(description="Seconds to wait for a change, 0 to 300.")] = 0,
    ) -> Digest:
        """Tell where a run is: phase, tier, actions, verdicts, checks, pull request, money, what happens next."""
        identity = intents.run_identity(run_id)
        if not 0 <= wait_s <= intents.MAX_WAIT_S:
            raise BadIntent(f"wait_s must be from 0 to {intents.MAX_WAIT_S:.0f} seconds.")
        desk = desk_of(ctx, service)
        seen = await _off_loop(lambda: desk.status(identity))
        reference = seen.cursor if since is None else since
        with anyio.move_on_after(wait_s):
            told = 0.0
            while seen.cursor <= reference and seen.phase in _WORKING and not stopping.is_set():
                await anyio.sleep(_POLL_S)
                told += _POLL_S
                if told >= _PROGRESS_S:
                    told = 0.0
                    await ctx.report_progress(seen.cursor, message=seen.headline)
                if await _off_loop(lambda: desk.cursor(identity)) > reference:
                    seen = await _off_loop(lambda: desk.status(identity))
                    await ctx.report_progress(seen.cursor, message=seen.headline)
        return seen


async def _off_loop(call: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(call)
