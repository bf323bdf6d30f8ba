"""Failures on command: a short queue of rules, each for the next few requests that it matches."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MAX_RULES = 100
MAX_HOLD_S = 30.0


class How(StrEnum):
    """What happens. BEFORE: nothing was done. AFTER: it was done, and the client is not told."""

    ERROR_BEFORE = "error before"
    ERROR_AFTER = "error after"
    CUT_BEFORE = "cut before"
    CUT_AFTER = "cut after"
    RATE_LIMITED = "rate limited"
    SECONDARY_LIMIT = "secondary limit"
    HELD_BEFORE = "held before"
    HELD_AFTER = "held after"
    STALE = "stale"
    TRUNCATED = "truncated"
    HTML = "html"


@dataclass(kw_only=True)
class Fault:
    """status and retry_after are of the answer, where there is one. moment: the world that STALE reads see.

    released: set by a test to let a held answer go; it goes by itself after MAX_HOLD_S.
    """

    method: str
    path: re.Pattern[str]
    times: int
    how: How
    status: int
    retry_after: int | None
    moment: Any = None
    released: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)


class Faults:
    """The queue; the oldest rule that matches is used up first."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._all: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            if len(self._rules) >= MAX_RULES:
                raise ValueError("Too many failures are waiting; clear them first.")
            self._rules.append(fault)
            self._all = [*self._all[-MAX_RULES:], fault]

    def take(self, method: str, path: str) -> Fault | None:
        """The failure that this request meets, if any."""
        with self._lock:
            for rule in self._rules:
                if rule.method in {method, "*"} and rule.path.fullmatch(path):
                    rule.times -= 1
                    if rule.times <= 0:
                        self._rules.remove(rule)
                    return rule
        return None

    def clear(self) -> None:
        """No failure is waiting, and whatever is held goes on."""
        with self._lock:
            self._rules.clear()
            for rule in self._all:
                rule.released.set()
