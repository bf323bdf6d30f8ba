"""The tool that tells what runs came to and what they cost."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

import anyio.to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field

from gates.text import usd
from mcp_ashigaru.toolsets.asking import desk_of
from mcp_ashigaru.toolsets.speaking import speaking
from runner import intents
from runner.errors import BadIntent
from runner.ledger import MAX_RUNS, RunLine, Tally, tallies
from runner.service import Service

MAX_DAYS: Final = 3650
_DAY_S: Final = 86_400.0
_MAX_ROWS: Final = 500


class LedgerRow(BaseModel):
    """What the attempts at one tier came to in one repository."""

    model_config = ConfigDict(frozen=True)

    repo: str
    tier: str | None = Field(description="null: all tiers of the repository together.")
    runs: int
    attempts: int
    passes: int = Field(description="Attempts that the gates let be shown.")
    merged: int = Field(description="Runs merged, counted at their last attempt's tier.")
    reverted: int = Field(description="Of those, runs whose merge was taken back later.")
    micro_usd: int
    usd: str
    usd_per_merge: str | None = Field(description="Money for each merge that stood; null where none did.")
    agent_minutes: float
    gate_minutes: float
    queue_minutes: float


class LedgerAnswer(BaseModel):
    """By repository and tier; each repository's sum comes after its tiers."""

    model_config = ConfigDict(frozen=True)

    days: int
    rows: list[LedgerRow]
    truncated: bool = Field(description="Whether there were more runs or rows than are told of.")


def answer_of(lines: list[RunLine], days: int) -> LedgerAnswer:
    """The ledger of those runs."""
    told = tallies(lines)
    cut = len(lines) >= MAX_RUNS or len(told) > _MAX_ROWS
    return LedgerAnswer(days=days, rows=[_row(one) for one in told[:_MAX_ROWS]], truncated=cut)


def checked_days(days: int) -> int:
    """The number of days, if it is one that the ledger takes. Raises BadIntent."""
    if not 1 <= days <= MAX_DAYS:
        raise BadIntent(f"days must be from 1 to {MAX_DAYS}.")
    return days


def since(now: float, days: int) -> float:
    """UTC seconds that many days before `now`."""
    return now - days * _DAY_S


def _row(one: Tally) -> LedgerRow:
    per_merge = one.micro_usd_per_merge
    return LedgerRow(
        repo=one.repo,
        tier=one.tier,
        runs=one.runs,
        attempts=one.attempts,
        passes=one.passes,
        merged=one.merged,
        reverted=one.reverted,
        micro_usd=one.micro_usd,
        usd=usd(one.micro_usd),
        usd_per_merge=None if per_merge is None else usd(per_merge),
        agent_minutes=_minutes(one.agent_s),
        gate_minutes=_minutes(one.gate_s),
        queue_minutes=_minutes(one.queue_s),
    )


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 1)


def register(server: MCPServer[Any], service: Service) -> None:
    """Add the tool to the server."""

    @server.tool(
        annotations=ToolAnnotations(title="Ledger", read_only_hint=True, destructive_hint=False, idempotent_hint=True)
    )
    @speaking
    async def ledger(
        ctx: Context[Any, Any],
        repo: Annotated[str | None, Field(description="Only this repository's runs.")] = None,
        days: Annotated[int, Field(description="Runs asked for in so many days, 1 to 3650.")] = 30,
    ) -> LedgerAnswer:
        """Tell what runs came to and what they cost: attempts, passes, merges, later reverts, money, minutes."""
        wanted = None if repo is None else intents.repo_name(repo)
        begin = since(time.time(), checked_days(days))
        desk = desk_of(ctx, service)
        lines = await anyio.to_thread.run_sync(lambda: desk.ledger(since=begin, repo=wanted))
        return answer_of(lines, days)
