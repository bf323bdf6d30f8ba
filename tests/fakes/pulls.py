"""A pull request as a test wants it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from runner.model import Pull, PullState

_PULL: Final = Pull(
    repo="widgets",
    number=1,
    url="u",
    title="t",
    body="b",
    state=PullState.OPEN,
    draft=False,
    head_branch="ashigaru/1-a",
    head_sha="h" * 40,
    base_branch="main",
    base_sha="b" * 40,
    mergeable=True,
)


def a_pull(**changes: Any) -> Pull:
    """One that is open and mergeable, from ashigaru/1-a onto main of widgets, but for the fields given."""
    return replace(_PULL, **changes)
