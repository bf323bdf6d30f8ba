"""One line of Claude Code's stream (`--output-format stream-json`) as typed, bounded events for a person to follow.

Nothing here raises: whatever an agent's process wrote is a value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from gates.text import clean

MAX_SUMMARY_CHARS: Final = 200
MAX_EVENTS_PER_LINE: Final = 32
_WORKSPACE: Final = "/workspace/"
_QUIET_SYSTEM: Final = frozenset({"status", "ui_invalidate"})

Said: TypeAlias = Mapping[str, Any]
"""One line's JSON object, of which nothing is known yet."""


class EventKind(StrEnum):
    """What one event tells."""

    STARTED = "started"
    TEXT = "text"
    TOOL = "tool"
    TOOL_ERROR = "tool_result_error"
    DENIED = "denied"
    RETRY = "retry"
    RESULT = "result"
    SYSTEM = "system"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing the agent did. (offset, index) is its identity: the byte where its line begins, and its place there.

    summary: one line of at most MAX_SUMMARY_CHARS characters with nothing hidden in it. tool: the tool's name, where
    there is one.
    """

    offset: int
    index: int
    kind: EventKind
    summary: str
    tool: str | None = None


def parse_line(line: bytes, offset: int) -> tuple[Event, ...]:
    """The events of one line that begins at `offset`; never raises, at most MAX_EVENTS_PER_LINE."""
    return told_by(decode(line), offset)


def decode(line: bytes) -> Said | None:
    """The line's JSON object; None where it is none."""
    # Deep nesting exhausts the JSON parser's stack, which is no reason to fall over here.
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def text_of(said: Said, key: str) -> str | None:
    """The string under `key`, if that is what is there."""
    value = said.get(key)
    return value if isinstance(value, str) else None


def number_of(said: Said, key: str) -> int | None:
    """The whole number under `key`, if that is what is there, of a size that a database column takes."""
    value = said.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15 else None


def inner_of(said: Said, key: str) -> Said:
    """The object under `key`, or an empty one."""
    value = said.get(key)
    return value if isinstance(value, dict) else {}


def blocks_of(said: Said) -> list[Said]:
    """The content blocks of a message, or none."""
    content = inner_of(said, "message").get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def short(text: str | None) -> str | None:
    """A name or a code word, fit to be kept."""
    return None if text is None else clean(text, 100)


_Told: TypeAlias = tuple[EventKind, str, str | None]


def told_by(said: Said | None, offset: int) -> tuple[Event, ...]:
    """The events of a decoded line; see `parse_line`."""
    if said is None:
        return (Event(offset=offset, index=0, kind=EventKind.UNREADABLE, summary="a line that is not JSON"),)
    told: list[_Told]
    match said.get("type"):
        case "system":
            told = _system_told(said)
        case "assistant":
            told = [one for block in blocks_of(said) if (one := _block_told(block)) is not None]
        case "user":
            told = [one for block in blocks_of(said) if (one := _reply_told(block)) is not None]
        case "result":
            ended = text_of(said, "terminal_reason") or text_of(said, "subtype") or "ended"
            told = [(EventKind.RESULT, f"{ended}: {text_of(said, 'result') or ''}".removesuffix(": "), None)]
        case _:
            told = []
    return tuple(
        Event(offset=offset, index=index, kind=kind, summary=clean(summary, MAX_SUMMARY_CHARS), tool=short(tool))
        for index, (kind, summary, tool) in enumerate(told[:MAX_EVENTS_PER_LINE])
    )


def _system_told(said: Said) -> list[_Told]:
    subtype = text_of(said, "subtype") or "unnamed"
    match subtype:
        case "init":
            return [(EventKind.STARTED, f"started on {text_of(said, 'model') or 'an unnamed model'}", None)]
        case "api_retry":
            status = number_of(said, "error_status") or "no answer"
            tries = f"{number_of(said, 'attempt') or '?'} of {number_of(said, 'max_retries') or '?'}"
            return [(EventKind.RETRY, f"the API is tried again ({status}), {tries}", None)]
        case "permission_denied":
            tool = text_of(said, "tool_name")
            return [(EventKind.DENIED, f"{tool or 'a tool'} was not permitted", tool)]
        case _ if subtype in _QUIET_SYSTEM:
            return []
        case _:
            return [(EventKind.SYSTEM, text_of(said, "content") or subtype, None)]


def _block_told(block: Said) -> _Told | None:
    match block.get("type"):
        case "text" if (text := text_of(block, "text")) and text.strip():
            return (EventKind.TEXT, text, None)
        case "tool_use":
            name = text_of(block, "name") or "a tool"
            return (EventKind.TOOL, deed_of(name, inner_of(block, "input")), name)
        case _:
            return None


def _reply_told(block: Said) -> _Told | None:
    match block.get("type"):
        case "tool_result" if block.get("is_error") is True:
            content = block.get("content")
            parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
            said = content if isinstance(content, str) else next((text_of(part, "text") or "" for part in parts), "")
            return (EventKind.TOOL_ERROR, said.removeprefix("<tool_use_error>").removesuffix("</tool_use_error>"), None)
        case "text" if text := text_of(block, "text"):
            return (EventKind.SYSTEM, text, None)
        case _:
            return None


def deed_of(name: str, arguments: Said) -> str:
    """A tool call in a few words, with what it is about; not yet stripped of what is hidden in it."""
    # mcp__ash__delete_file is "delete_file" to a person.
    verb = name.rsplit("__", 1)[-1]
    objects = ("file_path", "path", "source", "from", "pattern", "destination", "to", "mode")
    values = [text[:MAX_SUMMARY_CHARS] for key in objects if (text := text_of(arguments, key))]
    return " ".join([verb, *(value.removeprefix(_WORKSPACE) for value in values[:2])])
