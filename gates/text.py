"""Text that others wrote, made fit to show: nothing hidden, nothing that commands a terminal, never without a bound."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final

_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS and their like, with what they carry
    r"|\x1b[ -/]*[0-~]?"
)
_BREAKS: Final = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_LINE_SPACE: Final = re.compile(r"\s+")
# Letters and marks that show as nothing: fillers, joiners and the variation selectors, which can carry whole messages.
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_KEPT: Final = frozenset("\n\t")
_CUT: Final = " […]"


def plain(text: str, *, keep_newlines: bool) -> str:
    """The text without terminal escapes, controls, bidirectional and zero-width characters.

    Every kind of line break becomes a newline; without `keep_newlines` every run of white space becomes one space.
    """
    if text.isascii() and text.isprintable():
        # Nothing to find: nearly all there is, and looked at many times a second.
        return text if keep_newlines else _LINE_SPACE.sub(" ", text).strip()
    broken = _BREAKS.sub("\n", _ESCAPES.sub("", text))
    seen = "".join(ch for ch in broken if ch in _KEPT or not _hidden(ch))
    return seen if keep_newlines else _LINE_SPACE.sub(" ", seen).strip()


def clean(text: str, limit: int) -> str:
    """One line of at most `limit` characters for a person; what was cut is marked. limit must be 8 or more."""
    # What is hidden is dropped after this cut, so a text that is mostly hidden may come out shorter than it could.
    line = plain(text[: 4 * limit + 1024], keep_newlines=False)
    return line if len(line) <= limit else line[: limit - len(_CUT)].rstrip() + _CUT


def clip(text: str, max_bytes: int) -> str:
    """The text's head in at most `max_bytes` bytes of UTF-8, with a last line that says so where it was cut."""
    data = text.encode("utf-8", "replace")
    if len(data) <= max_bytes:
        return data.decode("utf-8")
    notice = f"\n[cut here: {len(data)} bytes in all]"
    room = max(0, max_bytes - len(notice))
    return data[:room].decode("utf-8", "ignore") + notice[:max_bytes]


def usd(micro_usd: int) -> str:
    """Micro-dollars as a person reads money: "$0.42"; what rounds to nothing but is not is "<$0.01"."""
    if 0 < micro_usd < 5_000:
        return "<$0.01"
    cents = (micro_usd + 5_000) // 10_000
    return f"${cents // 100}.{cents % 100:02d}"


def _hidden(ch: str) -> bool:
    return (
        ch in _BLANKS
        or "\ufe00" <= ch <= "\ufe0f"
        or "\U000e0000" <= ch <= "\U000e0fff"
        # Controls, formats, surrogates, private use and what is not assigned; white space shows as what it is.
        or not (ch.isprintable() or unicodedata.category(ch) == "Zs")
    )


def utc(at: float) -> str:
    """A time, UTC seconds since the epoch, to the minute."""
    try:
        return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "a time that makes no sense"
