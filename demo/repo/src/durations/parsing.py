"""From text to seconds."""

import re

_SECONDS = {"h": 3600, "m": 60, "s": 1}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([hms])")
_WHOLE = re.compile(rf"\s*(?:{_PART.pattern}\s*)+")


def parse_duration(text: str) -> float:
    """Read what `format_duration` writes, and what people write by hand: ``90m``, ``1h30m``, ``1.5h``.

    Raises ValueError for anything else; a number without a unit is refused, not guessed.
    """
    sign, unsigned = (-1, text.strip()[1:]) if text.strip().startswith("-") else (1, text)
    if not _WHOLE.fullmatch(unsigned):
        raise ValueError(f"not a duration: {text!r}")
    return sign * float(sum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(unsigned)))
