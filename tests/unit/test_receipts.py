"""The chain of receipts: whatever is changed in it shows, and shows where it is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.receipts import MAX_ENTRY_BYTES, Broken, Entry, Head, Kind, Link, Stage, body_of, canonical, link, root
from runner.receipts_check import anchor_line, anchors_of, export_line, exported, head_of, verified

HOST = "here"
TEXTS = st.text(max_size=40)
DETAILS = st.dictionaries(TEXTS, TEXTS | st.integers(-(2**53), 2**53), max_size=4)


def entry(number: int, detail: dict[str, str | int] | None = None, host: str = HOST) -> Entry:
    return Entry(
        host=host,
        number=number,
        at_ms=1_000 + number,
        kind=Kind.PUSH,
        stage=Stage.DONE,
        key=f"{number:064x}",
        run_id="widgets-1-aaaaaa",
        detail={"commit": f"c{number}"} if detail is None else detail,
    )


def chain_of(details: list[dict[str, str | int]], host: str = HOST) -> list[Link]:
    links: list[Link] = []
    head = Head(number=0, hash=root(host))
    for number, detail in enumerate(details, 1):
        links.append(link(head, entry(number, detail, host)))
        head = Head(number=number, hash=links[-1].hash)
    return links


def heads(links: list[Link]) -> list[Head]:
    return [Head(number=one.number, hash=one.hash) for one in links]


def chained_anew(links: list[Link]) -> list[Link]:
    """What somebody would leave who changes an entry and has read how the chain is made."""
    made: list[Link] = []
    head = Head(number=0, hash=root(HOST))
    for one in links:
        said = json.loads(one.body)
        body = Entry(
            host=HOST,
            number=head.number + 1,
            at_ms=said["at_ms"],
            kind=Kind(said["kind"]),
            stage=Stage(said["stage"]),
            key=said["key"],
            run_id=said["run"],
            detail=said["detail"],
        )
        made.append(link(head, body))
        head = Head(number=made[-1].number, hash=made[-1].hash)
    return made


CHAINS = st.lists(DETAILS, min_size=1, max_size=8).map(chain_of)


@given(CHAINS)
def test_a_chain_that_nobody_touched_verifies_to_its_head_with_all_its_anchors(links: list[Link]) -> None:
    assert verified(HOST, links, heads(links)) == heads(links)[-1]


def test_a_chain_without_entries_verifies() -> None:
    assert verified(HOST, ()) == Head(number=0, hash=root(HOST))


@given(CHAINS, st.data())
def test_any_byte_of_an_entry_that_is_changed_is_told_at_that_entry(links: list[Link], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(links) - 1))
    field = data.draw(st.sampled_from(["body", "hash", "run_id", "key", "stage"]))
    stored = bytearray(getattr(links[at], field).encode("utf-8"))
    place = data.draw(st.integers(0, len(stored) - 1))
    stored[place] ^= data.draw(st.integers(1, 255))
    links[at] = replace(links[at], **{field: stored.decode("utf-8", "replace")})
    found = verified(HOST, links)
    assert isinstance(found, Broken)
    assert found.number == at + 1


@given(CHAINS, st.data())
def test_an_intent_that_an_entry_is_made_to_settle_is_told(links: list[Link], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(links) - 1))
    links[at] = replace(links[at], settles=data.draw(st.integers(1, 2**60)))
    found = verified(HOST, links)
    assert isinstance(found, Broken)
    assert found.number == at + 1


@given(CHAINS, st.data())
def test_a_removed_entry_is_told_at_its_place(links: list[Link], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(links) - 1))
    anchors = heads(links)
    del links[at]
    found = verified(HOST, links, anchors)
    assert isinstance(found, Broken)
    assert found.number == at + 1


@given(CHAINS, st.data())
def test_a_doubled_entry_is_told_after_the_one_it_doubles(links: list[Link], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(links) - 1))
    links.insert(at + 1, links[at])
    found = verified(HOST, links)
    assert isinstance(found, Broken)
    assert found.number == at + 2


@given(st.lists(DETAILS, min_size=2, max_size=8).map(chain_of), st.data())
def test_two_entries_that_changed_places_are_told_at_the_first(links: list[Link], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(links) - 2))
    second = data.draw(st.integers(first + 1, len(links) - 1))
    links[first], links[second] = links[second], links[first]
    found = verified(HOST, links)
    assert isinstance(found, Broken)
    assert found.number == first + 1


@given(CHAINS, st.data())
def test_an_inserted_entry_is_told_where_it_was_inserted(links: list[Link], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(links) - 1))
    before = Head(number=at, hash=links[at - 1].hash if at else root(HOST))
    links.insert(at, link(before, entry(at + 1, {"forged": 1, "by": "somebody"})))
    found = verified(HOST, links)
    assert isinstance(found, Broken)
    assert found.number in {at + 1, at + 2}, "it stands where another did, or the other now stands behind it"


@given(st.lists(DETAILS, min_size=2, max_size=8).map(chain_of), st.data())
def test_an_end_that_was_cut_off_is_told_where_an_anchor_lies_in_it(links: list[Link], data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(links) - 1))
    anchored = data.draw(st.integers(kept, len(links) - 1))
    found = verified(HOST, links[:kept], heads(links)[anchored : anchored + 1])
    assert isinstance(found, Broken)
    assert found.number == kept + 1
    assert "cut off" in found.what


@given(st.lists(DETAILS, min_size=2, max_size=8).map(chain_of), st.data())
def test_a_chain_that_was_made_anew_does_not_meet_its_anchors(links: list[Link], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(links) - 1))
    said = json.loads(links[at].body)
    said["detail"]["forged"] = "yes"
    forged = chained_anew([*links[:at], replace(links[at], body=canonical(said)), *links[at + 1 :]])
    assert isinstance(verified(HOST, forged), Head), "without an anchor nobody could tell"
    found = verified(HOST, forged, heads(links))
    assert isinstance(found, Broken)
    assert found.number == at + 1
    assert "anchored" in found.what


def test_another_hosts_chain_does_not_pass_for_this_ones() -> None:
    found = verified(HOST, chain_of([{"commit": "c"}], host="there"))
    assert isinstance(found, Broken)
    assert found.number == 1


def test_an_entry_that_is_chained_to_another_hosts_root_is_told() -> None:
    found = verified(HOST, [link(Head(number=0, hash=root("there")), entry(1))])
    assert isinstance(found, Broken)
    assert found.number == 1


@given(DETAILS)
def test_an_entry_in_another_spelling_is_not_the_entry(detail: dict[str, str | int]) -> None:
    one = chain_of([detail])[0]
    loose = json.dumps(json.loads(one.body))
    found = verified(HOST, [replace(one, body=loose)])
    assert isinstance(found, Broken)
    assert "canonical" in found.what


def test_an_entry_that_nests_without_end_is_told_and_not_followed() -> None:
    one = chain_of([{}])[0]
    found = verified(HOST, [replace(one, body="[" * 200_000)])
    assert isinstance(found, Broken)
    assert found.number == 1


@given(st.dictionaries(st.text(), st.text(max_size=5000) | st.integers(), max_size=60))
@example({f"name{number:02}": "\u2026" * 5000 for number in range(60)})
def test_no_detail_makes_an_entry_too_large(detail: dict[str, str | int]) -> None:
    assert len(body_of(entry(1, detail)).encode("utf-8")) <= MAX_ENTRY_BYTES


def test_a_text_that_is_no_unicode_is_still_told() -> None:
    body = body_of(entry(1, {"branch": "\udc80"}))
    assert isinstance(json.loads(body)["detail"]["branch"], str)
    body.encode("utf-8")


# --- exports and anchors ---


@given(CHAINS)
def test_an_export_holds_the_chain(links: list[Link]) -> None:
    assert list(exported(export_line(one) for one in links)) == links


@given(CHAINS, st.data())
def test_any_byte_of_an_export_that_is_changed_is_told_at_its_line(links: list[Link], data: st.DataObject) -> None:
    lines = [export_line(one) for one in links]
    at = data.draw(st.integers(0, len(lines) - 1))
    stored = bytearray(lines[at].encode("utf-8"))
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    lines[at] = stored.decode("utf-8", "replace")
    found = verified(HOST, exported(lines))
    assert isinstance(found, Broken)
    assert found.number == at + 1


@given(st.text(max_size=200))
def test_no_line_of_an_export_is_a_fault(line: str) -> None:
    assert isinstance(verified(HOST, exported([line])), Broken)


@given(CHAINS)
def test_anchors_are_read_as_they_were_written(links: list[Link]) -> None:
    assert list(anchors_of("".join(anchor_line(one) for one in heads(links)))) == heads(links)


def test_an_anchor_that_a_crash_cut_off_is_none() -> None:
    whole = Head(number=16, hash="a" * 64)
    assert anchors_of(anchor_line(whole) + "32 bb") == (whole,)


@pytest.mark.parametrize("line", ["", "sixteen aa", "-1 aa", "0 aa", "\u0661 aa", "9" * 5000 + " aa"])
def test_an_anchor_that_is_none_is_told(line: str) -> None:
    assert isinstance(verified(HOST, chain_of([{}]), anchors_of(line + "\n")), Broken)


def test_a_head_is_read_as_a_pull_request_tells_it() -> None:
    assert head_of(f" 41:{'a' * 64}\n") == Head(number=41, hash="a" * 64)
    assert [head_of(text) for text in ("", "41", ":aa", "x:aa", "0:aa")] == [None] * 5
