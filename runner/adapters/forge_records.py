"""What the local forge remembers beside its git repositories: the records, and the contract of the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from runner.model import CheckState, PullDraft, PullState, RequiredCheck
from runner.remarks import RemarkKind, Stance


@dataclass(frozen=True, kw_only=True)
class RepoRecord:
    """One repository. source: where it was added from."""

    repo: str
    source: str
    default_branch: str


@dataclass(frozen=True, kw_only=True)
class IssueRecord:
    """One issue."""

    repo: str
    number: int
    title: str
    body: str


@dataclass(frozen=True, kw_only=True)
class PullRecord:
    """One pull request as last written down.

    head_sha and base_sha: as of the opening, or of the merge once there is one. merging_sha: the squash commit that a
    merge is about to put, or has put, on the base branch; merged_sha: the same once it is known to be there.
    """

    repo: str
    number: int
    title: str
    body: str
    draft: bool
    state: PullState
    head_branch: str
    base_branch: str
    head_sha: str
    base_sha: str
    merging_sha: str | None = None
    merged_sha: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CheckRecord:
    """The latest of one check on a commit, by (source, name). log: the end of what it printed, or ""."""

    source: str
    name: str
    state: CheckState
    summary: str
    log: str = ""


@dataclass(frozen=True, kw_only=True)
class CommentRecord:
    """One thing said of a pull request. key: of ours only; people's have None.

    sha: the head that a line was of. thread: the id of the comment that began the thread.
    """

    id: int
    kind: RemarkKind
    author: str
    body: str
    at: float
    key: str | None = None
    stance: Stance = Stance.COMMENTED
    path: str | None = None
    line: int | None = None
    sha: str | None = None
    thread: int | None = None


class ForgeStore(Protocol):
    """The forge's memory. Writes raise UnknownRepo for a repository that was not added; all raise RecordsFault."""

    def add_repo(self, record: RepoRecord) -> None:
        """Remember the repository; one of that name that is known already stays as it is."""

    def repo(self, repo: str) -> RepoRecord | None:
        """The repository, or None."""

    def repos(self) -> tuple[RepoRecord, ...]:
        """Every repository, by name; at most 500."""

    def add_issue(self, repo: str, title: str, body: str) -> int:
        """Number of a new issue."""

    def issue(self, repo: str, number: int) -> IssueRecord | None:
        """The issue, or None."""

    def open_pull(self, draft: PullDraft, *, head_sha: str, base_sha: str) -> PullRecord:
        """The open pull request of (repo, head_branch), with the draft's words; a new one if there is none."""

    def pull(self, repo: str, number: int) -> PullRecord | None:
        """The pull request, or None."""

    def pulls(self, repo: str) -> tuple[PullRecord, ...]:
        """The repository's pull requests, newest first; at most 500."""

    def begin_merge(self, repo: str, number: int, *, head_sha: str, base_sha: str, squash: str) -> None:
        """Write down, before the base branch moves, what it is about to become."""

    def end_merge(self, repo: str, number: int) -> None:
        """The pull request is merged as begun."""

    def ready(self, repo: str, number: int) -> None:
        """The pull request is no draft, if it is open."""

    def close(self, repo: str, number: int, *, head_sha: str, base_sha: str) -> None:
        """The pull request is closed with its branches as they are said to be, if it is open."""

    def label(self, repo: str, number: int, *, add: tuple[str, ...] = (), drop: tuple[str, ...] = ()) -> None:
        """Have these labels on the pull request, and those not. An unknown pull request: nothing."""

    @property
    def talk(self) -> ForgeTalk:
        """What is said on commits and pull requests."""


class ForgeTalk(Protocol):
    """The forge's memory of checks, demands and comments. Raises as `ForgeStore` does."""

    def set_check(self, repo: str, sha: str, check: CheckRecord) -> None:
        """Have that check on the commit, in place of the earlier one of that source and name."""

    def checks(self, repo: str, sha: str) -> tuple[CheckRecord, ...]:
        """Checks on the commit, without their logs, by name and source; at most 500."""

    def log(self, repo: str, sha: str, source: str, name: str) -> str:
        """That check's log; "" where there is none."""

    def require(self, repo: str, branch: str, required: tuple[RequiredCheck, ...]) -> None:
        """The branch requires these checks and no others."""

    def required(self, repo: str, branch: str) -> tuple[RequiredCheck, ...]:
        """What the branch requires, sorted; at most 500."""

    def say(self, repo: str, number: int, comment: CommentRecord) -> int:
        """Add the comment and give its id (the one given is not looked at). One with a key that is there: nothing."""

    def comments(
        self, repo: str, number: int, *, limit: int = 1000, asks_only: bool = False
    ) -> tuple[CommentRecord, ...]:
        """What was said of the pull request, oldest first; the newest `limit`.

        asks_only: not ours, and not what has neither a text nor a request for changes.
        """

    def comment(self, repo: str, number: int, comment_id: int) -> CommentRecord | None:
        """That comment, or None."""
