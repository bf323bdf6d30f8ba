"""A pull request of the local forge as text for a terminal; everything in it is somebody else's word."""

from __future__ import annotations

from typing import Final

from gates.text import clean, plain
from mcp_ashigaru.talk_words import at, verb, where
from runner.model import Check, Pull
from runner.talk import Said, Talk

_MARGIN: Final = "    "


def page(pull: Pull, talk: Talk) -> str:
    """Head, labels, text, checks and conversation, harmless to a terminal."""
    state = f"{pull.state}, a draft" if pull.draft else str(pull.state)
    head = [
        clean(pull.title, 300),
        f"#{pull.number}  {state}  {pull.head_branch} -> {pull.base_branch}  {pull.head_sha}",
        pull.url,
        *([f"labels: {', '.join(clean(label, 200) for label in talk.labels)}"] if talk.labels else []),
        "",
        plain(pull.body, keep_newlines=True).strip(),
    ]
    checks = ["", "checks", *(_check(check) for check in talk.checks)] if talk.checks else []
    said = [line for one in talk.said for line in ("", *_said(one))]
    return "\n".join((*head, *checks, *said))


def _check(check: Check) -> str:
    summary = f"  {clean(check.summary, 200)}" if check.summary else ""
    return f"{_MARGIN}{check.state:<8}{clean(check.name, 200)} ({clean(check.source, 200)}){summary}"


def _said(one: Said) -> list[str]:
    remark = one.remark
    place = f"  {clean(where(remark), 300)}" if remark.path is not None else ""
    thread = f"  in the thread of {one.answers}" if one.answers is not None else ""
    heading = f"{clean(remark.author, 200)} {verb(remark.stance)}  {at(remark)}  [{remark.id}]{place}{thread}"
    return [heading, *(_MARGIN + line for line in plain(remark.body, keep_newlines=True).splitlines())]
