"""A pull request as its page tells it to people: the whole conversation, ours included. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from runner.model import Check
from runner.remarks import Remark

MAX_LOG_BYTES = 256 * 1024
"""What the local forge keeps of a check's log: its end."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One thing said. ours: by the daemon. answers: the id of the remark whose thread it is in, or None."""

    remark: Remark
    ours: bool
    answers: str | None = None


@dataclass(frozen=True, kw_only=True)
class Talk:
    """Labels and checks of the head, sorted; what was said, oldest first."""

    labels: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    said: tuple[Said, ...] = ()
