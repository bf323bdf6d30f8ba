"""Runs cases, each within its deadline, and says of each how it ended."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.attack.case import Broken, Case, Outcome, Stopped, Through, Unenforceable
from tests.attack.ground import Ground

_LETTING_GO_S: Final = 6.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A case and how it ended."""

    case: Case
    outcome: Outcome

    @property
    def held(self) -> bool:
        """Whether the attack got nowhere, or could not anywhere on this machine."""
        return isinstance(self.outcome, Stopped | Unenforceable)


def carried_out(cases: Iterable[Case], ground: Ground) -> Iterator[Ended]:
    """Each case in turn."""
    for case in cases:
        yield Ended(case=case, outcome=_outcome(case, ground))


def _outcome(case: Case, ground: Ground) -> Outcome:
    told: list[Outcome] = []

    def attempt() -> None:
        try:
            told.append(case.attempt(ground))
        except BaseException as fault:  # noqa: BLE001 - the top of the case's own thread: it is told, not lost
            told.append(Broken(why=f"{type(fault).__name__}: {fault}"))

    thread = threading.Thread(target=attempt, name=case.name, daemon=True)
    thread.start()
    thread.join(case.deadline_s)
    # What was held up lets go of its sockets by itself; the ground stays until then, or for a while.
    ground.stack.callback(thread.join, _LETTING_GO_S)
    return told[0] if told else Through(what=f"it held us up for more than {case.deadline_s:g} s")


def line(ended: Ended) -> str:
    """One line of the table."""
    case = ended.case
    match ended.outcome:
        case Stopped(by=by):
            word, told = "stopped", by
        case Through(what=what):
            word, told = "THROUGH", what
        case Unenforceable(why=why):
            word, told = "cannot here", why
        case Broken(why=why):
            word, told = "BROKEN", why
    return f"{case.group}  {word:<11}  {case.name}: {case.tried} -> {_one_line(told)}"


def _one_line(text: str) -> str:
    shown = " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())
    return shown if len(shown) <= 160 else f"{shown[:159]}…"
