"""Every case there is, and what can be taken out of the judge to see that it matters."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from gates import head
from runner import change_reading, judged_trees, judging
from tests.attack.taking_out import answering, out, replaced
from tests.referee import honest, on_others, on_python, on_set_up, on_source
from tests.referee.case import Case, Cheat, Honest

CHEATS: Final[tuple[Cheat, ...]] = (*on_python.CHEATS, *on_source.CHEATS, *on_set_up.CHEATS, *on_others.CHEATS)
HONEST: Final[tuple[Honest, ...]] = honest.HONEST
CASES: Final[tuple[Case, ...]] = (*CHEATS, *HONEST)


def _own_alone() -> AbstractContextManager[None]:
    real = judged_trees.Trees.takes
    return replaced((judged_trees.Trees, "takes", lambda trees, gate: (real(trees, gate)[0], None, None)))


DEFENCES: Final[dict[str, Callable[[], AbstractContextManager[None]]]] = {
    "bases-tests": _own_alone,
    "sentinels": out(judging, "_holders", answering({})),
    "held-against": out(head, "_held_against", answering([])),
    "reading": out(change_reading, "_of", answering(())),
    "paths": out(judged_trees, "_found", answering(())),
}
"""bases-tests: the base's tests on the change. sentinels: tests of the judge's own. held-against: what ran on the base.
reading: what the change shows by being read. paths: which tests and runner files it edits."""
