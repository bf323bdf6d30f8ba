"""What every part of the local forge stands on: its repositories, its memory, and pull requests read from both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from runner.adapters.file_lock import held
from runner.adapters.forge_intake import name_on_disk
from runner.adapters.forge_records import ForgeStore, PullRecord, RepoRecord
from runner.adapters.git_command import GitCommand
from runner.adapters.git_plumbing import BareRepository
from runner.errors import CheckoutFault, ForgeDown, NotPossible, UnknownRepo
from runner.model import Pull, PullState

USERNAME: Final = "ashigaru"
"""The daemon, as it pushes, reports checks and speaks."""


@dataclass(frozen=True, kw_only=True)
class ForgeHouse:
    """The forge below `root`. base_url: its address for people. now: UTC seconds since the epoch."""

    root: Path
    store: ForgeStore
    base_url: str
    git: GitCommand
    timeout_s: float
    now: Callable[[], float]

    def known(self, repo: str) -> RepoRecord:
        """The repository's record. Raises UnknownRepo."""
        record = self.store.repo(repo)
        if record is None:
            raise UnknownRepo(f"The local forge has no repository {repo[:100]!r}; add it with `forge add`.")
        return record

    def pull_record(self, repo: str, number: int) -> PullRecord:
        """The pull request's record. Raises UnknownRepo, NotPossible."""
        self.known(repo)
        record = self.store.pull(repo, number)
        if record is None:
            raise NotPossible(f"{repo} has no pull request {number}; look at its list.")
        return record

    def bare(self, repo: str) -> BareRepository:
        """The repository on the disk."""
        return BareRepository(git=self.git, place=self.root / f"{repo}.git")

    @contextmanager
    def only_one(self, repo: str) -> Iterator[None]:
        """Held by one process at a time for each repository. Raises ForgeDown."""
        with self.faults_of_forge(), held(self.root / ".locks" / name_on_disk(repo), timeout_s=self.timeout_s):
            yield

    @contextmanager
    def faults_of_forge(self) -> Iterator[None]:
        """What git cannot do is ForgeDown."""
        try:
            yield
        except CheckoutFault as exc:
            raise ForgeDown(f"The local forge could not do its work: {exc}") from exc

    def read(self, record: PullRecord) -> Pull:
        """The pull request, with its branches as they are now. Raises ForgeDown."""
        with self.faults_of_forge():
            record = self.settled(record)
            head_sha, base_sha, mergeable = record.head_sha, record.base_sha, None
            state = record.state
            if record.state is PullState.OPEN:
                bare = self.bare(record.repo)
                head, base = bare.head(record.head_branch), bare.head(record.base_branch)
                head_sha, base_sha = head or head_sha, base or base_sha
                # As GitHub has it: without its branch a pull request is closed, and is open again when that is back.
                state = PullState.OPEN if head else PullState.CLOSED
                mergeable = bool(head and base) and bare.merged_tree(base_sha, head_sha) is not None
        return Pull(
            repo=record.repo,
            number=record.number,
            url=f"{self.base_url}/forge/{record.repo}/pulls/{record.number}",
            title=record.title,
            body=record.body,
            state=state,
            draft=record.draft,
            head_branch=record.head_branch,
            head_sha=head_sha,
            base_branch=record.base_branch,
            base_sha=base_sha,
            mergeable=mergeable,
            merged_sha=record.merged_sha,
        )

    def settled(self, record: PullRecord) -> PullRecord:
        """The record, with a merge finished that was cut off after the base branch had moved."""
        if record.state is not PullState.OPEN or record.merging_sha is None:
            return record
        bare = self.bare(record.repo)
        base = bare.head(record.base_branch)
        if base is None or not bare.holds(record.merging_sha) or not bare.is_ancestor(record.merging_sha, base):
            return record
        self.store.end_merge(record.repo, record.number)
        return replace(record, state=PullState.MERGED, merged_sha=record.merging_sha)
