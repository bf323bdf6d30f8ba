"""`runner.ports.Forge` without a forge: bare repositories on this host, issues and pull requests in our records.

Branches are read from the repositories, so a pull request's head follows what is pushed; only what git cannot say
is in the records.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from runner.adapters.file_lock import held
from runner.adapters.forge_intake import copy_into, name_on_disk, named_source
from runner.adapters.forge_store import ForgeStore, IssueRecord, PullRecord, RepoRecord
from runner.adapters.git_command import GitCommand
from runner.adapters.git_plumbing import BareRepository, Identity, branch_ref
from runner.errors import BadIntent, CheckoutFault, ForgeDown, NotPossible, UnknownRepo
from runner.intents import repo_name
from runner.model import (
    Check,
    CheckState,
    Merged,
    MergeRefused,
    Pull,
    PullDraft,
    PullState,
    Remote,
    ReviewedHead,
)

USERNAME: Final = "ashigaru"
_MAX_TITLE: Final = 300
_MAX_BODY: Final = 100_000
_MAX_SUMMARY: Final = 1000
_MAX_DIFF: Final = 1024 * 1024
_FORGE: Final = Identity(name="ashigaru local forge", email="forge@localhost")


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
    ) -> None:
        """base_url: the daemon's address as people reach it; secret: the password of `git_http_app`.

        git_url: the address at which the daemon's own git reaches that app, where it is another.
        """
        self._root = root.absolute()
        self._store = store
        self._base_url = base_url.rstrip("/")
        self._git_url = (git_url or base_url).rstrip("/")
        self._secret = secret
        self._timeout_s = timeout_s
        self._git = GitCommand(self._root / ".home", timeout_s=timeout_s)

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
        with self._faults_of_forge():
            bare = self._bare(draft.repo)
            head, base = bare.head(draft.head_branch), bare.head(draft.base_branch)
        if head is None or base is None:
            missing = draft.head_branch if head is None else draft.base_branch
            raise NotPossible(f"{draft.repo} has no branch {missing}; push it before opening a pull request.")
        return self._pull(self._store.open_pull(draft, head_sha=head, base_sha=base))

    def pull(self, repo: str, number: int) -> Pull | None:
        """The record, with its branches as they are now."""
        self._known(repo)
        record = self._store.pull(repo, number)
        return None if record is None else self._pull(record)

    def checks(self, repo: str, sha: str) -> tuple[Check, ...]:
        """Every check that was set."""
        self._known(repo)
        return self._store.checks(repo, sha)

    def set_check(self, repo: str, sha: str, name: str, state: CheckState, summary: str) -> None:
        """Write the check down; a summary is kept up to 1000 characters."""
        self._known(repo)
        self._store.set_check(repo, sha, Check(name=name, state=state, summary=summary[:_MAX_SUMMARY]))

    def merge(self, reviewed: ReviewedHead, title: str, body: str) -> Merged | MergeRefused:
        """Squash in one step of the base branch; the tree must be the tree that was judged."""
        self._known(reviewed.repo)
        with self._only_one(reviewed.repo), self._faults_of_forge():
            record = self._store.pull(reviewed.repo, reviewed.pull)
            if record is None:
                return MergeRefused(reason=f"{reviewed.repo} has no pull request {reviewed.pull}; look at its list.")
            record = self._settled(record)
            match record.state:
                case PullState.MERGED if record.merged_sha is not None and record.head_sha == reviewed.head_sha:
                    self._tidy(record)
                    return Merged(sha=record.merged_sha)
                case PullState.OPEN:
                    return self._squash(record, reviewed, f"{title} (#{record.number})\n\n{body}".rstrip() + "\n")
                case _:
                    return MergeRefused(reason=f"The pull request is {record.state} already; open a new one.")

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
        with self._only_one(repo):
            known = self._store.repo(repo)
            if known is not None and known.source != remote.url:
                raise NotPossible(f"The forge has a repository {repo} from elsewhere; choose another name.")
            bare = self._bare(repo)
            if not bare.exists:
                with self._faults_of_forge():
                    copy_into(remote, bare, incoming=self._root / ".incoming" / name_on_disk(repo))
            with self._faults_of_forge():
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
        return tuple(self._pull(record) for record in self._store.pulls(repo))

    def diff(self, repo: str, number: int) -> str:
        """What the pull request changes or, once merged, what it changed; at most 1 MiB. Raises NotPossible."""
        pull = self.pull(repo, number)
        if pull is None:
            raise NotPossible(f"{repo} has no pull request {number}; look at its list.")
        with self._faults_of_forge():
            bare = self._bare(repo)
            if pull.merged_sha is not None:
                return bare.diff(pull.base_sha, pull.merged_sha, _MAX_DIFF)
            fork = bare.fork_point(pull.base_sha, pull.head_sha)
            return bare.diff(fork or pull.base_sha, pull.head_sha, _MAX_DIFF)

    # --- inside ------------------------------------------------------------------------------------------------

    def _known(self, repo: str) -> RepoRecord:
        record = self._store.repo(repo)
        if record is None:
            raise UnknownRepo(f"The local forge has no repository {repo[:100]!r}; add it with `forge add`.")
        return record

    def _bare(self, repo: str) -> BareRepository:
        return BareRepository(git=self._git, place=self._root / f"{repo}.git")

    @contextmanager
    def _only_one(self, repo: str) -> Iterator[None]:
        with self._faults_of_forge(), held(self._root / ".locks" / name_on_disk(repo), timeout_s=self._timeout_s):
            yield

    @contextmanager
    def _faults_of_forge(self) -> Iterator[None]:
        try:
            yield
        except CheckoutFault as exc:
            raise ForgeDown(f"The local forge could not do its work: {exc}") from exc

    def _pull(self, record: PullRecord) -> Pull:
        with self._faults_of_forge():
            record = self._settled(record)
            head_sha, base_sha, mergeable = record.head_sha, record.base_sha, None
            if record.state is PullState.OPEN:
                bare = self._bare(record.repo)
                head, base = bare.head(record.head_branch), bare.head(record.base_branch)
                head_sha, base_sha = head or head_sha, base or base_sha
                mergeable = bool(head and base) and bare.merged_tree(base_sha, head_sha) is not None
        return Pull(
            repo=record.repo,
            number=record.number,
            url=f"{self._base_url}/forge/{record.repo}/pulls/{record.number}",
            title=record.title,
            body=record.body,
            state=record.state,
            draft=record.draft,
            head_branch=record.head_branch,
            head_sha=head_sha,
            base_branch=record.base_branch,
            base_sha=base_sha,
            mergeable=mergeable,
            merged_sha=record.merged_sha,
        )

    def _settled(self, record: PullRecord) -> PullRecord:
        """The record, with a merge finished that was cut off after the base branch had moved."""
        if record.state is not PullState.OPEN or record.merging_sha is None:
            return record
        bare = self._bare(record.repo)
        base = bare.head(record.base_branch)
        if base is None or not bare.holds(record.merging_sha) or not bare.is_ancestor(record.merging_sha, base):
            return record
        self._store.end_merge(record.repo, record.number)
        return replace(record, state=PullState.MERGED, merged_sha=record.merging_sha)

    def _squash(self, record: PullRecord, reviewed: ReviewedHead, message: str) -> Merged | MergeRefused:
        bare = self._bare(record.repo)
        head, base = bare.head(record.head_branch), bare.head(record.base_branch)
        if head != reviewed.head_sha:
            return MergeRefused(reason="The head moved after it was judged; look at status and promote again.")
        if base != reviewed.base_sha:
            return MergeRefused(reason=f"{record.base_branch} moved after the judgement; promote again to judge anew.")
        tree = bare.merged_tree(base, head)
        if tree is None:
            return MergeRefused(reason=f"The branch conflicts with {record.base_branch}; ask for changes.")
        if tree != reviewed.tree:
            return MergeRefused(reason="The merged files are not the ones that were judged; promote again.")
        squash = bare.commit_tree(tree, base, message, _FORGE)
        self._store.begin_merge(record.repo, record.number, head_sha=head, base_sha=base, squash=squash)
        # The head stays reachable for the diff after its branch is gone.
        bare.point(f"refs/pull/{record.number}/head", head)
        if not bare.point(branch_ref(record.base_branch), squash, base):
            return MergeRefused(reason=f"{record.base_branch} moved during the merge; promote again to judge anew.")
        self._store.end_merge(record.repo, record.number)
        self._tidy(replace(record, head_sha=head))
        return Merged(sha=squash)

    def _tidy(self, record: PullRecord) -> None:
        self._bare(record.repo).drop(record.head_branch, record.head_sha)
