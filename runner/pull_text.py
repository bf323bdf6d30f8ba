"""What a pull request says. It names no one, closes no issue but its own, and gives no robot a command. Pure.

The body becomes the message of the squash commit, where no markup is read, so text that others wrote is made harmless
in itself first, and only then put into a code block that it cannot leave.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from gates.text import clean, clip, plain, usd
from gates.verdict import NeedsHuman, Passed, Unjudged
from runner.digest import TierTried
from runner.receipts import Digest

MAX_TITLE_CHARS: Final = 100
MAX_BODY_BYTES: Final = 64 * 1024
_MAX_BRIEF_BYTES: Final = 12 * 1024
_MAX_FILES: Final = 60
_MAX_ROWS: Final = 20
_MAX_FINDINGS: Final = 20
_MAX_FINDING_CHARS: Final = 300
_MAX_TICKS: Final = 8

Allowing: TypeAlias = Passed | NeedsHuman | Unjudged
"""The verdicts that a candidate may be published with."""

# Mentions (also full-width), issue references in every form a forge links, and commit-message commands to CI.
_MENTION: Final = re.compile(r"[@\uff20\ufe6b](?=\S)")
_NUMBERED: Final = re.compile(r"[#\uff03\ufe5f](?=\d)")
_SHORTHAND: Final = re.compile(r"\b(gh-)(?=\d)", re.IGNORECASE)
_LINKED: Final = re.compile(r"(/(?:issues|pulls?|merge_requests|work_items|discussions)/)(?=\d)", re.IGNORECASE)
_TICKS: Final = re.compile(f"`{{{_MAX_TICKS},}}")
_BRACKETED: Final = re.compile(r"\[(?=[a-z])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class PullStory:
    """What there is to tell of a run whose candidate is to be reviewed. files: paths that changed. receipts: what makes
    a later rewrite of the run's receipts show; None: not told.
    """

    run_id: str
    issue: int
    brief: str
    files: tuple[str, ...]
    tiers: tuple[TierTried, ...]
    verdict: Allowing
    spent_micro_usd: int
    receipts: Digest | None = None


def pull_title(issue: int, brief: str) -> str:
    """One line of at most MAX_TITLE_CHARS characters: the brief's first, and the issue's number."""
    first = next((line for line in plain(brief, keep_newlines=True).splitlines() if line.strip()), "")
    suffix = f" (#{issue})"
    said = clean(harmless(clean(first, MAX_TITLE_CHARS)).lstrip("/ "), MAX_TITLE_CHARS - len(suffix))
    return (said or "Settle the issue") + suffix


def pull_body(story: PullStory) -> str:
    """The whole story in Markdown, at most MAX_BODY_BYTES bytes; `Fixes #N` is the only reference in it."""
    parts = [
        f"Fixes #{story.issue}",
        "**What was asked**\n\n" + _quoted(story.brief, _MAX_BRIEF_BYTES),
        f"**What changed** ({len(story.files)} files)\n\n" + _quoted(_listed(story.files), 8 * 1024),
        "**Who worked on it**\n\n" + _quoted(_climb(story.tiers), 4 * 1024),
        "**What the gates say**\n\n" + _quoted(_verdict(story.verdict), 14 * 1024),
        f"Run `{harmless(clean(story.run_id, 80)).replace('`', '')}`, {usd(story.spent_micro_usd)} in all.",
    ]
    if story.receipts is not None:
        parts.append(_receipts(story.receipts))
    return "\n\n".join(parts) + "\n"


def harmless(text: str) -> str:
    """The text with every mention, issue reference and commit-message command taken apart by a space."""
    for pattern, apart in (
        (_MENTION, lambda found: found[0] + " "),
        (_NUMBERED, lambda found: found[0] + " "),
        (_SHORTHAND, lambda found: found[1] + " "),
        (_LINKED, lambda found: found[1] + " "),
        (_BRACKETED, lambda found: found[0] + " "),
    ):
        text = pattern.sub(apart, text)
    return text


def _quoted(text: str, max_bytes: int) -> str:
    few_ticks = _TICKS.sub("`" * _MAX_TICKS, plain(text, keep_newlines=True))
    shown = clip(harmless(few_ticks).strip(), max_bytes)
    fence = "`" * (_MAX_TICKS + 1)
    # The quote marks keep a line from being read as a slash command or as a commit trailer.
    return "\n".join(f"> {line}".rstrip() for line in (f"{fence}text", *shown.split("\n"), fence))


def _receipts(digest: Digest) -> str:
    """In the form that `receipts verify --head` takes."""
    host = harmless(clean(digest.host, 80)).replace("`", "")
    head = f"{digest.head.number}:{digest.head.hash}"
    return f"Receipts: {digest.entries} of this run, chained on host `{host}` up to `{head}`."


def _listed(files: tuple[str, ...]) -> str:
    shown = [clean(path, 200) for path in files[:_MAX_FILES]]
    more = len(files) - len(shown)
    return "\n".join([*shown, f"and {more} more"] if more else shown)


def _climb(tiers: tuple[TierTried, ...]) -> str:
    return "\n".join(
        f"{tried.attempt}. {clean(tried.tier, 60)} ({clean(tried.model, 60)}): {tried.ending or 'not ended'}, "
        f"gates: {tried.verdict or 'not asked'}, {usd(tried.micro_usd)}"
        for tried in tiers[-_MAX_ROWS:]
    )


def _verdict(verdict: Allowing) -> str:
    match verdict:
        case Unjudged(summary=summary):
            return clean(summary, _MAX_FINDING_CHARS)
        case Passed(summary=summary, shown=shown):
            return "\n".join([clean(summary, _MAX_FINDING_CHARS), *_worth_a_look(shown)])
        case NeedsHuman(summary=summary, findings=findings, shown=shown, side_by_side=beside):
            told = [clean(summary, _MAX_FINDING_CHARS), "For a person to decide:", *_listed_findings(findings)]
            differing = ["", "Tests that differ:", "", beside] if beside else []
            return "\n".join([*told, *_worth_a_look(shown), *differing])


def _worth_a_look(shown: tuple[str, ...]) -> list[str]:
    return ["Worth a look:", *_listed_findings(shown)] if shown else []


def _listed_findings(findings: tuple[str, ...]) -> list[str]:
    return [f"- {clean(finding, _MAX_FINDING_CHARS)}" for finding in findings[:_MAX_FINDINGS]]
