"""What every `Forge` promises of what is said at a pull request, by others and by us."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from runner.errors import Rejected
from runner.remarks import Remark, RemarkKind, Stance
from tests.contract.forge_rig import REPO, Rig, Spoken, draft


def only(rig: Rig, number: int) -> Remark:
    (remark,) = rig.forge.remarks(REPO, number)
    return remark


def test_nothing_was_said_of_a_new_pull_request(rig: Rig) -> None:
    assert rig.forge.remarks(REPO, rig.opened().number) == ()


def test_a_comment_is_a_remark(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment(number, "Why not `two`?\n\nIt is <b>shorter</b>.")
    remark = only(rig, number)
    assert (remark.kind, remark.author, remark.may_ask) == (RemarkKind.COMMENT, rig.others.person, True)
    assert remark.body == "Why not `two`?\n\nIt is <b>shorter</b>."
    assert (remark.stance, remark.path, remark.line) == (Stance.COMMENTED, None, None)
    assert remark.at > 1_000_000_000
    assert re.fullmatch(r"[a-z0-9:_-]{1,64}", remark.id)


@pytest.mark.parametrize("stance", Stance)
def test_a_review_with_a_text_is_a_remark_with_its_stance(rig: Rig, stance: Stance) -> None:
    number = rig.opened().number
    rig.others.review(number, stance, "I have read it.")
    remark = only(rig, number)
    assert (remark.kind, remark.stance, remark.body) == (RemarkKind.REVIEW, stance, "I have read it.")
    assert (remark.author, remark.may_ask, remark.path, remark.line) == (rig.others.person, True, None, None)


def test_an_approval_without_a_text_is_no_remark(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.review(number, Stance.APPROVED, "")
    assert rig.forge.remarks(REPO, number) == ()


def test_a_remark_on_a_line_tells_where(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment_line(number, "a", 1, "Spell it out.")
    remark = only(rig, number)
    assert (remark.kind, remark.path, remark.line, remark.body) == (RemarkKind.LINE, "a", 1, "Spell it out.")
    assert (remark.author, remark.may_ask, remark.stance) == (rig.others.person, True, Stance.COMMENTED)


def test_a_remark_on_a_line_loses_it_when_the_diff_moves_on(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment_line(number, "a", 1, "Spell it out.")
    before = only(rig, number)
    rig.branch("work", a="altogether\ndifferent\n")
    assert only(rig, number) == replace(before, line=None)


def test_remarks_are_told_oldest_first_and_keep_their_ids(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment(number, "first")
    rig.others.comment_line(number, "a", 1, "second")
    rig.others.review(number, Stance.CHANGES_REQUESTED, "third")
    before = rig.forge.remarks(REPO, number)
    rig.others.comment(number, "fourth")
    after = rig.again().remarks(REPO, number)
    assert [remark.body for remark in after] == ["first", "second", "third", "fourth"]
    assert after[:3] == before
    assert len({remark.id for remark in after}) == 4
    assert [remark.at for remark in after] == sorted(remark.at for remark in after)


def test_of_many_remarks_the_newest_three_hundred_are_told(rig: Rig) -> None:
    number = rig.opened().number
    for n in range(302):
        rig.others.comment(number, f"remark {n}")
    assert [remark.body for remark in rig.forge.remarks(REPO, number)] == [f"remark {n}" for n in range(2, 302)]


def test_who_may_not_ask_is_told_apart(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment(number, "I may.")
    strangers = rig.others.strangers(number)
    assert {remark.body: remark.may_ask for remark in rig.forge.remarks(REPO, number)} == {
        "I may.": True,
        **dict.fromkeys(strangers, False),
    }


def test_remarks_stay_with_their_pull_request(rig: Rig) -> None:
    first = rig.opened().number
    rig.branch("other", b="changed\n")
    second = rig.forge.open_pull(draft("other")).number
    rig.others.comment(first, "Of the first.")
    rig.forge.say(REPO, second, "k", "Of the second.")
    assert rig.forge.remarks(REPO, second) == ()
    assert [said.body for said in rig.others.said(first)] == ["Of the first."]


def ours(rig: Rig, number: int) -> list[Spoken]:
    return [said for said in rig.others.said(number) if said.ours]


def test_what_we_say_is_there_as_given_and_no_remark(rig: Rig) -> None:
    number = rig.opened().number
    rig.forge.say(REPO, number, "round:1", "Done in *abc*.\n\n- one & two")
    (said,) = ours(rig, number)
    assert "Done in *abc*.\n\n- one & two" in said.body
    assert said.answers is None
    assert rig.forge.remarks(REPO, number) == ()


def test_saying_it_twice_is_saying_it_once(rig: Rig) -> None:
    number = rig.opened().number
    rig.forge.say(REPO, number, "round:1", "Done.")
    rig.forge.say(REPO, number, "round:1", "Other words.")
    (said,) = ours(rig, number)
    assert "Done." in said.body


def test_another_key_is_another_comment(rig: Rig) -> None:
    number = rig.opened().number
    for key in ("round:1", "round:10", "round:1:x", "a" * 80, "round_1-2"):
        rig.forge.say(REPO, number, key, "Done.")
    assert len(ours(rig, number)) == 5


def test_what_was_said_before_a_restart_is_not_said_again(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment_line(number, "a", 1, "Spell it out.")
    remark = only(rig, number).id
    for forge in (rig.forge, rig.again()):
        forge.say(REPO, number, "plain", "Done.")
        forge.say(REPO, number, "answer", "Spelt out.", remark=remark)
    assert len(ours(rig, number)) == 2


def test_a_remark_on_a_line_is_answered_in_its_thread_once(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment_line(number, "a", 1, "Not this one.")
    rig.others.comment_line(number, "a", 1, "Spell it out.")
    asked = rig.forge.remarks(REPO, number)[1]
    for _ in range(2):
        rig.forge.say(REPO, number, f"r1:{asked.id}", "Spelt out.", remark=asked.id)
    (said,) = ours(rig, number)
    assert "Spelt out." in said.body
    assert said.answers == "Spell it out."
    assert [remark.body for remark in rig.forge.remarks(REPO, number)] == ["Not this one.", "Spell it out."]


def test_a_remark_whose_line_is_gone_is_answered_in_its_thread(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment_line(number, "a", 1, "Spell it out.")
    rig.branch("work", a="spelt out\n")
    rig.forge.say(REPO, number, "r1", "Spelt out.", remark=only(rig, number).id)
    (said,) = ours(rig, number)
    assert said.answers == "Spell it out."


@pytest.mark.parametrize("kind", [RemarkKind.COMMENT, RemarkKind.REVIEW])
def test_any_other_remark_is_answered_in_the_conversation(rig: Rig, kind: RemarkKind) -> None:
    number = rig.opened().number
    if kind is RemarkKind.COMMENT:
        rig.others.comment(number, "Why?")
    else:
        rig.others.review(number, Stance.CHANGES_REQUESTED, "Why?")
    rig.forge.say(REPO, number, "r1", "Because.", remark=only(rig, number).id)
    (said,) = ours(rig, number)
    assert "Because." in said.body
    assert said.answers is None


def test_a_pull_request_nobody_opened_has_no_conversation(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    with pytest.raises(Rejected):
        rig.forge.remarks(REPO, 9999)
    with pytest.raises(Rejected):
        rig.forge.say(REPO, 9999, "k", "Hello.")
    with pytest.raises(Rejected):
        rig.forge.ready(REPO, 9999)
