"""The typed answers of the tools that do not answer with a digest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class TicketAnswer(_Answer):
    """A run that works the ticket: a new one, or the one that was live already."""

    run_id: str = Field(description="Give this to status, cancel and request_changes.")
    repo: str = Field(description="The repository, as the forge names it.")
    issue: int = Field(description="The issue's number.")
    status: str = Field(description="The run's phase now.")


class PromoteAnswer(_Answer):
    """What became of a promotion."""

    repo: str
    pr: int
    promoted: bool
    sha: str | None = Field(default=None, description="The squash commit on the base branch, once promoted.")
    detail: str = Field(description="One sentence: what happened, and what to do if it was refused.")


class RunLine(_Answer):
    """One run in a list."""

    run_id: str
    repo: str = Field(description="The repository, as the forge names it.")
    issue: int = Field(description="The issue's number.")
    status: str
    tier: str | None
    pr: int | None
    pr_url: str | None
    reason: str | None
    updated_at: float = Field(description="UTC seconds since the epoch.")


class RunsAnswer(_Answer):
    """The newest runs first."""

    runs: list[RunLine]
