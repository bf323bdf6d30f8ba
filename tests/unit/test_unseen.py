"""A forge that cannot be asked: told of where it is for long, and never taken for a round's reason."""

from __future__ import annotations

import pytest

from runner.errors import ForgeDown, Rejected
from runner.reasons import of_the_round, unseen
from runner.unseen import Unseen

DOWN = ForgeDown("The forge is away; it is tried again.", retry_after_s=30.0)


def test_what_is_short_passes_without_a_word_however_long_ago_the_last_look_was() -> None:
    looks = Unseen()
    assert not looks.failed("a", DOWN, 5_000.0)
    assert not looks.failed("a", DOWN, 5_599.0)
    assert looks.failed("a", DOWN, 5_600.0)
    looks.seen("a")
    assert not looks.failed("a", DOWN, 5_700.0)
    assert not looks.failed("b", DOWN, 9_000.0)


@pytest.mark.parametrize("why", [Rejected("Renew it."), ForgeDown("Its limit is used up.", retry_after_s=3_600.0)])
def test_what_a_person_must_do_or_takes_long_is_told_at_once(why: Rejected | ForgeDown) -> None:
    assert Unseen().failed("a", why, 0.0)


def test_a_forge_that_is_away_is_no_reason_of_a_rounds() -> None:
    assert of_the_round(unseen("GitHub is away")) == of_the_round(None) == "the round changed nothing"
    assert of_the_round("Tier small changed nothing.") == "Tier small changed nothing."
