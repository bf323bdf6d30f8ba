"""Whether a chain of receipts is what it was, and where it is not; its exports and its anchors as text. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from runner.receipts import MAX_ENTRY_BYTES, Broken, Head, Link, canonical, chained, root


def verified(host: str, links: Iterable[Link], anchors: Iterable[Head] = ()) -> Head | Broken:
    """The chain's head where every entry is what it was and every anchor is met; else the first place that is not."""
    wanted: dict[int, list[str]] = {}
    for anchor in anchors:
        wanted.setdefault(anchor.number, []).append(anchor.hash)
    head = Head(number=0, hash=root(host))
    for one in links:
        wrong = _wrong(host, head, one)
        if wrong is not None:
            return wrong
        head = Head(number=one.number, hash=one.hash)
        if any(hashed != head.hash for hashed in wanted.get(head.number, ())):
            return Broken(number=head.number, what="its hash is not the one that was anchored: entries were rewritten")
    beyond = max(wanted, default=0)
    if beyond > head.number:
        return Broken(number=head.number + 1, what=f"it is missing, with all up to entry {beyond}: the end was cut off")
    if 0 in wanted or any(number < 0 for number in wanted):
        return Broken(number=0, what="the anchor file names an entry that cannot be")
    return head


def _wrong(host: str, head: Head, one: Link) -> Broken | None:
    number = head.number + 1
    if one.number != number:
        found = f"entry {one.number} stands in its place"
        return Broken(number=number, what=f"{found}: an entry was removed, inserted, doubled or moved")
    try:
        said = json.loads(one.body) if isinstance(one.body, str) else None
        again = canonical(said) if isinstance(said, dict) else None
        expected = chained(head.hash, one.body)
    except (ValueError, RecursionError, TypeError):
        return Broken(number=number, what="its text is no JSON")
    if again is None or again != one.body or len(one.body.encode()) > MAX_ENTRY_BYTES:
        return Broken(number=number, what="its text is not in canonical form")
    if one.hash != expected:
        return Broken(number=number, what="its hash is not that of its text and of the entry before it")
    beside = {"host": host, "run": one.run_id, "key": one.key, "stage": one.stage, "settles": one.settles}
    differs = [name for name, value in (beside | {"number": number}).items() if said.get(name) != value]
    if not differs:
        return None
    return Broken(number=number, what=f"its text and what it is looked up by differ in {differs[0]}")


# --- files ---


def export_line(one: Link) -> str:
    """The link as one line of an export, without its newline."""
    return canonical({"entry": one.body, "hash": one.hash})


def exported(lines: Iterable[str]) -> Iterator[Link]:
    """The links of an export. What is no link comes as one that cannot be verified."""
    for number, line in enumerate(lines, 1):
        yield _exported(number, line)


def _exported(number: int, line: str) -> Link:
    nothing = Link(host="", number=number, run_id="", key="", stage="", settles=0, body="", hash="")
    try:
        outer = json.loads(line)
        said = json.loads(outer["entry"])
        one = Link(
            host=said["host"],
            number=said["number"],
            run_id=said["run"],
            key=said["key"],
            stage=said["stage"],
            settles=said["settles"],
            body=outer["entry"],
            hash=outer["hash"],
        )
        same = export_line(one) == line
    except (ValueError, RecursionError, TypeError, KeyError):
        return nothing
    return one if same else nothing


def anchor_line(head: Head) -> str:
    """A head as a line of the anchor file, with its newline."""
    return f"{head.number} {head.hash}\n"


def anchors_of(text: str) -> tuple[Head, ...]:
    """The heads of an anchor file; a last line without its newline is one that a crash cut off.

    A line that is no head comes as one that no chain has.
    """
    return tuple(_anchor(line) for line in text.split("\n")[:-1])


def _anchor(line: str) -> Head:
    number, _, hashed = line.partition(" ")
    readable = number.isascii() and number.isdigit() and len(number) < 19
    return Head(number=int(number), hash=hashed) if readable else Head(number=0, hash=line)


def head_of(text: str) -> Head | None:
    """A head as a pull request tells it, NUMBER:HASH; None where it is none."""
    number, _, hashed = text.strip().partition(":")
    one = _anchor(f"{number} {hashed}")
    return one if one.number and re.fullmatch("[0-9a-f]{64}", hashed) else None
