"""`make attack`: every case on real parts, a line for each; with WITHOUT, one defence taken out, which must show."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.attack.case import Case, Defence, Stopped, Through, Unenforceable
from tests.attack.ground import Ground, ground
from tests.attack.podman_ground import podman_lab, why_not
from tests.attack.registry import CASES, DEFENCES, cases_of
from tests.attack.running import Ended, carried_out, line


def main() -> int:
    """0 where everything held; with a defence taken out, never 0 but for `all`, where each was seen to matter."""
    parser = argparse.ArgumentParser(prog="make attack", description=__doc__)
    parser.add_argument("--without", default="", help="a defence to take out, or 'all' for each in turn")
    parser.add_argument("--fast", action="store_true", help="only what needs no container")
    parser.add_argument("--list", action="store_true", help="say which defences there are")
    asked = parser.parse_args()
    # What the parts under attack log is not the table's.
    logging.getLogger().addHandler(logging.NullHandler())
    if asked.list:
        for defence in DEFENCES.values():
            _say(f"{defence.name:<24} {len(cases_of(defence.name)):>3}  {defence.sentence}")
        return 0
    if asked.without not in {"", "all", *DEFENCES}:
        _say(f"There is no defence named {asked.without!r}; there are: {', '.join(sorted(DEFENCES))}, and all.")
        return 2
    lacking = None if asked.fast else why_not()
    if lacking is not None:
        _say(f"Real podman is needed ({lacking}); --fast does without.")
        return 2
    if asked.without == "all":
        return _each_without(fast=asked.fast)
    if asked.without:
        return _one_without(DEFENCES[asked.without], fast=asked.fast)
    return _all_up(_chosen(CASES, fast=asked.fast))


def _all_up(cases: Sequence[Case]) -> int:
    ended = []
    with _ground(cases) as here:
        for one in carried_out(cases, here):
            ended.append(one)
            _say(line(one))
    stopped = sum(isinstance(one.outcome, Stopped) for one in ended)
    cannot = sum(isinstance(one.outcome, Unenforceable) for one in ended)
    _say(f"attack: cases={len(ended)} stopped={stopped} unenforceable_here={cannot}")
    return 0 if stopped + cannot == len(ended) == len(cases) else 1


def _one_without(defence: Defence, *, fast: bool) -> int:
    ended = _without(defence, _chosen(cases_of(defence.name), fast=fast))
    for one in ended:
        _say(line(one))
    red = sum(isinstance(one.outcome, Through) for one in ended)
    cannot = sum(isinstance(one.outcome, Unenforceable) for one in ended)
    _say(f"attack without {defence.name}: cases={len(ended)} through={red} unenforceable_here={cannot}")
    # Where the machine cannot keep the limit at all, nothing is shown, and so nothing is green.
    return 1 if red or cannot or not ended else 0


def _each_without(*, fast: bool) -> int:
    silent = []
    for defence in DEFENCES.values():
        cases = _chosen(cases_of(defence.name), fast=fast)
        if fast and not cases:
            continue
        ended = _without(defence, cases)
        red = [one.case.vector for one in ended if isinstance(one.outcome, Through)]
        _say(f"{defence.name:<24} {len(red)} of {len(ended)} went red: {', '.join(red) or 'none'}")
        for one in ended:
            if not isinstance(one.outcome, Through | Unenforceable):
                _say(f"{'':<24} {line(one)}")
        if not red and not all(isinstance(one.outcome, Unenforceable) for one in ended):
            silent.append(defence.name)
    if silent:
        _say(f"attack without each: nothing went red without {', '.join(silent)}")
        return 1
    _say(f"attack without each: defences={len(DEFENCES)}, every one was missed")
    return 0


def _without(defence: Defence, cases: Sequence[Case]) -> list[Ended]:
    with _ground(cases) as here, defence.without():
        return list(carried_out(cases, here))


def _chosen(cases: Sequence[Case], *, fast: bool) -> tuple[Case, ...]:
    return tuple(case for case in cases if not (fast and case.podman))


@contextmanager
def _ground(cases: Sequence[Case]) -> Iterator[Ground]:
    if not any(case.podman for case in cases):
        with ground() as bare:
            yield bare
        return
    # Leaving the lab fails where a container, pod, mount or socket of ours is left.
    with podman_lab() as lab, ground(lab) as here:
        yield here


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command line's output


if __name__ == "__main__":
    sys.exit(main())
