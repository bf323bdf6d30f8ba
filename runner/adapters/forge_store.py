"""What the local forge remembers beside its git repositories, and that memory in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, RowMapping
from sqlalchemy.exc import SQLAlchemyError

from runner.adapters.forge_tables import define_forge_tables
from runner.errors import RecordsFault, UnknownRepo
from runner.model import Check, CheckState, PullDraft, PullState

_MAX_LISTED: Final = 500


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

    def set_check(self, repo: str, sha: str, check: Check) -> None:
        """Have that check on the commit."""

    def checks(self, repo: str, sha: str) -> tuple[Check, ...]:
        """Checks on the commit, by name."""


class SqlForgeStore:
    """`ForgeStore` on the tables of `forge_tables`, which somebody else has created."""

    def __init__(self, engine: Engine, metadata: sa.MetaData | None = None) -> None:
        """Use the engine's pool; opens nothing yet."""
        self._engine = engine
        tables = define_forge_tables(sa.MetaData() if metadata is None else metadata)
        self._repos, self._issues, self._pulls, self._checks = tables

    def add_repo(self, record: RepoRecord) -> None:
        """Insert, unless the name is taken."""
        with self._transaction() as connection:
            if connection.execute(self._repo_query(record.repo)).first() is None:
                connection.execute(
                    self._repos.insert().values(
                        repo=record.repo, source=record.source, default_branch=record.default_branch, next_number=1
                    )
                )

    def repo(self, repo: str) -> RepoRecord | None:
        """Look the repository up."""
        with self._transaction() as connection:
            row = connection.execute(self._repo_query(repo)).mappings().first()
        return None if row is None else _repo_record(row)

    def repos(self) -> tuple[RepoRecord, ...]:
        """List repositories."""
        with self._transaction() as connection:
            rows = connection.execute(self._repos.select().order_by(self._repos.c.repo).limit(_MAX_LISTED)).mappings()
            return tuple(_repo_record(row) for row in rows)

    def add_issue(self, repo: str, title: str, body: str) -> int:
        """Take the next number."""
        with self._transaction() as connection:
            number = self._next_number(connection, repo)
            connection.execute(self._issues.insert().values(repo=repo, number=number, title=title, body=body))
        return number

    def issue(self, repo: str, number: int) -> IssueRecord | None:
        """Look the issue up."""
        query = self._issues.select().where(self._issues.c.repo == repo, self._issues.c.number == number)
        with self._transaction() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else IssueRecord(**row)

    def open_pull(self, draft: PullDraft, *, head_sha: str, base_sha: str) -> PullRecord:
        """Find and update, or insert, in one transaction."""
        words = {
            "title": draft.title,
            "body": draft.body,
            "draft": draft.draft,
            "base_branch": draft.base_branch,
            "head_sha": head_sha,
            "base_sha": base_sha,
        }
        c = self._pulls.c
        is_it = (c.repo == draft.repo, c.head_branch == draft.head_branch, c.state == PullState.OPEN.value)
        with self._transaction() as connection:
            self._lock(connection, draft.repo)
            number = connection.execute(sa.select(c.number).where(*is_it)).scalar_one_or_none()
            if number is None:
                number = self._next_number(connection, draft.repo)
                connection.execute(
                    self._pulls.insert().values(
                        repo=draft.repo,
                        number=number,
                        state=PullState.OPEN.value,
                        head_branch=draft.head_branch,
                        **words,
                    )
                )
            else:
                connection.execute(self._pulls.update().where(*is_it).values(**words))
            row = connection.execute(self._pull_query(draft.repo, number)).mappings().one()
        return _pull_record(row)

    def pull(self, repo: str, number: int) -> PullRecord | None:
        """Look the pull request up."""
        with self._transaction() as connection:
            row = connection.execute(self._pull_query(repo, number)).mappings().first()
        return None if row is None else _pull_record(row)

    def pulls(self, repo: str) -> tuple[PullRecord, ...]:
        """List pull requests."""
        c = self._pulls.c
        query = self._pulls.select().where(c.repo == repo).order_by(c.number.desc()).limit(_MAX_LISTED)
        with self._transaction() as connection:
            return tuple(_pull_record(row) for row in connection.execute(query).mappings())

    def begin_merge(self, repo: str, number: int, *, head_sha: str, base_sha: str, squash: str) -> None:
        """Only an open pull request is changed."""
        self._change_open(repo, number, head_sha=head_sha, base_sha=base_sha, merging_sha=squash)

    def end_merge(self, repo: str, number: int) -> None:
        """Only an open pull request is changed."""
        self._change_open(repo, number, state=PullState.MERGED.value, merged_sha=self._pulls.c.merging_sha)

    def set_check(self, repo: str, sha: str, check: Check) -> None:
        """Update, or insert."""
        c = self._checks.c
        is_it = (c.repo == repo, c.sha == sha, c.name == check.name)
        said = {"state": check.state.value, "summary": check.summary}
        with self._transaction() as connection:
            self._lock(connection, repo)
            if connection.execute(self._checks.update().where(*is_it).values(**said)).rowcount == 0:
                connection.execute(self._checks.insert().values(repo=repo, sha=sha, name=check.name, **said))

    def checks(self, repo: str, sha: str) -> tuple[Check, ...]:
        """List checks."""
        c = self._checks.c
        query = self._checks.select().where(c.repo == repo, c.sha == sha).order_by(c.name).limit(_MAX_LISTED)
        with self._transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(Check(name=row["name"], state=CheckState(row["state"]), summary=row["summary"]) for row in rows)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as exc:
            raise RecordsFault("The local forge's records cannot be used; check the database and its disk.") from exc

    def _change_open(self, repo: str, number: int, **values: object) -> None:
        c = self._pulls.c
        is_it = (c.repo == repo, c.number == number, c.state == PullState.OPEN.value)
        with self._transaction() as connection:
            connection.execute(self._pulls.update().where(*is_it).values(**values))

    def _lock(self, connection: Connection, repo: str) -> None:
        # Begins as a writer: a transaction that reads first could not wait for another writer on SQLite.
        c = self._repos.c
        touched = connection.execute(
            self._repos.update().where(c.repo == repo).values(next_number=c.next_number)
        ).rowcount
        if touched == 0:
            raise UnknownRepo(f"The local forge has no repository {repo}; add it with `forge add`.")

    def _next_number(self, connection: Connection, repo: str) -> int:
        self._lock(connection, repo)
        c = self._repos.c
        number = int(connection.execute(sa.select(c.next_number).where(c.repo == repo)).scalar_one())
        connection.execute(self._repos.update().where(c.repo == repo).values(next_number=number + 1))
        return number

    def _repo_query(self, repo: str) -> sa.Select[tuple[str, str, str]]:
        return self._repos.select().where(self._repos.c.repo == repo)

    def _pull_query(self, repo: str, number: int) -> sa.Select[tuple[object, ...]]:
        return self._pulls.select().where(self._pulls.c.repo == repo, self._pulls.c.number == number)


def _repo_record(row: RowMapping) -> RepoRecord:
    return RepoRecord(repo=row["repo"], source=row["source"], default_branch=row["default_branch"])


def _pull_record(row: RowMapping) -> PullRecord:
    return PullRecord(**{**row, "state": PullState(row["state"])})
