"""`runner.ports.Forge` without a forge: bare repositories on this host, issues and pull requests in our records.

Branches are read from the repositories, so a pull request's head follows what is pushed; only what git cannot say
is in the records.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from runner.adapters.forge_house import USERNAME, ForgeHouse
from runner.adapters.forge_intake import copy_into, name_on_disk, named_source
from runner.adapters.forge_merging import merge
from runner.adapters.forge_operator import ForgeOperator
from runner.adapters.forge_records import CheckRecord, CommentRecord, ForgeStore, IssueRecord, RepoRecord
from runner.adapters.forge_remarks import answered, remarks_of, the_check
from runner.adapters.git_command import GitCommand
from runner.errors import BadIntent, NotPossible
from runner.intents import repo_name
from runner.model import (
    Check,
    CheckState,
    Merged,
    MergeRefused,
    Pull,
    PullDraft,
    Remote,
    RequiredCheck,
    ReviewedHead,
)
from runner.remarks import Remark, RemarkKind

_MAX_TITLE: Final = 300
_MAX_BODY: Final = 100_000
_MAX_SUMMARY: Final = 1000
_MAX_REMARKS: Final = 300
_MAX_DIFF: Final = 1024 * 1024
_KEY: Final = re.compile(r"[a-z0-9:_-]{1,80}")


class LocalForge:
    """The built-in forge below `root`; `runner.adapters.git_http` serves the same directory to git."""

    def __init__(
        self,
        root: Path,
        store: ForgeStore,
        base_url: str,
        secret: str,
        *,
        git_url: str | None = None,
        timeout_s: float = 300.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """base_url: the daemon's address as people reach it; secret: the password of `git_http_app`.

        git_url: the address at which the daemon's own git reaches that app, where it is another. now: UTC seconds.
        """
        self._root = root.absolute()
        self._store = store
        self._git_url = (git_url or base_url).rstrip("/")
        self._secret = secret
        self._house = ForgeHouse(
            root=self._root,
            store=store,
            base_url=base_url.rstrip("/"),
            git=GitCommand(self._root / ".home", timeout_s=timeout_s),
            timeout_s=timeout_s,
            now=now,
        )
        self._operator = ForgeOperator(self._house)

    @property
    def operator(self) -> ForgeOperator:
        """What only the people of this host may do."""
        return self._operator

    # --- the port ----------------------------------------------------------------------------------------------

    def remote(self, repo: str) -> Remote:
        """Our own address; the password does not expire."""
        self._known(repo)
        return Remote(url=f"{self._git_url}/forge/{repo}.git", username=USERNAME, password=self._secret)

    def default_branch(self, repo: str) -> str:
        """The branch that was HEAD where the repository came from."""
        return self._known(repo).default_branch

    def open_pull(self, draft: PullDraft) -> Pull:
        """Open or update; both branches must have been pushed."""
        self._known(draft.repo)
        if draft.head_branch == draft.base_branch:
            raise NotPossible("A pull request needs two branches; push the work to one of its own.")
        with self._house.faults_of_forge():
            bare = self._house.bare(draft.repo)
            head, base = bare.head(draft.head_branch), bare.head(draft.base_branch)
        if head is None or base is None:
            missing = draft.head_branch if head is None else draft.base_branch
            raise NotPossible(f"{draft.repo} has no branch {missing}; push it before opening a pull request.")
        return self._house.read(self._store.open_pull(draft, head_sha=head, base_sha=base))

    def pull(self, repo: str, number: int) -> Pull | None:
        """The record, with its branches as they are now."""
        self._known(repo)
        record = self._store.pull(repo, number)
        return None if record is None else self._house.read(record)

    def pull_of(self, repo: str, head_branch: str) -> Pull | None:
        """As our records have it."""
        self._known(repo)
        found = (one for one in self._store.pulls(repo) if one.head_branch == head_branch)
        record = next(found, None)
        return None if record is None else self._house.read(record)

    def tip(self, repo: str, branch: str) -> str | None:
        """As its git has it."""
        self._known(repo)
        with self._house.faults_of_forge():
            return self._house.bare(repo).head(branch)

    def required_checks(self, repo: str, branch: str) -> tuple[RequiredCheck, ...]:
        """What the operator asked for; none at first."""
        self._known(repo)
        return self._store.talk.required(repo, branch)

    def ready(self, repo: str, number: int, *, drop_labels: tuple[str, ...] = ()) -> None:
        """One that is closed or merged by now only loses the labels."""
        self._house.pull_record(repo, number)
        self._store.ready(repo, number)
        self._store.label(repo, number, drop=drop_labels)

    def checks(self, repo: str, sha: str) -> tuple[Check, ...]:
        """Ours have the source "ashigaru", people's the one they named."""
        self._known(repo)
        return tuple(the_check(sha, record) for record in self._store.talk.checks(repo, sha))

    def check_log(self, repo: str, check: Check, max_bytes: int) -> str:
        """The log that was reported with the check."""
        self._known(repo)
        told = self._store.talk.log(repo, check.ref, check.source, check.name) or check.summary
        data = told.encode("utf-8", "replace")
        return data[max(0, len(data) - max_bytes) :].decode("utf-8", "ignore")

    def set_check(self, repo: str, sha: str, name: str, state: CheckState, summary: str) -> None:
        """Write the check down; a summary is kept up to 1000 characters."""
        self._known(repo)
        record = CheckRecord(source=USERNAME, name=name, state=state, summary=summary[:_MAX_SUMMARY])
        self._store.talk.set_check(repo, sha, record)

    def remarks(self, repo: str, number: int) -> tuple[Remark, ...]:
        """Whoever can comment here is the operator, so each may ask."""
        head = self._house.read(self._house.pull_record(repo, number)).head_sha
        said = self._store.talk.comments(repo, number, limit=_MAX_REMARKS, asks_only=True)
        with self._house.faults_of_forge():
            return remarks_of(said, self._house.bare(repo), head)

    def say(self, repo: str, number: int, key: str, body: str, *, remark: str | None = None) -> None:
        """An answer to what is not there is said in the conversation."""
        self._house.pull_record(repo, number)
        if not _KEY.fullmatch(key):
            raise NotPossible("A comment's key is 1 to 80 of a-z, 0-9, ':', '_' and '-'; choose another.")
        new = CommentRecord(id=0, kind=RemarkKind.COMMENT, author=USERNAME, body=body, at=self._house.now(), key=key)
        self._store.talk.say(repo, number, answered(self._store.talk, repo, number, new, remark))

    def merge(self, reviewed: ReviewedHead, title: str, body: str) -> Merged | MergeRefused:
        """Squash in one step of the base branch; the tree must be the tree that was judged.

        Refused too while a check that the base branch requires has not passed on the head.
        """
        self._known(reviewed.repo)
        return merge(self._house, reviewed, title, body)

    # --- for people --------------------------------------------------------------------------------------------

    def add(self, source: str, name: str | None = None) -> str:
        """Put a copy of a git repository (a path or an http(s) address) into the forge; its name there.

        Branches and tags are taken. The same source under the same name again changes nothing. Raises BadIntent,
        NotPossible, ForgeDown.
        """
        remote, given = named_source(source)
        repo = repo_name(name or given)
        if any(part.endswith(".git") for part in repo.split("/")):
            raise BadIntent("No part of a repository's name may end in .git; choose another name.")
        with self._house.only_one(repo):
            known = self._store.repo(repo)
            if known is not None and known.source != remote.url:
                raise NotPossible(f"The forge has a repository {repo} from elsewhere; choose another name.")
            alike = next((one for one in self.repos() if one.lower() == repo.lower() and one != repo), None)
            if alike is not None:
                raise NotPossible(f"The forge has a repository {alike}, and case alone tells none apart; rename one.")
            bare = self._house.bare(repo)
            if not bare.exists:
                with self._house.faults_of_forge():
                    copy_into(remote, bare, incoming=self._root / ".incoming" / name_on_disk(repo))
            with self._house.faults_of_forge():
                head = bare.ask("symbolic-ref", "--short", "HEAD", deed="read a default branch").text()
            self._store.add_repo(RepoRecord(repo=repo, source=remote.url, default_branch=head))
        return repo

    def repos(self) -> tuple[str, ...]:
        """Names of the forge's repositories."""
        return tuple(record.repo for record in self._store.repos())

    def create_issue(self, repo: str, title: str, body: str = "") -> int:
        """Number of a new issue. Raises BadIntent, UnknownRepo."""
        if not title.strip() or not title.isprintable() or len(title) > _MAX_TITLE or len(body) > _MAX_BODY:
            raise BadIntent(f"An issue needs a title of one line, up to {_MAX_TITLE} characters; shorten it.")
        return self._store.add_issue(repo, title.strip(), body)

    def issue(self, repo: str, number: int) -> IssueRecord | None:
        """The issue, or None."""
        self._known(repo)
        return self._store.issue(repo, number)

    def pulls(self, repo: str) -> tuple[Pull, ...]:
        """The repository's pull requests, newest first."""
        self._known(repo)
        return tuple(self._house.read(record) for record in self._store.pulls(repo))

    def diff(self, repo: str, number: int) -> str:
        """What the pull request changes or, once merged, what it changed; at most 1 MiB. Raises NotPossible."""
        pull = self.pull(repo, number)
        if pull is None:
            raise NotPossible(f"{repo} has no pull request {number}; look at its list.")
        with self._house.faults_of_forge():
            bare = self._house.bare(repo)
            if pull.merged_sha is not None:
                return bare.diff(pull.base_sha, pull.merged_sha, _MAX_DIFF)
            fork = bare.fork_point(pull.base_sha, pull.head_sha)
            return bare.diff(fork or pull.base_sha, pull.head_sha, _MAX_DIFF)

    # --- inside ------------------------------------------------------------------------------------------------

    def _known(self, repo: str) -> RepoRecord:
        return self._house.known(repo)
