"""What the local forge has written down of checks and comments, as the runner's values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from runner.adapters.forge_records import CheckRecord, CommentRecord, ForgeTalk
from runner.adapters.git_plumbing import BareRepository
from runner.model import Check
from runner.remarks import Remark, RemarkKind

_ID: Final = re.compile(r"(?:comment|review|line):([0-9]{1,18})")


def the_check(sha: str, record: CheckRecord) -> Check:
    """The check of that commit; its ref is the commit."""
    return Check(name=record.name, state=record.state, summary=record.summary, source=record.source, ref=sha)


def remarks_of(comments: Iterable[CommentRecord], bare: BareRepository, head: str) -> tuple[Remark, ...]:
    """The comments as they are to be read at `head`: a line is gone where its file has changed since.

    Raises CheckoutFault.
    """
    blobs: dict[tuple[str, str], str | None] = {}

    def blob(commit: str, path: str) -> str | None:
        if (commit, path) not in blobs:
            blobs[commit, path] = blob_of(bare, commit, path)
        return blobs[commit, path]

    def line_of(comment: CommentRecord) -> int | None:
        if comment.path is None or comment.sha is None or comment.sha == head:
            return comment.line
        then = blob(comment.sha, comment.path)
        return comment.line if then is not None and then == blob(head, comment.path) else None

    return tuple(
        Remark(
            id=remark_id(comment),
            kind=comment.kind,
            author=comment.author,
            may_ask=comment.key is None,
            body=comment.body,
            at=comment.at,
            stance=comment.stance,
            path=comment.path,
            line=line_of(comment),
        )
        for comment in comments
    )


def remark_id(comment: CommentRecord) -> str:
    """What the comment is answered by."""
    return f"{comment.kind}:{comment.id}"


def answered(talk: ForgeTalk, repo: str, number: int, new: CommentRecord, remark: str | None) -> CommentRecord:
    """`new`, put into the thread of what it answers where that is a line of the diff."""
    earlier = None if remark is None else find(talk, repo, number, remark)
    if earlier is None or earlier.kind is not RemarkKind.LINE:
        return new
    return replace(
        new,
        kind=RemarkKind.LINE,
        path=earlier.path,
        line=earlier.line,
        sha=earlier.sha,
        thread=earlier.thread or earlier.id,
    )


def find(talk: ForgeTalk, repo: str, number: int, remark: str) -> CommentRecord | None:
    """The comment of that id, or None."""
    parts = _ID.fullmatch(remark)
    comment = None if parts is None else talk.comment(repo, number, int(parts[1]))
    return comment if comment is not None and remark_id(comment) == remark else None


def blob_of(bare: BareRepository, commit: str, path: str) -> str | None:
    """The id of what is at a path of a commit; None where nothing is, or the commit is gone."""
    reply = bare.ask(
        "rev-parse", "--quiet", "--verify", f"{commit}:{path}", deed="find a file", statuses=frozenset({0, 1, 128})
    )
    return reply.text() or None if reply.status == 0 else None


def lines_of(bare: BareRepository, blob: str) -> int | None:
    """How many lines a blob has; None for what is no blob (a directory)."""
    reply = bare.ask("cat-file", "blob", blob, deed="read a file", statuses=frozenset({0, 128}))
    return len(reply.out.splitlines()) if reply.status == 0 else None
