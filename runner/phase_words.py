"""What is said of each phase of a run: what it does, and what comes next. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from runner.model import Phase

DOING: Final = MappingProxyType(
    {
        Phase.QUEUED: "is queued",
        Phase.PREPARING: "is being prepared",
        Phase.GATE: "is with the gates",
        Phase.PUBLISHING: "is being published",
        Phase.WAITING: "waits",
        Phase.CI: "is with the forge's CI",
        Phase.AWAITING_REVIEW: "awaits review",
        Phase.MERGED: "is merged",
        Phase.SHIPPED: "is shipped",
        Phase.ESCALATED: "needs a person",
        Phase.BLOCKED: "is blocked",
        Phase.CANCELLED: "was cancelled",
    }
)
"""What a run in that phase does."""

NEXT: Final = MappingProxyType(
    {
        Phase.QUEUED: "The next free slot takes it up.",
        Phase.PREPARING: "The agent starts when the clone is ready.",
        Phase.AGENT: "When the agent has finished, its changes go to the gates.",
        Phase.GATE: "If the gates pass, a pull request opens; if not, the next dearer tier tries.",
        Phase.PUBLISHING: "The pull request opens, and then it awaits your review.",
        Phase.SHIPPED: "Nothing; the work is done, and the base branch is green with it.",
        Phase.BLOCKED: "Put right what the reason says, then dispatch the ticket again with work_ticket.",
        Phase.CANCELLED: "Nothing, unless the ticket is dispatched again with work_ticket.",
    }
)
"""What comes next, where the phase alone says it."""
