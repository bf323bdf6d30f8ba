"""What tells moments, and keeps the one at which something began."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from runner.files import write_whole
from runner.moments import Moment, before, moment_from_json, moment_to_json, worked_s
from runner.ports import Clock

_MAX_BYTES: Final = 4096


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Tells moments. boot: see `Moment`. up: seconds since then; None: of a host that is never suspended."""

    clock: Clock
    boot: str = ""
    up: Callable[[], float] | None = None

    def now(self) -> Moment:
        """The moment that it is."""
        awake = self.clock.monotonic()
        up = awake if self.up is None else self.up()
        return Moment(utc=self.clock.now(), boot=self.boot, awake=awake, up=up)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A moment that outlives the daemon, and a number of seconds that belongs to it."""

    name: str
    begun: Moment
    seconds: float


class MomentBook(Protocol):
    """Keeps moments of this host. Raises RecordsFault."""

    def keep(self, kept: Kept) -> None:
        """Remember it, in the place of another of its name (at most 128 characters)."""

    def all(self, prefix: str) -> list[Kept]:
        """Every one whose name begins so."""

    def forget(self, name: str) -> None:
        """It is not remembered, whether it was or not."""


def begun(path: Path, started_at: float, now: Moment) -> Moment:
    """The moment that is kept in `path`, which no sandbox can reach.

    The first time it is worked out of `started_at` (UTC seconds), and kept there.
    """
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_MAX_BYTES))
    except (FileNotFoundError, ValueError):
        said = None
    known = moment_from_json(said) if isinstance(said, dict) else None
    if known is not None:
        return known
    first = before(now, worked_s(Moment(utc=started_at), now))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(moment_to_json(first)).encode("utf-8"))
    return first
