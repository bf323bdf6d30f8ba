"""What each ending of an agent leads to. Pure; `docs/endings.md` shows it, and a test holds the two together."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from runner.model import Ending


class Reaction(StrEnum):
    """What an agent's ending leads to."""

    COLLECT = "collect"
    COLLECT_LAST = "collect_last"
    WAIT = "wait"
    RETRY = "retry"
    STOP = "stop"


ENDINGS: Final = MappingProxyType(
    {
        Ending.COMPLETED: Reaction.COLLECT,
        Ending.STOPPED_AFTER_RESULT: Reaction.COLLECT,
        Ending.MAX_TURNS: Reaction.COLLECT,
        Ending.TIER_BUDGET: Reaction.COLLECT,
        Ending.RUN_BUDGET: Reaction.COLLECT_LAST,
        Ending.PROMPT_TOO_LONG: Reaction.COLLECT,
        Ending.REFUSED: Reaction.COLLECT,
        Ending.IDLE_TIMEOUT: Reaction.COLLECT,
        Ending.WALL_TIMEOUT: Reaction.COLLECT,
        Ending.REPEATED_CALL: Reaction.COLLECT,
        Ending.ALTERNATING_CALLS: Reaction.COLLECT,
        Ending.NO_EDITS: Reaction.COLLECT,
        Ending.REPO_BUDGET: Reaction.WAIT,
        Ending.DAY_BUDGET: Reaction.WAIT,
        Ending.HALTED: Reaction.WAIT,
        Ending.DISK_LIMIT: Reaction.COLLECT,
        Ending.QUOTA: Reaction.WAIT,
        Ending.OVERLOADED: Reaction.WAIT,
        Ending.AUTH: Reaction.WAIT,
        Ending.CREDIT: Reaction.WAIT,
        Ending.NETWORK: Reaction.WAIT,
        Ending.MODEL_UNKNOWN: Reaction.STOP,
        Ending.BAD_REQUEST: Reaction.STOP,
        Ending.NO_TURNS: Reaction.RETRY,
        Ending.SESSION_LOST: Reaction.RETRY,
        Ending.OUT_OF_MEMORY: Reaction.RETRY,
        Ending.KILLED: Reaction.RETRY,
        Ending.VANISHED: Reaction.RETRY,
        Ending.UNREADABLE: Reaction.RETRY,
    }
)
"""The one table: every ending there is, and what it leads to."""

FINISHED: Final = frozenset({Ending.COMPLETED, Ending.STOPPED_AFTER_RESULT})
"""The agent said that it had done what it was asked to."""

STUCK: Final = frozenset({Ending.REPEATED_CALL, Ending.ALTERNATING_CALLS, Ending.NO_EDITS})
"""The agent went round in circles; the ending's detail says at what, and the next tier is told."""

WATCHDOGS: Final = STUCK | {Ending.STOPPED_AFTER_RESULT, Ending.IDLE_TIMEOUT, Ending.WALL_TIMEOUT}
"""We stopped it while it ran, for what it did or no longer did."""

RETRY_AFTER_S: Final = MappingProxyType(
    {
        Ending.REPO_BUDGET: 86_400.0,
        Ending.DAY_BUDGET: 86_400.0,
        Ending.HALTED: 86_400.0,
        Ending.QUOTA: 900.0,
        Ending.OVERLOADED: 60.0,
        Ending.AUTH: 1800.0,
        Ending.CREDIT: 1800.0,
        Ending.NETWORK: 60.0,
    }
)
"""Seconds until the next try where the upstream named no time."""
