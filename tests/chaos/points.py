"""Fault points, inside the victim: every passage is written down, and at the one that is armed the process is killed.

A point is named `<deed>[: <seam>] before|within|after`. A deed is what the daemon does through a port; a seam is what
that deed does to the world: a git process, a commit of a database, an HTTP request. Nobody lists the points: those
there are, are those that an undisturbed run passes.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FRAMES = frozenset({"restarting.again", "unasked.set_aside", "unasked._ask"})
"""Deeds that only an emergency sees: whatever is done within one is a point of its own, `<frame> > <deed> …`."""

KILLED = "killed at "
UP = "up at "


@dataclass(frozen=True, kw_only=True)
class Arm:
    """The passage at which the process ends: the `hit`-th, from 1, of that point."""

    point: str
    hit: int


class _Stack(threading.local):
    """The deeds that this thread is within."""

    def __init__(self) -> None:
        self.deeds: list[str] = []


@dataclass(kw_only=True)
class Points:
    """Counts passages, writes each down in `journal`, and kills at `arm`.

    since: the byte of the journal from which on passages count: those of a process that the harness itself ended do.
    """

    journal: Path
    arm: Arm | None = None
    since: int | None = None
    _hits: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stack: _Stack = field(default_factory=_Stack)

    def __post_init__(self) -> None:
        if self.since is not None:
            self._hits = passages(self.journal, self.since)
        self._file = os.open(self.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def passed(self, point: str) -> None:
        """The process is at that point now."""
        with self._lock:
            self._hits[point] += 1
            os.write(self._file, f"{point}\n".encode())
            if self.arm is not None and (self.arm.point, self.arm.hit) == (point, self._hits[point]):
                os.write(self._file, f"{KILLED}{point}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)

    def say(self, line: str) -> None:
        """Write something else down for the harness."""
        os.write(self._file, f"{line}\n".encode())

    @contextmanager
    def deed(self, name: str) -> Iterator[None]:
        """Around a deed; one that raised has no `after`."""
        frame = next((one for one in self._stack.deeds if one in FRAMES), None)
        if frame is not None:
            name = f"{frame} > {name}"
        self.passed(f"{name} before")
        self._stack.deeds.append(name)
        try:
            yield
        finally:
            self._stack.deeds.pop()
        self.passed(f"{name} after")

    def seam(self, name: str) -> None:
        """At a seam of the deed that this thread is within."""
        deed = self._stack.deeds[-1] if self._stack.deeds else "beside"
        self.passed(f"{deed}: {name}")

    @property
    def within(self) -> bool:
        """Whether this thread is within a deed."""
        return bool(self._stack.deeds)

    def around(self, owner: Any, name: str, called: Callable[..., str]) -> None:
        """Have every call of `owner.name` be a deed, named by `called(*its arguments)`; "" is no deed."""
        real = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            deed = called(*args, **kwargs)
            if not deed:
                return real(*args, **kwargs)
            with self.deed(deed):
                return real(*args, **kwargs)

        setattr(owner, name, wrapped)


def passages(journal: Path, since: int = 0) -> Counter[str]:
    """How often each point was passed, as the journal has it from that byte on."""
    return Counter(line for line in _lines(journal, since) if not line.startswith((KILLED, UP)))


def kills(journal: Path) -> list[str]:
    """The points at which a process was killed, in order."""
    return [line.removeprefix(KILLED) for line in _lines(journal) if line.startswith(KILLED)]


def port_told(journal: Path) -> int | None:
    """The port that the last process serves at, once it does."""
    told = [line.removeprefix(UP) for line in _lines(journal) if line.startswith(UP)]
    return int(told[-1]) if told else None


def _lines(journal: Path, since: int = 0) -> list[str]:
    return journal.read_bytes()[since:].decode("utf-8").splitlines() if journal.exists() else []
