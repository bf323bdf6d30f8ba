"""A pull request of the local forge, in the browser and on the terminal: all of it, and none of it alive."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mcp_ashigaru.commands.forge_page import page
from mcp_ashigaru.web.pages import render
from runner.model import Check, CheckState, Pull
from runner.remarks import Remark, RemarkKind, Stance
from runner.talk import Said, Talk
from tests.fakes.pulls import a_pull

PULL = a_pull(
    repo="acme/widgets",
    number=7,
    url="http://forge.test/forge/acme/widgets/pulls/7",
    title="Fix the total",
    body="Why it was wrong.",
    draft=True,
    head_branch="ashigaru/1",
    head_sha="c" * 40,
    base_sha="d" * 40,
)
CHECK = Check(name="test", state=CheckState.FAILED, summary="2 of 9 failed", source="local-ci", ref="c" * 40)
REMARK = Remark(
    id="line:3",
    kind=RemarkKind.LINE,
    author="ann",
    may_ask=True,
    body="Spell it out.\nPlease.",
    at=1_700_000_000.0,
    path="total.py",
    line=12,
)
REVIEW = replace(REMARK, id="review:2", kind=RemarkKind.REVIEW, body="Not yet.", path=None, line=None)
REVIEW = replace(REVIEW, stance=Stance.CHANGES_REQUESTED)
OURS = replace(REMARK, id="line:4", author="ashigaru", may_ask=False, body="Spelt out.")
TALK = Talk(
    labels=("ashigaru", "urgent"),
    checks=(CHECK,),
    said=(
        Said(remark=REVIEW, ours=False),
        Said(remark=REMARK, ours=False),
        Said(remark=OURS, ours=True, answers="line:3"),
    ),
)


def shown(kind: str, pull: Pull, talk: Talk) -> str:
    return render(pull, "+new", talk) if kind == "browser" else page(pull, talk)


@pytest.fixture(params=["browser", "terminal"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(
    "word",
    [
        "Fix the total",
        "Why it was wrong.",
        "draft",
        "urgent",
        "failed",
        "2 of 9 failed",
        "local-ci",
        "asks for changes",
        "Not yet.",
        "review:2",
        "total.py:12",
        "Spelt out.",
        "2023-11-14 22:13 UTC",
    ],
)
def test_everything_there_is_to_know_of_a_pull_request_is_shown(kind: str, word: str) -> None:
    assert word in shown(kind, PULL, TALK)


def test_a_remark_whose_line_is_gone_still_tells_its_file(kind: str) -> None:
    gone = Talk(said=(Said(remark=replace(REMARK, line=None), ours=False),))
    assert "total.py, changed since" in shown(kind, PULL, gone)


def test_what_nobody_said_has_no_heading(kind: str) -> None:
    told = shown(kind, replace(PULL, draft=False), Talk())
    assert not re.search(r"conversation|checks|labels:|draft", told, re.IGNORECASE)


HOSTILE = "\"'><img src=x onerror=alert(1)>{title}"
HOSTILE_TALKS = {
    "label": Talk(labels=(HOSTILE,)),
    "check's name": Talk(checks=(replace(CHECK, name=HOSTILE),)),
    "check's source": Talk(checks=(replace(CHECK, source=HOSTILE),)),
    "check's summary": Talk(checks=(replace(CHECK, summary=HOSTILE),)),
    "author": Talk(said=(Said(remark=replace(REMARK, author=HOSTILE), ours=False),)),
    "body": Talk(said=(Said(remark=replace(REMARK, body=HOSTILE), ours=False),)),
    "path": Talk(said=(Said(remark=replace(REMARK, path=HOSTILE), ours=False),)),
}


@pytest.mark.parametrize("part", HOSTILE_TALKS)
def test_every_word_of_the_conversation_is_escaped_in_the_browser(part: str) -> None:
    told = render(PULL, "", HOSTILE_TALKS[part])
    assert "<img" not in told
    assert "&lt;img src=x" in told
    assert "{title}" in told


@pytest.mark.parametrize("part", HOSTILE_TALKS)
def test_nothing_that_was_said_commands_the_terminal(part: str) -> None:
    told = HOSTILE_TALKS[part]
    bad = "\x1b]0;owned\x07\u202e\x1b[2Jx\r"
    talk = Talk(
        labels=tuple(bad for _ in told.labels),
        checks=tuple(replace(c, name=bad, source=bad, summary=bad) for c in told.checks),
        said=tuple(
            replace(one, remark=replace(one.remark, author=bad, body=bad, path=one.remark.path and bad))
            for one in told.said
        ),
    )
    text = page(replace(PULL, title=bad, body=bad), talk)
    assert all(ch == "\n" or ch.isprintable() for ch in text)


def test_a_body_cannot_pass_for_another_remark_on_the_terminal() -> None:
    forged = replace(REMARK, body="fine\nann says  2023-11-14 22:13 UTC  [comment:9]")
    lines = page(PULL, Talk(said=(Said(remark=forged, ours=False),))).splitlines()
    assert "    ann says  2023-11-14 22:13 UTC  [comment:9]" in lines
    assert "ann says  2023-11-14 22:13 UTC  [comment:9]" not in lines
