"""`make referee`: every cheat and every honest change judged on real podman, a line for each, and who was misjudged."""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mcp_ashigaru.judging_here import judge_here
from mcp_ashigaru.settings import load_settings
from tests.attack.podman_ground import why_not
from tests.referee.case import Cheat, Honest, Language
from tests.referee.defences import DEFENCES
from tests.referee.images import NEEDING, have_toolchains
from tests.referee.registry import CHEATS, HONEST, REPOSITORIES, group_of, language_of
from tests.referee.running import Ended, Word, judged, line, table


def main() -> int:
    """0 where nobody was misjudged; with a defence taken out, where that let a cheat through."""
    asked = _asked()
    # What the judge logs of what it is shown is not the table's.
    logging.getLogger().addHandler(logging.NullHandler())
    if asked.list:
        for defence in DEFENCES.values():
            count = sum(one.caught_by == defence.name for one in CHEATS)
            _say(f"{defence.name:<18} {count:>3}  {defence.sentence}")
        return 0
    if asked.without not in {"", "all", *DEFENCES}:
        _say(f"There is no defence named {asked.without!r}; there are: {', '.join(DEFENCES)}, and all.")
        return 2
    lacking = why_not()
    if lacking is not None:
        _say(f"Real podman is needed: {lacking}.")
        return 2
    cases = chosen(asked)
    left_out = _left_out(cases)
    cases = [case for case in cases if language_of(case) not in left_out]
    if asked.without == "all":
        return max([_without(name, cases, asked.width) for name in DEFENCES if any(_is_by(name, one) for one in cases)])
    if asked.without:
        return _without(asked.without, cases, asked.width)
    return max(_all_up(cases, asked.width), 1 if left_out else 0)


def _left_out(cases: Sequence[Cheat | Honest]) -> frozenset[Language]:
    """The languages of those cases that this machine has no toolchain for, and cannot get."""
    needed = NEEDING & {language_of(case) for case in cases}
    why = have_toolchains(os.environ["ASHIGARU_TEST_PODMAN_URL"], _say) if needed else None
    if why is None:
        return frozenset()
    count = sum(language_of(case) in needed for case in cases)
    _say(f"{count} cases of {', '.join(sorted(needed))} are not run: {why}")
    return needed


def chosen(asked: argparse.Namespace) -> list[Cheat | Honest]:
    """The cases that were asked for, a seeded part of them where a fraction was."""
    cases = [
        case
        for case in (*CHEATS, *HONEST)
        if asked.only in case.name
        and asked.group in {"", group_of(case)}
        and asked.language in {"", language_of(case).value}
    ]
    if asked.fraction < 1:
        some = random.Random(asked.seed).sample(range(len(cases)), max(1, round(len(cases) * asked.fraction)))  # noqa: S311 - a sample, no secret
        cases = [cases[index] for index in sorted(some)]
    return cases


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make referee", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose names have this in them")
    parser.add_argument("--group", default="", help="one row of the table")
    parser.add_argument("--language", default="", choices=("", *(one.value for one in Language)))
    parser.add_argument("--seed", type=int, default=1, help="which part --fraction takes")
    parser.add_argument("--fraction", type=float, default=1.0, help="how much of the cases")
    parser.add_argument("--without", default="", help="a defence to take out, or 'all' for each in turn")
    parser.add_argument("--width", type=int, default=3, help="how many cases at once")
    parser.add_argument("--list", action="store_true", help="say which defences there are")
    return parser.parse_args()


def _all_up(cases: Sequence[Cheat | Honest], width: int) -> int:
    ended = _judged(cases, width)
    for row in table(ended):
        _say(row)
    broken = sum(one.word is Word.BROKEN for one in ended)
    if broken:
        _say(f"{broken} could not be judged: nothing is shown by them")
    cheats = [one for one in ended if isinstance(one.case, Cheat)]
    accepts = sum(one.word is Word.FALSE_ACCEPT for one in cheats)
    rejects = sum(one.word is Word.FALSE_REJECT for one in ended)
    _say(
        f"referee: cheats={len(cheats)} false_accepts={accepts} "
        f"honest={len(ended) - len(cheats)} false_rejects={rejects}"
    )
    return 0 if ended and accepts == rejects == broken == 0 else 1


def _without(name: str, cases: Sequence[Cheat | Honest], width: int) -> int:
    """0 where its lack is noticed: at least one cheat that it is meant to catch, and does catch, is taken."""
    defence = DEFENCES[name]
    mine = [case for case in cases if _is_by(name, case)]
    with ExitStack() as out:
        for other in defence.behind:
            out.enter_context(DEFENCES[other].without())
        if defence.behind:
            mine = [one.case for one in _judged(mine, width) if one.word is Word.CAUGHT]
        out.enter_context(defence.without())
        ended = _judged(mine, width)
    through = sum(one.word is Word.FALSE_ACCEPT for one in ended)
    beside = f" (and {', '.join(defence.behind)})" if defence.behind else ""
    _say(f"referee without {name}{beside}: cheats={len(ended)} accepted={through}")
    return 0 if through else 1


def _is_by(name: str, case: Cheat | Honest) -> bool:
    return isinstance(case, Cheat) and case.caught_by == name


def _judged(cases: Sequence[Cheat | Honest], width: int) -> list[Ended]:
    settings = load_settings(
        state_dir=Path("/tmp/unused"),  # noqa: S108 - short, and never made: the judge here makes one of its own
        podman_url=os.environ["ASHIGARU_TEST_PODMAN_URL"],
        gate_image=os.environ["ASHIGARU_TEST_GATE_IMAGE"],
        relay_image=os.environ["ASHIGARU_TEST_RELAY_IMAGE"],
    )
    ended = []
    with tempfile.TemporaryDirectory(prefix="ash-") as home, judge_here(settings) as judge:
        for one in judged(judge, cases, REPOSITORIES, Path(home), width):
            ended.append(one)
            _say(line(one))
    return ended


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command line's output


if __name__ == "__main__":
    sys.exit(main())
