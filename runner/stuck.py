"""Whether an agent goes round in circles, told from the tool calls of its stream. Pure.

What is compared is a call (the tool and all it was given) together with its answer: to ask again what has a new answer
is to wait for something, not to be stuck. An edit that was made begins a new page.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gates.text import clean
from runner.agent_events import Said, blocks_of, deed_of, inner_of, text_of
from runner.watchdogs import MAX_REMEMBERED, Watchdogs

EDITS: Final = frozenset(
    {"Edit", "MultiEdit", "NotebookEdit", "Write"}
    | {f"mcp__ash__{deed}" for deed in ("delete_file", "rename_file", "set_executable")}
)
"""The tools that change the tree."""

_MAX_OPEN: Final = 32
_FEWEST: Final = 20
_WORDS_CHARS: Final = 80
_DIGEST_CHARS: Final = 12


class Circle(StrEnum):
    """In which way an agent is stuck."""

    REPEATED = "repeated"
    ALTERNATING = "alternating"
    NO_EDITS = "no_edits"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One tool call: the id that its answer names, its digest, whether it would edit, and what it is in words."""

    id: str
    digest: str
    edits: bool
    words: str


@dataclass(frozen=True, kw_only=True)
class Moves:
    """What the tool calls came to so far, in constant space. JSON-ready.

    calls: digests of the last answered calls since the last edit, oldest first. edits: those of the last edits that
    were made. since_edit: how many calls there were since the last one. edited: how many edits were made. open: calls
    without an answer yet. last: the last two different calls in words, the older first.
    """

    calls: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()
    since_edit: int = 0
    edited: int = 0
    open: tuple[Call, ...] = ()
    last: tuple[str, ...] = ()


def fold(moves: Moves, said: Said) -> Moves:
    """The moves with one more line of the stream, whatever it holds."""
    match said.get("type"):
        case "assistant":
            for block in blocks_of(said):
                if block.get("type") == "tool_use":
                    moves = _asked(moves, block)
        case "user":
            for block in blocks_of(said):
                if block.get("type") == "tool_result":
                    moves = _answered(moves, block)
        case _:
            pass
    return moves


def circling(moves: Moves, bounds: Watchdogs, unedited_s: float) -> Circle | None:
    """How the agent is stuck, if it is. unedited_s: seconds since its last edit, or since it began."""
    for digests in (moves.calls, moves.edits):
        if _repeats(digests, bounds):
            return Circle.REPEATED
        if _takes_turns(digests, bounds.pairs):
            return Circle.ALTERNATING
    long = 0 < bounds.unedited_s <= unedited_s and moves.since_edit >= _FEWEST
    if long or 0 < bounds.unedited_calls <= moves.since_edit:
        return Circle.NO_EDITS
    return None


def in_words(circle: Circle, moves: Moves) -> str:
    """What it was stuck at, to follow "it": for a person, and for the next tier."""
    last = moves.last[-1] if moves.last else "the same call"
    match circle:
        case Circle.REPEATED:
            return f'repeated "{last}" again and again'
        case Circle.ALTERNATING:
            return f'went back and forth between "{moves.last[0] if moves.last else last}" and "{last}"'
        case Circle.NO_EDITS:
            return f'made {moves.since_edit} tool calls without editing a file, at last "{last}"'


def _repeats(digests: Sequence[str], bounds: Watchdogs) -> bool:
    row = digests[-bounds.in_a_row :] if bounds.in_a_row else ()
    if row and len(row) == bounds.in_a_row and len(set(row)) == 1:
        return True
    # Only what it did just now can be what it is stuck at.
    return 0 < bounds.often <= (list(digests[-bounds.among :]).count(digests[-1]) if digests else 0)


def _takes_turns(digests: Sequence[str], pairs: int) -> bool:
    turns = digests[-2 * pairs :] if pairs else ()
    if not turns or len(turns) < 2 * pairs:
        return False
    return len(set(turns[::2])) == len(set(turns[1::2])) == 1 and turns[0] != turns[1]


def _asked(moves: Moves, block: Said) -> Moves:
    name, given = text_of(block, "name") or "", inner_of(block, "input")
    call = Call(
        id=_digest(text_of(block, "id") or ""),
        digest=_digest(name, _canonical(given)),
        edits=name in EDITS,
        words=clean(deed_of(name or "a tool", given), _WORDS_CHARS),
    )
    if len(moves.open) >= _MAX_OPEN:
        # Whoever never hears an answer is not let off for that.
        moves = _counted(replace(moves, open=moves.open[1:]), moves.open[0], "")
    return replace(moves, open=(*moves.open, call))


def _answered(moves: Moves, block: Said) -> Moves:
    asked = _digest(text_of(block, "tool_use_id") or "")
    call = next((one for one in moves.open if one.id == asked), None)
    if call is None:
        return moves
    moves = replace(moves, open=tuple(one for one in moves.open if one is not call))
    if call.edits and block.get("is_error") is not True:
        edits = (*moves.edits, call.digest)[-MAX_REMEMBERED:]
        return replace(moves, calls=(), edits=edits, since_edit=0, edited=moves.edited + 1, last=_last(moves, call))
    return _counted(moves, call, _digest(_canonical(block.get("content"))))


def _counted(moves: Moves, call: Call, answer: str) -> Moves:
    calls = (*moves.calls, f"{call.digest}{answer}")[-MAX_REMEMBERED:]
    return replace(moves, calls=calls, since_edit=moves.since_edit + 1, last=_last(moves, call))


def _last(moves: Moves, call: Call) -> tuple[str, ...]:
    return (*(words for words in moves.last[-2:] if words != call.words), call.words)[-2:]


def _canonical(value: object) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except RecursionError:
        return "too deep to be told apart"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:_DIGEST_CHARS]
