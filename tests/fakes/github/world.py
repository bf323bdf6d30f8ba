"""What the double believes: users, repositories, pull requests, checks, words. A plain model; git is on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LEVELS = ("none", "read", "triage", "write", "maintain", "admin")


@dataclass(kw_only=True)
class User:
    id: int
    login: str
    kind: str = "User"


@dataclass(kw_only=True)
class App:
    """A GitHub App; its comments and checks come from the user `<slug>[bot]`."""

    id: int
    slug: str
    public_key: str | None = None
    permissions: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Installation:
    """repos: None means every repository of the account."""

    id: int
    app_id: int
    account: str
    repos: frozenset[str] | None = None
    permissions: dict[str, str] = field(default_factory=dict)
    suspended: bool = False


@dataclass(kw_only=True)
class Issue:
    """An issue, or the issue half of a pull request."""

    id: int
    number: int
    title: str
    body: str
    user: str
    at: float
    updated: float
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    closed_at: float | None = None


@dataclass(kw_only=True)
class Pull:
    """head_repo: the repository's id (a fork may go away: None). mergeable_of: the (base, head) that it is about;
    unweighed_reads: how many more reads find it not worked out.
    """

    id: int
    issue: Issue
    head_repo: int | None
    head_label: str
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    draft: bool = False
    maintainer_can_modify: bool = False
    mergeable: bool | None = None
    mergeable_of: tuple[str, str] | None = None
    unweighed_reads: int = 0
    merge_commit_sha: str | None = None
    merged_at: float | None = None
    merged_by: str | None = None


@dataclass(kw_only=True)
class Comment:
    """A comment on an issue or a pull request's conversation."""

    id: int
    number: int
    user: str
    body: str
    at: float
    updated: float
    app: str | None = None


@dataclass(kw_only=True)
class Review:
    id: int
    number: int
    user: str
    body: str
    state: str
    commit: str
    at: float


@dataclass(kw_only=True)
class LineComment:
    """A review comment; replies carry the id of the comment that began the thread."""

    id: int
    number: int
    user: str
    body: str
    path: str
    line: int | None
    side: str
    commit: str
    review: int | None
    at: float
    updated: float
    reply_to: int | None = None
    hunk: str = ""
    resolved: bool = False


@dataclass(kw_only=True)
class Suite:
    id: int
    sha: str
    app: str
    branch: str | None
    at: float


@dataclass(kw_only=True)
class CheckRun:
    id: int
    suite: int
    sha: str
    name: str
    app: str
    status: str
    conclusion: str | None
    at: float
    completed_at: float | None
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    details_url: str | None = None
    external_id: str = ""
    annotations: list[dict[str, Any]] = field(default_factory=list)


@dataclass(kw_only=True)
class WorkflowRun:
    id: int
    suite: int
    sha: str
    branch: str | None
    name: str
    event: str
    at: float
    attempt: int = 1


@dataclass(kw_only=True)
class Job:
    """A job has the id of its check run, as on GitHub."""

    id: int
    run: int
    log: str | None = None


@dataclass(kw_only=True)
class Status:
    id: int
    sha: str
    context: str
    state: str
    description: str | None
    target_url: str | None
    creator: str
    at: float


@dataclass(kw_only=True)
class Protection:
    """checks: context and the app's id it must come from, or None. reviews: approvals wanted; None wants no review."""

    checks: tuple[tuple[str, int | None], ...] | None = None
    strict: bool = False
    reviews: int | None = None
    enforce_admins: bool = True
    ruleset: int | None = None
    patterns: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Repo:
    id: int
    full_name: str
    default_branch: str
    at: float
    private: bool = False
    archived: bool = False
    parent: int | None = None
    allow_squash: bool = True
    # Drafts are no part of every plan.
    allow_drafts: bool = True
    delete_on_merge: bool = False
    issues_on: bool = True
    collaborators: dict[str, str] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    reviews: dict[int, Review] = field(default_factory=dict)
    line_comments: dict[int, LineComment] = field(default_factory=dict)
    suites: dict[int, Suite] = field(default_factory=dict)
    checks: dict[int, CheckRun] = field(default_factory=dict)
    runs: dict[int, WorkflowRun] = field(default_factory=dict)
    jobs: dict[int, Job] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    protections: dict[str, Protection] = field(default_factory=dict)
    rulesets: list[Protection] = field(default_factory=list)
    # Only in a moment that is looked back on: the refs as they were.
    refs: dict[str, str] | None = None

    @property
    def owner(self) -> str:
        return self.full_name.partition("/")[0]

    @property
    def name(self) -> str:
        return self.full_name.partition("/")[2]

    def level_of(self, login: str | None) -> str:
        """What the user may do: one of LEVELS."""
        if login is None:
            return "none" if self.private else "read"
        if login == self.owner:
            return "admin"
        return self.collaborators.get(login, "none" if self.private else "read")

    def allows(self, login: str | None, level: str) -> bool:
        return LEVELS.index(self.level_of(login)) >= LEVELS.index(level)

    def rules_of(self, branch: str) -> tuple[Protection, ...]:
        """What protects the branch, classic protection first."""
        named = [self.protections[branch]] if branch in self.protections else []
        return (*named, *(one for one in self.rulesets if "~ALL" in one.patterns or branch in one.patterns))


@dataclass(kw_only=True)
class World:
    users: dict[str, User] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    installations: dict[int, Installation] = field(default_factory=dict)
    repos: dict[int, Repo] = field(default_factory=dict)
    # Old names of renamed repositories, in lower case.
    moved: dict[str, int] = field(default_factory=dict)
    last_id: int = 1000

    def new_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def user(self, login: str) -> User:
        """The user; made when first heard of (a login ending in [bot] is a Bot)."""
        if login not in self.users:
            kind = "Bot" if login.endswith("[bot]") else "User"
            self.users[login] = User(id=self.new_id(), login=login, kind=kind)
        return self.users[login]

    def app(self, slug: str) -> App:
        """The app; made when first heard of, with GitHub's own id for Actions."""
        if slug not in self.apps:
            self.apps[slug] = App(id=15368 if slug == "github-actions" else self.new_id(), slug=slug)
            self.user(f"{slug}[bot]")
        return self.apps[slug]

    def repo(self, full_name: str) -> Repo | None:
        wanted = full_name.lower()
        return next((one for one in self.repos.values() if one.full_name.lower() == wanted), None)

    def moved_to(self, full_name: str) -> Repo | None:
        """The repository that once had this name."""
        found = self.moved.get(full_name.lower())
        return None if found is None else self.repos.get(found)
