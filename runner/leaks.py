"""Whether a text holds one of our own secrets, as it is or in a plain disguise. Pure.

What is looked for is a secret of 16 letters and digits or more, or either half of one of 32 or more: as it is,
backwards, in hexadecimal, base64 (every alignment, either alphabet) or base32 (RFC 4648), percent-encoded or escaped
as in a string literal or in HTML; with anything but letters and digits put between its characters. Encryption and
compression are no plain disguise, and are not seen through.
"""

from __future__ import annotations

import base64
import html
import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MIN_CHARS: Final = 16
"""A secret with fewer letters and digits is not looked for: it could stand in any text by chance."""
_HALVED_FROM: Final = 32
_KEPT: Final = (string.ascii_letters + string.digits).encode()
_DROPPED: Final = bytes(set(range(256)) - set(_KEPT))
_ESCAPED: Final = re.compile(rb"(?:%|\\x|\\u00|0x)([0-9A-Fa-f]{2})")
_PEM_LINE: Final = re.compile(r"[A-Za-z0-9+/=]{48,}")


class Form(StrEnum):
    """How a secret stood there."""

    PLAIN = "as it is"
    REVERSED = "backwards"
    HEX = "in hexadecimal"
    BASE64 = "in base64"
    BASE32 = "in base32"


@dataclass(frozen=True, kw_only=True)
class Marked:
    """Something that must never leave, by the name that a person is told."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Leak:
    """What was found, without what it is."""

    name: str
    form: Form

    def __str__(self) -> str:
        """For a person: the name and the form."""
        return f"{self.name}, {self.form}"


@dataclass(frozen=True, kw_only=True)
class _Needle:
    leak: Leak
    folded: bool
    text: bytes = field(repr=False)


class Watchlist:
    """Everything that is looked for, made ready once."""

    def __init__(self, marked: Iterable[Marked]) -> None:
        """Those of fewer than MIN_CHARS letters and digits are left out. A key in PEM is looked for line by line."""
        secrets = [(one, value) for one in marked for value in _values(one.value)]
        self._needles = tuple(needle for one, value in secrets for needle in _needles(one, value))

    def find(self, *parts: str | bytes) -> Leak | None:
        """The first secret found in the parts, taken as one text in their order; a split between two hides nothing."""
        if not self._needles:
            return None
        whole = b"".join(part if isinstance(part, bytes) else part.encode("utf-8", "replace") for part in parts)
        for view in _views(whole):
            folded = view.lower()
            for needle in self._needles:
                if needle.text in (folded if needle.folded else view):
                    return needle.leak
        return None


def redact(text: str, marked: Iterable[Marked]) -> str:
    """The text with every secret that stands in it as it is replaced by its name."""
    for one in marked:
        if len(_squeezed(one.value.encode())) >= MIN_CHARS:
            text = text.replace(one.value, f"[redacted: {one.name}]")
    return text


def _values(value: str) -> Iterator[bytes]:
    lines = [line for line in map(str.strip, value.splitlines()) if _PEM_LINE.fullmatch(line)]
    for whole in lines if "-----BEGIN" in value else [value]:
        secret = whole.encode()
        if len(_squeezed(secret)) >= MIN_CHARS:
            yield secret


def _needles(one: Marked, secret: bytes) -> Iterator[_Needle]:
    half = len(secret) // 2
    pieces = (secret,) if len(_squeezed(secret)) < _HALVED_FROM else (secret[:half], secret[half:])
    for piece in pieces:
        for form, text in _forms(piece):
            folded = form in {Form.HEX, Form.BASE32}
            plain = _squeezed(text)
            if len(plain) >= MIN_CHARS // 2:
                yield _Needle(
                    leak=Leak(name=one.name, form=form), folded=folded, text=plain.lower() if folded else plain
                )


def _forms(piece: bytes) -> Iterator[tuple[Form, bytes]]:
    yield Form.PLAIN, piece
    yield Form.REVERSED, piece[::-1]
    yield Form.HEX, piece.hex().encode()
    # What comes before shifts the groups; what is cut off at either end depends on the neighbours.
    for before in range(3):
        yield Form.BASE64, base64.b64encode(bytes(before) + piece)[(0, 2, 3)[before] : (before + len(piece)) * 8 // 6]
    for before in range(5):
        start = -(-before * 8 // 5)
        yield Form.BASE32, base64.b32encode(bytes(before) + piece)[start : (before + len(piece)) * 8 // 5]


def _views(whole: bytes) -> Iterator[bytes]:
    """The text's letters and digits; and again with its escapes undone, where it has any."""
    yield _squeezed(whole)
    plain = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), whole)
    if b"&#" in plain:
        plain = html.unescape(plain.decode("utf-8", "replace")).encode("utf-8", "replace")
    if plain != whole:
        yield _squeezed(plain)


def _squeezed(text: bytes) -> bytes:
    return text.translate(None, _DROPPED)
