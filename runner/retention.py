"""What of the house goes, and why. Pure.

Nothing goes that a live run has a use for, that was used within its kind's least age, or that is among the newest few
of its kind. What is left goes by age; or, where a kind holds more bytes than it may, the longest unused first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_MOST_DAYS: Final = 36_500


class Kind(StrEnum):
    """What is kept, by what it is good for."""

    RUN_FILES = "run_files"
    """What sandboxes of a run were shown; its close removes it, a crash in the middle leaves it."""
    SOCKETS = "sockets"
    CLONE = "clone"
    """The clean clone of a run that ended without a merge: what `diff` shows and `retry` goes on from."""
    HISTORY = "history"
    """An ended run's events, remarks and checks. Its row, attempts, verdicts, notices and receipts stay."""
    ROUNDS = "rounds"
    """Ended rounds in the durable engine's tables."""
    LAYER = "layer"
    """A set-up layer that judgements of a repository share."""
    MIRROR = "mirror"
    COPY = "copy"
    """What `gates judge` has copied of a repository on this host."""
    IMAGE = "image"
    """An image of ours that a newer one has taken the place of."""
    PACKS = "packs"
    """A repository in many pieces: nothing of it goes, it is only packed anew."""


CACHES: Final = frozenset({Kind.LAYER, Kind.MIRROR, Kind.COPY, Kind.IMAGE})
"""What is made anew when it is wanted again: it goes first when the disk is full."""


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long what is kept: days since it was last used, bytes of a kind together, how many of the newest stay.

    A number of days of 0 keeps nothing beyond what is in use; bytes of 0: no bound. every_s: how often the daemon
    tidies, 0: never by itself. sweep_s: how long one sweep may take.
    """

    clone_days: int = 30
    history_days: int = 90
    rounds_days: int = 30
    layer_days: int = 14
    layer_bytes: int = 20 * 1024**3
    layers: int = 2
    mirror_days: int = 60
    mirror_bytes: int = 0
    copy_days: int = 7
    image_days: int = 7
    every_s: int = 3600
    sweep_s: int = 120

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        negative = [name for name, value in vars(self).items() if value < 0]
        if negative:
            raise ValueError(f"must not have a negative {negative[0]}")
        endless = [name for name, value in vars(self).items() if name.endswith("_days") and value > _MOST_DAYS]
        if endless:
            raise ValueError(f"must have {endless[0]} of at most {_MOST_DAYS}")
        if not 1 <= self.sweep_s <= _HOUR_S:
            raise ValueError("must have a sweep_s from 1 to 3600")


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One thing that the house keeps.

    name: unique in its kind, and how it is found again. bytes: what it takes of the disk, None where nobody can tell.
    used_at: UTC seconds. runs, repo: whose it is, as far as it is somebody's. needed: why it stays however old it is.
    """

    kind: Kind
    name: str
    used_at: float
    bytes: int | None = None
    runs: frozenset[str] = frozenset()
    repo: str | None = None
    needed: str | None = None


@dataclass(frozen=True, kw_only=True)
class Live:
    """What is live: run ids, and their repositories in lower case."""

    runs: frozenset[str] = frozenset()
    repos: frozenset[str] = frozenset()

    def holds(self, thing: Thing) -> bool:
        """Whether a live run has a use for the thing."""
        ours = thing.repo is not None and thing.repo.lower() in self.repos
        return bool(thing.runs & self.runs) or ours


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one kind is kept. least_s: younger than that nothing goes, whatever else is said."""

    days: float
    least_s: float = _HOUR_S
    newest: int = 0
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Going:
    """A thing that goes, and why: a few words fit for a line."""

    thing: Thing
    why: str


def rule_of(kind: Kind, keep: Retention) -> Rule:
    """How things of that kind are kept."""
    rules = {
        Kind.RUN_FILES: Rule(days=0),
        Kind.SOCKETS: Rule(days=7),
        Kind.CLONE: Rule(days=keep.clone_days),
        Kind.HISTORY: Rule(days=keep.history_days),
        Kind.ROUNDS: Rule(days=keep.rounds_days),
        # A gate may be at work in a layer for hours without anybody saying so again.
        Kind.LAYER: Rule(days=keep.layer_days, least_s=_DAY_S, newest=keep.layers, bytes=keep.layer_bytes),
        Kind.MIRROR: Rule(days=keep.mirror_days, bytes=keep.mirror_bytes),
        Kind.COPY: Rule(days=keep.copy_days, least_s=_DAY_S),
        Kind.IMAGE: Rule(days=keep.image_days),
        Kind.PACKS: Rule(days=0, least_s=0.0),
    }
    return rules[kind]


def plan(now: float, things: Sequence[Thing], live: Live, keep: Retention, *, tight: bool = False) -> tuple[Going, ...]:
    """What goes: by kind as `Kind` has them, the longest unused first. The order of `things` changes nothing.

    tight: the disk is full, so caches go first and by their least age alone, and nothing is packed: that takes room.
    """
    going: list[Going] = []
    for kind in sorted(Kind, key=lambda one: tight and one not in CACHES):
        if tight and kind is Kind.PACKS:
            continue
        rule = rule_of(kind, keep)
        if tight and kind in CACHES:
            rule = Rule(days=0, least_s=rule.least_s, newest=rule.newest)
        going += _of_kind(now, [thing for thing in things if thing.kind is kind], live, rule)
    return tuple(going)


def _of_kind(now: float, things: list[Thing], live: Live, rule: Rule) -> Iterable[Going]:
    """Of things of one kind."""
    oldest_first = sorted(things, key=lambda thing: (thing.used_at, thing.name))
    held = sum(thing.bytes or 0 for thing in things)
    for place, thing in enumerate(oldest_first):
        age = now - thing.used_at
        among_newest = place >= len(oldest_first) - rule.newest
        if among_newest or thing.needed is not None or live.holds(thing) or age < rule.least_s:
            continue
        why = _why(thing, age, held, rule)
        if why is not None:
            held -= thing.bytes or 0
            yield Going(thing=thing, why=why)


def _why(thing: Thing, age: float, held: int, rule: Rule) -> str | None:
    if thing.kind is Kind.PACKS:
        return "in many pieces"
    if age >= rule.days * _DAY_S:
        return f"not used for {_span(age)}"
    if rule.bytes and held > rule.bytes and thing.bytes:
        return f"its kind holds more than {told_bytes(rule.bytes)}"
    return None


def _span(age: float) -> str:
    days = int(age // _DAY_S)
    if days:
        return "a day" if days == 1 else f"{days} days"
    hours = int(age // _HOUR_S)
    return "an hour" if hours <= 1 else f"{hours} hours"


def told_bytes(count: int) -> str:
    """A number of bytes as a person says it: three digits at most."""
    size, unit = float(count), "B"
    for following in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, following
    return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
