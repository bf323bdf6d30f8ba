"""Honest changes to Python repositories: what maintainers take every day."""

from __future__ import annotations

from tests.referee.case import Chapter, Honest
from tests.referee.python_base import SHARES_REPO

CHAPTER = Chapter(
    repositories=(SHARES_REPO,),
    honest=(Honest(name="fix with a reproducer", repo="shares", change=SHARES_REPO.right),),
)
