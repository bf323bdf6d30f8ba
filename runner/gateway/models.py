"""Which models an attempt may ask: its tier's, so that an agent cannot climb by itself. Pure.

A tier names an alias ("sonnet") or an id ("claude-opus-5-5"), and the CLI turns an alias, or an id that was retired,
into the id of today: what stays the same is the family. The CLI asks no helper model as it is run here.
"""

from __future__ import annotations

import re
from typing import Final

FAMILIES: Final = ("haiku", "sonnet", "opus", "fable")
EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_CONTEXT: Final = re.compile(r"\[[^\]]*\]$")
"""What the CLI takes after a model's name to ask for a longer context."""


def family_of(model: str) -> str | None:
    """The family that a model's name or id tells of; None: none that is known, or more than one."""
    words = re.split(r"[^a-z0-9]+", model.lower())
    found = [family for family in FAMILIES if family in words]
    return found[0] if len(found) == 1 else None


def may_ask(tier_model: str, asked: str) -> bool:
    """Whether a request for `asked` is one for the tier's model."""
    named = _CONTEXT.sub("", tier_model)
    if asked == named:
        return True
    family = family_of(named)
    return family is not None and asked.startswith("claude-") and family_of(asked) == family


def may_think(tier_effort: str, asked: str | None) -> bool:
    """Whether a request's effort is not above the tier's; None: it names none."""
    if asked is None:
        return True
    if asked not in EFFORTS or tier_effort not in EFFORTS:
        return asked == tier_effort
    return EFFORTS.index(asked) <= EFFORTS.index(tier_effort)
