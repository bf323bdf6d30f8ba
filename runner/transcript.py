"""Fold what Claude Code says of itself (`--output-format stream-json`) into what it did and how it ended.

Reading never raises: whatever an agent's process wrote is a value here. The fold is of constant size and knows its
own byte offset, so that reading goes on after a restart where it stopped and no event is told twice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

from gates.text import clean
from runner.agent_events import (
    Event,
    EventKind,
    Said,
    blocks_of,
    decode,
    inner_of,
    number_of,
    parse_line,
    short,
    text_of,
    told_by,
)
from runner.stuck import Moves, fold

__all__ = [
    "MAX_LINE_BYTES",
    "Event",
    "EventKind",
    "Kinds",
    "Line",
    "Result",
    "Split",
    "Transcript",
    "parse_line",
    "read_events",
    "split_lines",
]

MAX_LINE_BYTES: Final = 1024 * 1024
MAX_RESULT_CHARS: Final = 4000
_RESULT_HEAD: Final = 1000
_SYNTHETIC: Final = "<synthetic>"


Kinds = Collection[str]
"""Some of the `EventKind`s, as they are kept."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The fields of a `result` event that say how it ended; None or 0 where the event did not say."""

    subtype: str
    is_error: bool
    num_turns: int
    terminal_reason: str | None
    api_error_status: int | None
    safety_stops: int
    denials: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What was read so far, in constant space. JSON-ready, so that it can be kept beside its offset.

    offset: first byte not yet read. skipping: that byte is within a line too long to be read. model: what the CLI
    says it runs, which may not be what was asked for. results: how many `result` events came (one is right); result
    is the first. retrying: the last word on the API is that it is being tried again. retry_at: UTC seconds at which
    the upstream said a used-up quota comes back. micro_usd: the CLI's own reckoning, not the gateway's meter. moves:
    what its tool calls came to, by which it is told whether it goes round in circles.
    """

    offset: int = 0
    skipping: bool = False
    lines: int = 0
    unreadable: int = 0
    overlong: int = 0
    tools: int = 0
    denied: int = 0
    session: str | None = None
    model: str | None = None
    results: int = 0
    result: Result | None = None
    api_error: str | None = None
    retrying: bool = False
    retry_status: int | None = None
    retry_at: float | None = None
    micro_usd: int = 0
    moves: Moves = field(default_factory=Moves)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A whole line, without its newline, and the offset of its first byte."""

    offset: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Split:
    """Lines found; offset is the first byte that belongs to none of them. dropped: lines too long to be kept.

    skipping: `offset` is within such a line, and what follows up to the next newline is still part of it.
    """

    lines: tuple[Line, ...]
    offset: int
    dropped: int
    skipping: bool


def split_lines(buffer: bytes, offset: int, *, max_line: int = MAX_LINE_BYTES, skipping: bool = False) -> Split:
    """Cut `buffer`, whose first byte is at `offset`, into whole lines. Empty lines are left out.

    A line without its newline yet stays for the next time, unless `max_line` bytes of it are there already. A line
    that long is always dropped whole, so that a reader with any chunk of `max_line` bytes or more always gets on.
    """
    lines: list[Line] = []
    dropped = start = 0
    while (end := buffer.find(b"\n", start)) >= 0:
        if skipping or end - start >= max_line:
            dropped += 1
            skipping = False
        elif end > start:
            lines.append(Line(offset=offset + start, data=buffer[start:end]))
        start = end + 1
    if skipping or len(buffer) - start >= max_line:
        skipping, start = True, len(buffer)
    return Split(lines=tuple(lines), offset=offset + start, dropped=dropped, skipping=skipping)


def read_events(transcript: Transcript, chunk: bytes, *, final: bool = False) -> tuple[Transcript, tuple[Event, ...]]:
    """Fold in `chunk`, the bytes at `transcript.offset`; the new offset is where to read on.

    Chunks must be MAX_LINE_BYTES or more, or reach the end of what there is. `final`: nothing follows any more, so a
    last line without a newline counts too.
    """
    if final and chunk and not chunk.endswith(b"\n"):
        told, last = read_events(transcript, chunk + b"\n")
        return replace(told, offset=transcript.offset + len(chunk)), last
    split = split_lines(chunk, transcript.offset, skipping=transcript.skipping)
    events: list[Event] = []
    for line in split.lines:
        said = decode(line.data)
        transcript = _fold(transcript, said)
        events.extend(told_by(said, line.offset))
    if split.dropped:
        transcript = replace(transcript, overlong=transcript.overlong + split.dropped)
    return replace(transcript, offset=split.offset, skipping=split.skipping), tuple(events)


def _fold(seen: Transcript, said: Said | None) -> Transcript:
    seen = replace(seen, lines=seen.lines + 1)
    if said is None:
        return replace(seen, unreadable=seen.unreadable + 1)
    seen = replace(seen, moves=fold(seen.moves, said))
    match said.get("type"):
        case "system":
            return _fold_system(seen, said)
        case "assistant":
            tools = sum(block.get("type") == "tool_use" for block in blocks_of(said))
            synthetic = inner_of(said, "message").get("model") == _SYNTHETIC
            # A real answer says that the API is well again; a synthetic one is how the CLI words a failure.
            return replace(
                seen,
                tools=seen.tools + tools,
                api_error=short(text_of(said, "error")) if synthetic else None,
                retrying=seen.retrying and synthetic,
                retry_status=seen.retry_status if synthetic else None,
            )
        case "rate_limit_event":
            info = inner_of(said, "rate_limit_info")
            resets = number_of(info, "resetsAt")
            known = resets if resets is not None and resets > 0 and info.get("status") == "rejected" else None
            return seen if known is None else replace(seen, retry_at=float(known))
        case "result":
            return _fold_result(seen, said)
        case _:
            return seen


def _fold_system(seen: Transcript, said: Said) -> Transcript:
    match said.get("subtype"):
        case "init":
            return replace(seen, model=short(text_of(said, "model")), session=short(text_of(said, "session_id")))
        case "api_retry":
            return replace(seen, retrying=True, retry_status=number_of(said, "error_status"))
        case "permission_denied":
            return replace(seen, denied=seen.denied + 1)
        case _:
            return seen


def _fold_result(seen: Transcript, said: Said) -> Transcript:
    cost = said.get("total_cost_usd")
    paid = round(cost * 1_000_000) if isinstance(cost, int | float) and 0 <= cost < 10**6 else 0
    errors = said.get("errors")
    first_error = next((item for item in errors if isinstance(item, str)), "") if isinstance(errors, list) else ""
    denials = said.get("permission_denials")
    result = Result(
        subtype=short(text_of(said, "subtype")) or "",
        # Anything but an honest "false" is an error: silence is no success.
        is_error=said.get("is_error") is not False,
        num_turns=number_of(said, "num_turns") or 0,
        terminal_reason=short(text_of(said, "terminal_reason")),
        api_error_status=number_of(said, "api_error_status"),
        safety_stops=number_of(said, "safety_stops") or 0,
        denials=len(denials) if isinstance(denials, list) else 0,
        text=_last_words(text_of(said, "result") or first_error),
    )
    return replace(seen, results=seen.results + 1, result=seen.result or result, micro_usd=max(seen.micro_usd, paid))


def _last_words(text: str) -> str:
    """One line of at most MAX_RESULT_CHARS characters: the beginning, and the end, where an agent sums up."""
    if len(text) <= MAX_RESULT_CHARS:
        return clean(text, MAX_RESULT_CHARS)
    head, tail = clean(text[:_RESULT_HEAD], _RESULT_HEAD), text[_RESULT_HEAD + 8 - MAX_RESULT_CHARS :]
    return f"{head} … {clean(tail, MAX_RESULT_CHARS - _RESULT_HEAD - 3)}"
