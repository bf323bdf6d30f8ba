"""What is recognised as a word on tests, though no sealed gate can be made of it by itself: how to say it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_HINTS: Final = (
    (
        ".pre-commit-config.yaml",
        "pre-commit's hooks come from the network: have [setup] install them and an advisory gate run them",
    ),
    ("go.work", "a Go workspace without a go.mod on top has no ./...: name its modules"),
)


def hints(paths: Sequence[str]) -> tuple[str, ...]:
    """A few words on each, in a fixed order."""
    here = frozenset(paths)
    return tuple(told for name, told in _HINTS if name in here and not (name == "go.work" and "go.mod" in here))
