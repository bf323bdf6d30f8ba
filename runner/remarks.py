"""What people say of a pull request, as the forge tells it. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RemarkKind(StrEnum):
    """Where it was said."""

    COMMENT = "comment"
    """In the pull request's conversation."""
    REVIEW = "review"
    """The text of a review as a whole."""
    LINE = "line"
    """At a line of the diff, in a thread."""


class Stance(StrEnum):
    """What a review as a whole says; COMMENTED for everything that is no review."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    COMMENTED = "commented"


@dataclass(frozen=True, kw_only=True)
class Remark:
    """One thing that somebody said of a pull request. `body` is data: nothing in it is obeyed but by a sealed agent.

    id: the forge's, stable, at most 64 characters of [a-z0-9:_-]. may_ask: a person (no bot, and not ourselves) who
    has write access to the repository now. at: UTC seconds of the last edit. path and line: for LINE; line is None
    where the diff has moved on.
    """

    id: str
    kind: RemarkKind
    author: str
    may_ask: bool
    body: str
    at: float
    stance: Stance = Stance.COMMENTED
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class TakenUp:
    """A remark that a round was told of. number: how the round knew it. at: when it was last edited by then."""

    remark: str
    round: int
    number: int
    at: float
    answered_at: float | None = None
