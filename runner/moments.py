"""How much time has passed, when the wall clock is set meanwhile and the daemon may have been away. Pure.

The rule: durations are counted on the clocks that the kernel keeps since it booted, which nobody sets. Only where those
cannot say it, after a boot, the wall clock is asked, and one that was set back counts as if no time had passed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A moment on every clock of the host.

    utc: seconds since the epoch. boot: the boot that the others count from, "" where that is not known. awake: seconds
    since then without those in which the host was suspended; up: with them.
    """

    utc: float
    boot: str = ""
    awake: float = 0.0
    up: float = 0.0


def worked_s(since: Moment, now: Moment) -> float:
    """Seconds in which what began at `since` could work: a suspended host gives nobody time, and takes none."""
    return _between(since, now, now.awake - since.awake)


def passed_s(since: Moment, now: Moment) -> float:
    """Seconds that have passed for the rest of the world, suspends among them."""
    return _between(since, now, now.up - since.up)


def before(now: Moment, seconds: float) -> Moment:
    """The moment that long ago, on every clock."""
    return replace(now, utc=now.utc - seconds, awake=now.awake - seconds, up=now.up - seconds)


def moment_to_json(moment: Moment) -> dict[str, Any]:
    """The moment as JSON-ready data."""
    return asdict(moment)


def moment_from_json(said: Mapping[str, Any]) -> Moment | None:
    """The moment that `moment_to_json` wrote; None for anything else."""
    match said:
        case {"utc": float(utc), "boot": str(boot), "awake": float(awake), "up": float(up)}:
            finite = all(math.isfinite(one) for one in (utc, awake, up))
            return Moment(utc=utc, boot=boot, awake=awake, up=up) if finite else None
        case _:
            return None


def _between(since: Moment, now: Moment, counted: float) -> float:
    # Less than nothing: the host was brought back to an earlier state of itself.
    if since.boot and since.boot == now.boot and counted >= 0:
        return counted
    return max(0.0, now.utc - since.utc)
