"""The tools that only look."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import anyio.to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_ashigaru.toolsets.answers import DiffAnswer, FileChanged, LogEntry, LogsAnswer, RunLine, RunsAnswer
from mcp_ashigaru.toolsets.asking import desk_of
from mcp_ashigaru.toolsets.speaking import speaking
from runner import intents
from runner.errors import BadIntent
from runner.logs import MAX_LINES, Source, Wanted, cursor_of
from runner.model import Phase
from runner.service import Service
from runner.spending import day_words

E = TypeVar("E", bound=StrEnum)

_MAX_RUNS: Final = 100
_MAX_DIFF: Final = 1024 * 1024
_LEAST_DIFF: Final = 256


def register(server: MCPServer[Any], service: Service) -> None:
    """Add the observing tools to the server."""
    _register_runs(server, service)
    _register_work(server, service)


def _register_runs(server: MCPServer[Any], service: Service) -> None:
    @server.tool(annotations=_looking("List runs"))
    @speaking
    async def list_runs(
        ctx: Context[Any, Any],
        repo: Annotated[str | None, Field(description="Only this repository's runs.")] = None,
        phase: Annotated[str | None, Field(description="Only runs in this phase, for example escalated.")] = None,
        limit: Annotated[int, Field(description="How many, 1 to 100.")] = 20,
    ) -> RunsAnswer:
        """List runs, the newest first."""
        wanted = None if repo is None else intents.repo_name(repo)
        phases = None if phase is None else frozenset({_one_of(Phase, phase, "phase")})
        _within("limit", limit, 1, _MAX_RUNS)
        desk = desk_of(ctx, service)
        found = await anyio.to_thread.run_sync(lambda: desk.list_runs(repo=wanted, phases=phases, limit=limit))
        pool = await anyio.to_thread.run_sync(lambda: desk.pool_seen(found))
        today = await anyio.to_thread.run_sync(desk.today)
        return RunsAnswer(
            runs=[
                RunLine(
                    run_id=run.run_id,
                    repo=run.repo,
                    issue=run.issue,
                    status=run.phase.value,
                    priority=run.priority.value,
                    slot=pool[run.run_id].slot,
                    place=None if (place := pool[run.run_id].place) is None else place.place,
                    tier=run.tier,
                    pr=run.pull,
                    pr_url=run.pull_url,
                    reason=run.reason,
                    owner=run.owner,
                    updated_at=run.updated_at,
                )
                for run in found
            ],
            day_micro_usd=today.spent,
            halted=today.halt is not None,
            day=day_words(today),
        )


def _register_work(server: MCPServer[Any], service: Service) -> None:
    @server.tool(annotations=_looking("Logs"))
    @speaking
    async def logs(
        ctx: Context[Any, Any],
        run_id: Annotated[str, Field(description="A run's id.")],
        attempt: Annotated[int | None, Field(description="Only this attempt; 0 for the judgement of the base.")] = None,
        source: Annotated[str | None, Field(description="Only agent, gate or notice.")] = None,
        since: Annotated[
            str | None, Field(description="The cursor of your last logs; left out: the last ones.")
        ] = None,
        limit: Annotated[int, Field(description="How many entries, 1 to 500.")] = 100,
    ) -> LogsAnswer:
        """Tell what happened in a run: what the agents did, what the gates said, what was noticed. Oldest first."""
        identity = intents.run_identity(run_id)
        _within("limit", limit, 1, MAX_LINES)
        if attempt is not None:
            _within("attempt", attempt, 0, intents.MAX_ISSUE)
        wanted = Wanted(
            attempt=attempt,
            source=None if source is None else _one_of(Source, source, "source"),
            since=None if since is None else cursor_of(since),
            limit=limit,
        )
        log = await anyio.to_thread.run_sync(lambda: desk_of(ctx, service).logs(identity, wanted))
        entries = [
            LogEntry(
                at=one.at,
                source=one.source.value,
                kind=one.kind,
                text=one.text,
                attempt=one.attempt,
                detail=one.detail,
            )
            for one in log.lines
        ]
        return LogsAnswer(run_id=identity, entries=entries, cursor=str(log.cursor), more=log.more)

    @server.tool(annotations=_looking("Diff"))
    @speaking
    async def diff(
        ctx: Context[Any, Any],
        run_id: Annotated[str, Field(description="A run's id.")],
        max_bytes: Annotated[int, Field(description="Bytes of diff at most, 256 to 1048576.")] = 65536,
    ) -> DiffAnswer:
        """Show a run's work as a unified diff against its base, and the lines added and removed in each file."""
        identity = intents.run_identity(run_id)
        _within("max_bytes", max_bytes, _LEAST_DIFF, _MAX_DIFF)
        found = await anyio.to_thread.run_sync(lambda: desk_of(ctx, service).diff(identity, max_bytes=max_bytes))
        files = [
            FileChanged(path=one.path, added=one.added, removed=one.removed, binary=one.binary) for one in found.files
        ]
        return DiffAnswer(
            run_id=identity,
            base_sha=found.base_sha,
            head_sha=found.head_sha,
            files=files,
            diff=found.text,
            truncated=found.cut,
        )


def _looking(title: str) -> ToolAnnotations:
    return ToolAnnotations(title=title, read_only_hint=True, destructive_hint=False, idempotent_hint=True)


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BadIntent(f"{name} must be from {least} to {most}.")


def _one_of(words: type[E], value: str, name: str) -> E:
    try:
        return words(value)
    except ValueError:
        raise BadIntent(f"{name} must be one of {', '.join(one.value for one in words)}.") from None
