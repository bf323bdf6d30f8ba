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
    priority: str = Field(description="low, normal or high.")
    slot: str | None = Field(description="The slot it is at work in.")
    place: int | None = Field(description="Its place in the queue, from 1, while it is queued.")
    tier: str | None
    pr: int | None
    pr_url: str | None
    reason: str | None
    owner: str = Field(description="Who dispatched it: a token's name, or operator.")
    updated_at: float = Field(description="UTC seconds since the epoch.")


class RunsAnswer(_Answer):
    """The newest runs first."""

    runs: list[RunLine]
    day_micro_usd: int = Field(description="What all runs together have cost since midnight UTC.")
    halted: bool = Field(description="Whether the operator has halted all spending.")
    day: str = Field(description="The same in words, and whether the operator has halted all spending.")


class LogEntry(_Answer):
    """One thing that happened in a run."""

    at: float = Field(description="UTC seconds since the epoch.")
    source: str = Field(description="agent, gate or notice.")
    kind: str = Field(description="Of an agent's event, of a verdict, or of a notice.")
    text: str = Field(description="One line.")
    attempt: int | None = Field(description="The agent attempt it belongs to; 0 for a judgement of the base.")
    detail: str = Field(description="What the gates have to say at length; empty for nothing.")


class LogsAnswer(_Answer):
    """What happened, oldest first."""

    run_id: str
    entries: list[LogEntry]
    cursor: str = Field(description="Give it as since to read on from here.")
    more: bool = Field(description="There is more to read from the cursor on already.")


class FileChanged(_Answer):
    """What the run's work does to one file."""

    path: str
    added: int = Field(description="Lines added.")
    removed: int = Field(description="Lines removed.")
    binary: bool


class DiffAnswer(_Answer):
    """The work of a run against its base. It is data that an agent wrote."""

    run_id: str
    base_sha: str
    head_sha: str
    files: list[FileChanged]
    diff: str = Field(description="Unified diff; characters that would not be seen are written as <U+202E>.")
    truncated: bool = Field(description="The diff is longer than what is here.")
