"""Rust source without what stands in its strings and comments, so that braces can be counted. Pure.

Every step goes forward, so that the time that it takes grows with the text and no faster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(
    r"(?P<line>//)"
    r"|(?P<block>/\*)"
    r"|\bb?r(?P<hashes>#{0,20})\""
    r"|(?P<string>\")"
    r"|'(?:[^'\\\n]|\\[^\n]{1,10}?)'"
)
_COMMENT: Final = re.compile(r"/\*|\*/")
_QUOTE: Final = re.compile(r"\"|\\", re.DOTALL)
_BRACE: Final = re.compile(r"[{}]")


def masked(text: str) -> str:
    """The text, as long as it was, with blanks for comments, strings and characters; newlines stay."""
    return "".join(_parts(text))


def closing(mask: str, opening: int) -> int:
    """One past where the brace that is opened there is closed; the end where it never is."""
    depth = 0
    for told in _BRACE.finditer(mask, opening):
        depth += 1 if told[0] == "{" else -1
        if depth == 0:
            return told.end()
    return len(mask)


def _parts(text: str) -> Iterator[str]:
    at = 0
    while (told := _TOKEN.search(text, at)) is not None:
        end = _end(text, told)
        yield text[at : told.start()]
        yield re.sub(r"[^\n]", " ", text[told.start() : end])
        at = end
    yield text[at:]


def _end(text: str, told: re.Match[str]) -> int:
    """Where the comment, string or character that begins there is over; the end where it never is."""
    if told["line"]:
        return _found(text, "\n", told.end(), past=0)
    if told["block"]:
        return _end_of_comment(text, told.start())
    if told["hashes"] is not None:
        close = '"' + told["hashes"]
        return _found(text, close, told.end(), past=len(close))
    return _end_of_string(text, told.end()) if told["string"] else told.end()


def _found(text: str, what: str, begin: int, *, past: int) -> int:
    at = text.find(what, begin)
    return len(text) if at < 0 else at + past


def _end_of_string(text: str, at: int) -> int:
    while (told := _QUOTE.search(text, at)) is not None:
        if told[0] == '"':
            return told.end()
        at = told.end() + 1
    return len(text)


def _end_of_comment(text: str, begin: int) -> int:
    """Rust's block comments nest."""
    depth = 0
    for told in _COMMENT.finditer(text, begin):
        depth += 1 if told[0] == "/*" else -1
        if depth == 0:
            return told.end()
    return len(text)
