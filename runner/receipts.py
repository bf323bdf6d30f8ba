"""The record of every deed done with a credential and of every verdict: a chain in which nothing changes unseen. Pure.

An entry's hash is SHA-256 over the hash before it and the entry's canonical JSON: sorted keys, no blanks, integers and
texts alone (the part of RFC 8785 that needs no number format). Times are UTC milliseconds, money is micro-dollars.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias

from gates.text import clip

MAX_ENTRY_BYTES: Final = 4096
ANCHOR_EVERY: Final = 16
"""After so many entries the chain's head is written beside the records as well."""
_MAX_TEXT_BYTES: Final = 300
_MAX_TEXTS: Final = 24
_MAX_LABEL_BYTES: Final = 80
_FORMAT: Final = "mcp-ashigaru receipts 1"

Detail: TypeAlias = Mapping[str, str | int]
"""What a deed was done to: names, ids and digests, never a text that others wrote."""


class Kind(StrEnum):
    """What was done."""

    FETCH = "fetch"
    PUSH = "push"
    OPEN_PULL = "open_pull"
    READY = "ready"
    SAY = "say"
    SET_CHECK = "set_check"
    MERGE = "merge"
    MODEL = "model"
    VERDICT = "verdict"
    UNJUDGED = "unjudged"
    PUT_AWAY = "put_away"
    """Something of an ended run's is kept no longer."""


class Stage(StrEnum):
    """What an entry says of its deed."""

    INTENT = "intent"
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """Nobody here can say whether it was done: the other side did not answer, or the daemon died meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One deed. key: what makes two of them the same one. run_id: "" where it is of no run, or of one not known."""

    kind: Kind
    key: str
    detail: Detail
    run_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One link of a host's chain, counted from 1. settles: the number of the intent that this is the outcome of."""

    host: str
    number: int
    at_ms: int
    kind: Kind
    stage: Stage
    key: str
    run_id: str
    detail: Detail
    settles: int = 0


@dataclass(frozen=True, kw_only=True)
class Link:
    """An entry as it is kept. Beside its canonical text and its hash stands what it is looked up by."""

    host: str
    number: int
    run_id: str
    key: str
    stage: str
    settles: int
    body: str
    hash: str


@dataclass(frozen=True, kw_only=True)
class Head:
    """A chain's last entry, by number and hash; 0 and the chain's root where it has none."""

    number: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class Broken:
    """Where a chain is not what it was: the first entry that is wrong or lacking, and what differs."""

    number: int
    what: str


@dataclass(frozen=True, kw_only=True)
class Digest:
    """What a pull request tells of its run's receipts: a head of the chain, and how many entries are the run's."""

    host: str
    head: Head
    entries: int


class Receipts(Protocol):
    """The host's chain, appended to under a lock. Safe to call from several threads. Raises RecordsFault."""

    def begin(self, deed: Deed) -> int:
        """Have the intent on record before the deed; its number, or 0 where the very same deed was the last done of
        its key: it is a repetition, and no second entry is made.
        """

    def settle(self, deed: Deed, intent: int, stage: Stage, outcome: Detail) -> None:
        """Have the outcome on record. For a repetition (0) only what did not go as before is."""

    def record(self, deed: Deed) -> None:
        """Have on record what is its own outcome: a verdict, an attempt's spend. A repetition makes no second entry."""

    def digest(self, run_id: str) -> Digest:
        """The chain as of the run's last verdict: a repeated publishing tells the same."""


def root(host: str) -> str:
    """What the first entry of a host's chain is chained to: no chain passes for another host's."""
    return hashlib.sha256(f"{_FORMAT}\n{host}".encode()).hexdigest()


def canonical(value: Mapping[str, Any]) -> str:
    """The one JSON text of a value made of texts, integers and objects of them."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def body_of(entry: Entry) -> str:
    """The entry's canonical text, at most MAX_ENTRY_BYTES bytes."""
    return canonical({**_said(entry), "detail": bounded(entry.detail)})


def _said(entry: Entry) -> dict[str, Any]:
    return {
        "at_ms": entry.at_ms,
        "host": entry.host,
        "key": entry.key,
        "kind": entry.kind.value,
        "number": entry.number,
        "run": entry.run_id,
        "settles": entry.settles,
        "stage": entry.stage.value,
    }


def bounded(detail: Detail) -> dict[str, str | int]:
    """The detail with every text cut, and all that is over an entry's bound left out, so that none is too large."""
    kept: dict[str, str | int] = {}
    room = MAX_ENTRY_BYTES - 1024
    for name, value in sorted(detail.items())[:_MAX_TEXTS]:
        told = value if isinstance(value, int) else _text(value)
        room -= len(canonical({name: told}).encode())
        if room >= 0 and len(name.encode()) <= _MAX_LABEL_BYTES:
            kept[name] = told
    return kept


def _text(value: str) -> str:
    # What JSON in UTF-8 cannot hold (lone surrogates, out of file names) is replaced.
    return clip(value.encode("utf-8", "replace").decode("utf-8"), _MAX_TEXT_BYTES)


def chained(before: str, body: str) -> str:
    """The hash of an entry with that canonical text after the one with the hash `before`."""
    return hashlib.sha256(bytes.fromhex(before) + body.encode("utf-8")).hexdigest()


def link(head: Head, entry: Entry) -> Link:
    """The entry as the next link after `head`; its number and host are taken as they are."""
    body = body_of(replace(entry, number=head.number + 1))
    return Link(
        host=entry.host,
        number=head.number + 1,
        run_id=entry.run_id,
        key=entry.key,
        stage=entry.stage.value,
        settles=entry.settles,
        body=body,
        hash=chained(head.hash, body),
    )


def subject(*parts: str | int) -> str:
    """A key for what a deed is done to: 64 hex digits."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode("utf-8", "surrogatepass")).hexdigest()
