"""What the people of this host may do in the local forge: talk, report checks, ask for them, close, look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from runner.adapters.forge_house import USERNAME, ForgeHouse
from runner.adapters.forge_records import CheckRecord, CommentRecord
from runner.adapters.forge_remarks import answered, blob_of, find, lines_of, remarks_of, the_check
from runner.adapters.git_plumbing import BareRepository, branch_ref
from runner.errors import BadIntent, NotPossible
from runner.model import CheckState, PullState, RequiredCheck
from runner.remarks import RemarkKind, Stance
from runner.talk import MAX_LOG_BYTES, Said, Talk

_MAX_BODY: Final = 64 * 1024
_MAX_REQUIRED: Final = 50
_MAX_WORD: Final = 200
_MAX_SUMMARY: Final = 1000
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


class ForgeOperator:
    """Each method raises UnknownRepo, NotPossible, BadIntent or ForgeDown."""

    def __init__(self, house: ForgeHouse) -> None:
        """Act in that house."""
        self._house = house

    @contextmanager
    def still(self) -> Iterator[tuple[BareRepository, ...]]:
        """Every repository there is, in none of which a pull request is merged meanwhile; pushes go on."""
        with ExitStack() as stack:
            names = sorted(record.repo for record in self._house.store.repos())
            for name in names:
                stack.enter_context(self._house.only_one(name))
            yield tuple(bare for name in names if (bare := self._house.bare(name)).exists)

    def comment(
        self,
        repo: str,
        number: int,
        text: str,
        *,
        path: str | None = None,
        line: int | None = None,
        reply: str | None = None,
        author: str = "operator",
    ) -> str:
        """Id of a new remark: in the conversation, at a line of a file of the head, or in the thread of `reply`."""
        if not text.strip():
            raise BadIntent("A comment needs a text; write one.")
        new = self._new(RemarkKind.COMMENT, text, author)
        head = self._house.read(self._house.pull_record(repo, number)).head_sha
        talk = self._house.store.talk
        if (path is None) != (line is None) or (path is not None and reply is not None):
            raise BadIntent("A line goes with a path, an answer with neither; use --path with --line, or --reply.")
        if path is not None and line is not None:
            self._check_line(repo, head, path, line)
            new = self._new(RemarkKind.LINE, text, author, path=path, line=line, sha=head)
        elif reply is not None:
            if find(talk, repo, number, reply) is None:
                raise NotPossible(f"Pull request {number} has no remark {reply[:80]!r}; `forge show` lists them.")
            new = answered(talk, repo, number, new, reply)
        return f"{new.kind}:{talk.say(repo, number, new)}"

    def review(self, repo: str, number: int, stance: Stance, text: str = "", *, author: str = "operator") -> str:
        """Id of a new review of the pull request as a whole. One that only comments needs a text."""
        if stance is Stance.COMMENTED and not text.strip():
            raise BadIntent("A review that neither approves nor asks needs a text; write one.")
        self._house.pull_record(repo, number)
        new = self._new(RemarkKind.REVIEW, text.strip() and text, author, stance=stance)
        return f"{new.kind}:{self._house.store.talk.say(repo, number, new)}"

    def report(
        self,
        repo: str,
        sha: str,
        name: str,
        state: CheckState,
        *,
        source: str = "operator",
        summary: str = "",
        log: bytes = b"",
    ) -> None:
        """Have that check of a commit in that state. Of a log its last 256 KiB are kept, as UTF-8."""
        self._house.known(repo)
        if not _COMMIT.fullmatch(sha):
            raise BadIntent("A check is of a commit; give its 40 hex digits.")
        if not _is_word(source) or source == USERNAME:
            raise BadIntent(f"A check's source is one line, and {USERNAME!r} is the daemon's own; name another.")
        if not _is_word(name):
            raise BadIntent(f"A check's name is one line of up to {_MAX_WORD} characters; choose another.")
        with self._house.faults_of_forge():
            if not self._house.bare(repo).holds(sha):
                raise NotPossible(f"{repo} has no commit {sha[:12]}; push it first.")
        kept = log[-MAX_LOG_BYTES:].decode("utf-8", "replace")
        record = CheckRecord(source=source, name=name, state=state, summary=summary[:_MAX_SUMMARY], log=kept)
        self._house.store.talk.set_check(repo, sha, record)

    def require(self, repo: str, branch: str, required: tuple[RequiredCheck, ...]) -> None:
        """Have the branch require these checks and no others."""
        self._house.known(repo)
        with self._house.faults_of_forge():
            branch_ref(branch)
        words = {word for check in required for word in (check.name, check.source or "any")}
        if len(required) > _MAX_REQUIRED or not all(_is_word(word) for word in words):
            raise BadIntent(f"A branch may require {_MAX_REQUIRED} checks, each named in one line; shorten the list.")
        self._house.store.talk.require(repo, branch, required)

    def label(self, repo: str, number: int, name: str, *, drop: bool = False) -> None:
        """Have the label on the pull request, or have it off."""
        self._house.pull_record(repo, number)
        if not _is_word(name):
            raise BadIntent(f"A label is one line of up to {_MAX_WORD} characters; choose another.")
        if drop:
            self._house.store.label(repo, number, drop=(name,))
        else:
            self._house.store.label(repo, number, add=(name,))

    def close(self, repo: str, number: int) -> None:
        """The pull request is closed without a merge; its branches stay as they are."""
        self._house.known(repo)
        with self._house.only_one(repo):
            pull = self._house.read(self._house.pull_record(repo, number))
            if pull.state is PullState.MERGED:
                raise NotPossible(f"Pull request {number} is merged already; revert it with another one.")
            # The head stays reachable for the diff after its branch has moved on.
            self._house.bare(repo).point(f"refs/pull/{number}/head", pull.head_sha)
            self._house.store.close(repo, number, head_sha=pull.head_sha, base_sha=pull.base_sha)

    def talk(self, repo: str, number: int) -> Talk:
        """Labels, checks of the head, and the newest 1000 things said, ours included."""
        record = self._house.pull_record(repo, number)
        head = self._house.read(record).head_sha
        memory = self._house.store.talk
        comments = memory.comments(repo, number)
        with self._house.faults_of_forge():
            remarks = remarks_of(comments, self._house.bare(repo), head)
        said = tuple(
            Said(
                remark=remark,
                ours=comment.key is not None,
                answers=None if comment.thread is None else f"{RemarkKind.LINE}:{comment.thread}",
            )
            for comment, remark in zip(comments, remarks, strict=True)
        )
        checks = tuple(the_check(head, check) for check in memory.checks(repo, head))
        return Talk(labels=record.labels, checks=checks, said=said)

    def _new(
        self,
        kind: RemarkKind,
        text: str,
        author: str,
        *,
        stance: Stance = Stance.COMMENTED,
        path: str | None = None,
        line: int | None = None,
        sha: str | None = None,
    ) -> CommentRecord:
        if not _is_word(author) or author == USERNAME:
            raise BadIntent(f"An author is one line, and {USERNAME!r} is the daemon itself; name another.")
        if len(text) > _MAX_BODY:
            raise BadIntent(f"A comment has up to {_MAX_BODY} characters; shorten it.")
        return CommentRecord(
            id=0,
            kind=kind,
            author=author,
            body=text,
            at=self._house.now(),
            stance=stance,
            path=path,
            line=line,
            sha=sha,
        )

    def _check_line(self, repo: str, head: str, path: str, line: int) -> None:
        with self._house.faults_of_forge():
            bare = self._house.bare(repo)
            blob = blob_of(bare, head, path)
            lines = None if blob is None else lines_of(bare, blob)
        if lines is None:
            raise NotPossible(f"The head has no file {path[:200]!r}; name one of its files.")
        if not 1 <= line <= lines:
            raise NotPossible(f"{path[:200]!r} has {lines} lines; name one of them.")


def _is_word(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and len(text) <= _MAX_WORD
