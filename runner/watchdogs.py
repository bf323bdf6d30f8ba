"""When an agent that is still running is stopped for what it does, or for what it no longer does: one tier's bounds.

Values only. `runner.stuck` and `runner.agent_watch` judge by them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

MAX_REMEMBERED: Final = 64
"""No bound may look back over more calls than this."""


@dataclass(frozen=True, kw_only=True)
class Watchdogs:
    """Each is off with 0, but for the grace.

    grace_s: how long the process may stay after it has said its result; then it is stopped, and the result counts.
    in_a_row: the same call with the same answer, one after the other. often, among: the same, that often in the last
    `among` calls. pairs: two calls that take turns, that many times each. unedited_calls: calls since the last edit.
    unedited_s: seconds since the last edit, while it goes on calling tools. An edit that was made sets all of these
    back; edits themselves are held against each other by the first three.
    """

    grace_s: int = 20
    in_a_row: int = 8
    often: int = 12
    among: int = 40
    pairs: int = 6
    unedited_calls: int = 150
    unedited_s: int = 1800

    def fault(self) -> str | None:
        """What is wrong with these bounds, to follow the tier's name; None where they make sense."""
        if self.grace_s < 1 or any(getattr(self, one.name) < 0 for one in fields(self)):
            return "watchdogs of 0 (off) or more, and a grace_s of 1 or more"
        if any(bound in {1, 2} for bound in (self.in_a_row, self.often)) or self.pairs == 1:
            return "watchdogs that let a call be repeated: in_a_row and often of 3 or more, pairs of 2 or more"
        if max(self.in_a_row, self.among, 2 * self.pairs) > MAX_REMEMBERED:
            return f"watchdogs that look back over at most {MAX_REMEMBERED} calls"
        return "an among of at least often" if self.often > self.among else None
