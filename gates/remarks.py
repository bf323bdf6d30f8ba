"""What a reviewer remarks, and the plain JSON form of it: `[{"path", "line", "severity", "message"}]`. Pure.

Reports are written beside code that nobody trusts, so nothing in them is: bounds on all of it, and no fault ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gates.text import clean

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_REMARKS: Final = 1000
"""Beyond which a report's remarks are not read."""
_MAX_PATH: Final = 120
_MAX_MESSAGE: Final = 250
_MAX_LINE: Final = 10_000_000


class Severity(StrEnum):
    """How grave it is, in SARIF's words."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


_SAID: Final[Mapping[str, Severity]] = {
    **dict.fromkeys(("error", "critical", "fatal", "high", "blocker"), Severity.ERROR),
    **dict.fromkeys(("note", "info", "information", "informational", "low", "hint", "none"), Severity.NOTE),
}


@dataclass(frozen=True, kw_only=True)
class Remark:
    """One remark, made harmless. path "": of no file; at None: of no line."""

    path: str
    at: int | None
    severity: Severity
    message: str

    def line(self) -> str:
        """It for a person: `src/a.py:3: warning: the message`."""
        place = self.path + ("" if self.at is None or not self.path else f":{self.at}")
        return f"{place}: {self.severity}: {self.message}" if place else f"{self.severity}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """It is no such report; reason follows the reviewer's name and "and"."""

    reason: str


def remark(path: object, line: object, severity: object, message: object) -> Remark | None:
    """Such a remark of whatever was said; None where it has no message."""
    said = clean(message, _MAX_MESSAGE) if isinstance(message, str) else ""
    if not said:
        return None
    numbered = isinstance(line, int) and not isinstance(line, bool) and 0 < line <= _MAX_LINE
    word = severity.lower() if isinstance(severity, str) else ""
    return Remark(
        path=clean(path, _MAX_PATH).removeprefix("/workspace/") if isinstance(path, str) else "",
        at=line if isinstance(line, int) and numbered else None,
        severity=_SAID.get(word, Severity.WARNING),
        message=said,
    )


def read_json(data: bytes) -> Any | Unreadable:
    """JSON that somebody else wrote, or why it is none."""
    if len(data) >= MAX_BYTES:
        return Unreadable(reason=f"left a report of {MAX_BYTES} bytes or more")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return Unreadable(reason="left a report that is not JSON")


def read_remarks(data: bytes) -> tuple[Remark, ...] | Unreadable:
    """The remarks of the plain form, in their order, at most MAX_REMARKS. Never raises."""
    told = read_json(data)
    if isinstance(told, Unreadable):
        return told
    if not isinstance(told, list):
        return Unreadable(reason="left a report that is not a list of remarks")
    entries = [one for one in told[:MAX_REMARKS] if isinstance(one, dict)]
    found = [remark(one.get("path"), one.get("line"), one.get("severity"), one.get("message")) for one in entries]
    remarks = tuple(one for one in found if one is not None)
    if told and not remarks:
        return Unreadable(reason="left a report in which no entry has a message")
    return remarks
