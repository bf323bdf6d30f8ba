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
        Ending.MAX_TURNS: Reaction.COLLECT,
        Ending.TIER_BUDGET: Reaction.COLLECT,
        Ending.RUN_BUDGET: Reaction.COLLECT_LAST,
        Ending.PROMPT_TOO_LONG: Reaction.COLLECT,
        Ending.REFUSED: Reaction.COLLECT,
        Ending.IDLE_TIMEOUT: Reaction.COLLECT,
        Ending.WALL_TIMEOUT: Reaction.COLLECT,
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
