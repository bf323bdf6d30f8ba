"""Group I: the record of deeds and verdicts, rewritten, cut, or made to hold what it must not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from runner import receipts, receipts_check
from runner.adapters import sql_receipts, sql_schema
from runner.adapters.sql_receipts import SqlReceipts
from runner.errors import RecordsFault
from runner.receipts import ANCHOR_EVERY, MAX_ENTRY_BYTES, Broken, Deed, Detail, Kind, Link, chained, subject
from tests.attack.case import Attempt, Case, Chapter, Defence, Outcome, Stopped, Through
from tests.attack.ground import Ground
from tests.attack.receipts_world import HOST, RUN, AnyText, Kept, chained_anew, fill, kept, numbered, saying, tampered
from tests.attack.taking_out import answering, out, out_everywhere, replaced

_PUSH = Deed(kind=Kind.PUSH, key=subject("push", RUN), run_id=RUN, detail={"commit": "c1"})


def _case(defence: str, vector: str, tried: str, attempt: Attempt) -> Case:
    return Case(group="I", defence=defence, vector=vector, tried=tried, attempt=attempt)


# --- a chain that somebody wrote in ---


def _rewritten(change: Callable[[list[Link]], list[Link]], made: Kept) -> None:
    made.put(change(list(made.chain().links())))


def _altered(links: list[Link]) -> list[Link]:
    return [*links[:4], saying(links[4], detail={"commit": "f" * 40}), *links[5:]]


def _altered_and_hashed(links: list[Link]) -> list[Link]:
    other = saying(links[4], detail={"commit": "f" * 40})
    return [*links[:4], replace(other, hash=chained(links[3].hash, other.body)), *links[5:]]


def _from_another_host(made: Kept) -> None:
    there = made.chain("there")
    fill(there, range(100, 108))
    foreign = saying(replace(list(there.links())[4], host=HOST), host=HOST)
    _rewritten(lambda links: [*links[:4], foreign, *links[5:]], made)


def _two_readings(links: list[Link]) -> list[Link]:
    """The last entry names two runs: one reader takes the first, another the second."""
    last = links[-1]
    other = replace(last, body='{"run":"another-run",' + last.body[1:])
    return [*links[:-1], replace(other, hash=chained(links[-2].hash, other.body))]


def _made_anew(links: list[Link]) -> list[Link]:
    return chained_anew(_altered(links), receipts.root(HOST))


def _foreign_root(links: list[Link]) -> list[Link]:
    return chained_anew(links, receipts.root("there"))


def _cut_and_filled(made: Kept) -> None:
    made.cut(ANCHOR_EVERY - 3)
    fill(made.chain(), range(100, 110))


def _cut_after_leaving(made: Kept) -> None:
    made.chain().anchor()
    made.cut(ANCHOR_EVERY)


def _no_text(ground: Ground) -> Outcome:
    made = kept(ground, 5)
    made.sql("UPDATE receipts SET body = CAST(X'FF00FE' AS TEXT) WHERE number = 3")
    try:
        found = made.examined()
    except RecordsFault as fault:
        return Through(what=f"nobody can say any more where the chain is broken: {fault}")
    return Stopped(by=f"entry {found.number}: {found.what}") if isinstance(found, Broken) else Through(what="unseen")


def _torn(ground: Ground) -> Outcome:
    made = kept(ground, ANCHOR_EVERY)
    with made.anchors.open("ab") as file:
        file.write(b"17 abc")
    fill(made.chain(), range(100, 100 + ANCHOR_EVERY))
    found = made.examined()
    if isinstance(found, Broken):
        return Through(what=f"a sound chain is called broken: {found.what}")
    numbers = [one.number for one in made.chain().anchors()]
    return Stopped(by=f"the anchors are those of {numbers}, and the torn one is gone")


# --- what an entry holds ---


def _recorded(detail: Detail, ground: Ground) -> Outcome:
    made = kept(ground)
    try:
        made.chain().record(replace(_PUSH, detail=detail))
    except UnicodeError as fault:
        return Through(what=f"a name keeps the deed from being recorded: {fault}")
    (one,) = made.chain().links()
    size = len(one.body.encode())
    if size > MAX_ENTRY_BYTES:
        return Through(what=f"one entry takes {size} bytes")
    return Stopped(by=f"the entry has {size} bytes")


def _text_alone() -> Any:
    """A chain of which the texts are examined, and not what stands beside them."""
    real = receipts_check._wrong

    def wrong(host: str, head: receipts.Head, one: Link) -> Broken | None:
        try:
            said = json.loads(one.body)
            beside = {"run_id": said["run"], "key": said["key"], "stage": said["stage"], "settles": said["settles"]}
        except (ValueError, KeyError):
            return real(host, head, one)
        return real(host, head, replace(one, **beside))

    return replaced((receipts_check, "_wrong", wrong))


_DEFENCES = (
    Defence(
        name="receipts-chained",
        sentence="Each receipt is chained to the one before it: none is altered, removed, added or moved unseen.",
        without=out(receipts_check, "chained", answering(AnyText())),
    ),
    Defence(
        name="receipts-one-spelling",
        sentence="A receipt has one spelling, so it has one reading.",
        without=out(receipts_check, "canonical", answering(AnyText())),
    ),
    Defence(
        name="receipts-beside-the-text",
        sentence="What a receipt is looked up by is what its text says.",
        without=_text_alone,
    ),
    Defence(
        name="receipts-rooted",
        sentence="A chain begins with its host's name: none passes for another host's.",
        without=out_everywhere(receipts.root, answering("0" * 64)),
    ),
    Defence(
        name="receipts-anchors-read",
        sentence="The chain has to meet its anchors.",
        without=out(SqlReceipts, "anchors", answering(())),
    ),
    Defence(
        name="receipts-anchored",
        sentence="The head is written beside the records every few entries.",
        without=out(SqlReceipts, "_anchor", answering(None)),
    ),
    Defence(
        name="receipts-anchored-at-the-end",
        sentence="The head is anchored when the daemon leaves.",
        without=out(SqlReceipts, "anchor", answering(None)),
    ),
    Defence(
        name="receipts-any-bytes",
        sentence="Whatever bytes stand in the record, the place is told.",
        without=out(sql_receipts, "_raw", lambda _dialect: list(sql_schema.receipts.c)),
    ),
    Defence(
        name="receipts-torn-anchor",
        sentence="An anchor that a crash cut off raises no false alarm and hides no later one.",
        without=out(sql_receipts, "_drop_the_torn", answering(None)),
    ),
    Defence(
        name="receipts-bounded",
        sentence="A receipt is small, and no name keeps it from being given.",
        without=out(receipts, "bounded", dict),
    ),
)

_CASES = (
    *(
        _case("receipts-chained", vector, tried, partial(tampered, partial(_rewritten, change), 8))
        for vector, tried, change in (
            ("altered", "say that another commit was judged", _altered),
            ("altered-and-hashed", "and give the entry a hash that fits", _altered_and_hashed),
            ("removed", "take an entry out and close the gap", lambda links: numbered([*links[:3], *links[4:]])),
            ("inserted", "put an entry in between", lambda links: numbered([*links[:4], links[2], *links[4:]])),
            ("moved", "have two entries change places", lambda links: numbered([links[1], links[0], *links[2:]])),
        )
    ),
    _case(
        "receipts-chained",
        "from-another-host",
        "put another host's entry in the place of ours",
        partial(tampered, _from_another_host, 8),
    ),
    _case(
        "receipts-one-spelling",
        "two-readings",
        "name two runs in one entry",
        partial(tampered, partial(_rewritten, _two_readings), 5),
    ),
    *(
        _case(
            "receipts-beside-the-text",
            vector,
            tried,
            partial(tampered, lambda made, to=to: made.sql(to), 5),
        )
        for vector, tried, to in (
            (
                "hidden-from-its-run",
                "file an entry under another run",
                "UPDATE receipts SET run_id = 'another-run' WHERE number = 3",
            ),
            ("told-as-refused", "file a deed as refused", "UPDATE receipts SET stage = 'refused' WHERE number = 3"),
        )
    ),
    _case(
        "receipts-rooted",
        "foreign-root",
        "begin our chain where another host's begins",
        partial(tampered, partial(_rewritten, _foreign_root), 5),
    ),
    _case(
        "receipts-anchors-read",
        "made-anew",
        "alter an entry and make the whole chain anew",
        partial(tampered, partial(_rewritten, _made_anew), ANCHOR_EVERY),
    ),
    _case(
        "receipts-anchored",
        "cut",
        "cut the end off",
        partial(tampered, lambda made: made.cut(9), ANCHOR_EVERY),
    ),
    _case(
        "receipts-anchored",
        "cut-and-filled",
        "cut the end off and have others grow in its place",
        partial(tampered, _cut_and_filled, ANCHOR_EVERY),
    ),
    _case(
        "receipts-anchored-at-the-end",
        "cut-while-away",
        "cut off the last entries while the daemon is away",
        partial(tampered, _cut_after_leaving, ANCHOR_EVERY + 3),
    ),
    _case("receipts-any-bytes", "no-text", "write bytes that are no text", _no_text),
    _case("receipts-torn-anchor", "crash", "crash in the middle of an anchor", _torn),
    *(
        _case("receipts-bounded", vector, f"push {tried}", partial(_recorded, detail))
        for vector, tried, detail in (
            ("long", "to a branch with a name of 100 kB", {"branch": "b" * 100_000}),
            ("many", "with a thousand labels", {f"label-{number}": "x" * 90 for number in range(1000)}),
            ("no-unicode", "to a branch whose name is no Unicode", {"branch": "b\udc80"}),
        )
    ),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
