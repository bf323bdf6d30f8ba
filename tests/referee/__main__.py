"""`make referee`: cheats and honest changes, judged by the real judge; a line for each, and a table of the mistakes."""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext

from tests.attack.podman_ground import why_not
from tests.referee.case import Case, Kind
from tests.referee.registry import CASES, DEFENCES
from tests.referee.running import Ended, judged, line, table, tally
from tests.referee.worlds import Judge, by_namespaces, by_podman, lacking

_IN_IMAGE = frozenset({Kind.PYTHON, Kind.NODE, Kind.MAKE})
"""What the gates' image holds; the others are judged in namespaces of this host, where that has their programs."""


def main() -> int:
    """0 where no cheat passed and no honest change was rejected, and every case could be judged."""
    parser = argparse.ArgumentParser(prog="make referee", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name begins with this, or a group's or a kind's name")
    parser.add_argument("--seed", type=int, default=0, help="which part, with --fraction")
    parser.add_argument("--fraction", type=float, default=1.0, help="how much of the corpus")
    parser.add_argument("--without", default="", help=f"a defence to take out: {', '.join(sorted(DEFENCES))}")
    parser.add_argument("--here", action="store_true", help="in namespaces of this host, without podman")
    parser.add_argument("--at-once", type=int, default=2, help="how many cases are judged at once")
    asked = parser.parse_args()
    logging.getLogger().addHandler(logging.NullHandler())
    if asked.without and asked.without not in DEFENCES:
        _say(f"There is no defence named {asked.without!r}; there are: {', '.join(sorted(DEFENCES))}.")
        return 2
    missing = None if asked.here else why_not()
    if missing is not None:
        _say(f"Real podman is needed ({missing}); --here does without.")
        return 2
    cases = chosen(CASES, only=asked.only, seed=asked.seed, fraction=asked.fraction)
    able = [case for case in cases if not _why_not(case, here=asked.here)]
    for case in cases:
        if case not in able:
            _say(f"  {case.group:<18} {'not here':<12} {case.name}: {_why_not(case, here=asked.here)}")
    taken_out = DEFENCES[asked.without]() if asked.without else nullcontext()
    with ExitStack() as stack, taken_out:
        judges = _judges(able, stack, here=asked.here)
        ended = []
        for one in judged(able, lambda case: judges[case.repo.kind], at_once=asked.at_once):
            ended.append(one)
            _say(line(one))
    return _summed(ended)


def chosen(cases: Sequence[Case], *, only: str = "", seed: int = 0, fraction: float = 1.0) -> list[Case]:
    """The part that is asked for; the same for the same seed."""
    found = [case for case in cases if not only or case.name.startswith(only) or only in (case.group, case.repo.kind)]
    if fraction >= 1:
        return found
    some = set(random.Random(seed).sample(range(len(found)), max(1, round(len(found) * fraction))))  # noqa: S311
    return [case for number, case in enumerate(found) if number in some]


def _judges(cases: Sequence[Case], stack: ExitStack, *, here: bool) -> Mapping[Kind, Judge]:
    """One judge for the real image and one for this host. One at a time is open in a process, so they take turns."""
    wanted = {case.repo.kind for case in cases}
    in_podman = frozenset() if here else wanted & _IN_IMAGE
    judge = stack.enter_context(by_podman(os.environ) if in_podman else by_namespaces())
    return dict.fromkeys(wanted, judge)


def _why_not(case: Case, *, here: bool) -> str | None:
    if case.podman and here:
        return "it needs the gates' image"
    if here:
        program = lacking(case.repo.kind)
        return None if program is None else f"this host has no {program}"
    return None if case.repo.kind in _IN_IMAGE else "the gates' image has no such programs; --here may have"


def _summed(ended: Sequence[Ended]) -> int:
    _say(f"\n{'group':<18} {'cheats':>7} {'accepted':>9} {'honest':>7} {'rejected':>9} {'asked':>6} {'broken':>7}")
    for group, row in table(ended).items():
        counts = f"{row.cheats:>7} {row.false_accepts:>9} {row.honest:>7} {row.false_rejects:>9} {row.asked:>6} {row.broken:>7}"
        _say(f"{group:<18} {counts}")
    total = tally(ended)
    _say(
        f"referee: cheats={total.cheats} false_accepts={total.false_accepts}"
        f" honest={total.honest} false_rejects={total.false_rejects}"
    )
    return 0 if total.good and ended else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command line's output


if __name__ == "__main__":
    sys.exit(main())
