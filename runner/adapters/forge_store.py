"""The local forge's memory in SQL: repositories, issues and pull requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine, RowMapping

from runner.adapters.forge_database import ForgeDatabase
from runner.adapters.forge_records import IssueRecord, PullRecord, RepoRecord
from runner.adapters.forge_tables import define_forge_tables
from runner.adapters.forge_talk import SqlForgeTalk
from runner.model import PullDraft, PullState

_MAX_LISTED: Final = 500
_OURS: Final = "ashigaru"


class SqlForgeStore:
    """`ForgeStore` on the tables of `forge_tables`, which somebody else has created."""

    def __init__(self, engine: Engine, metadata: sa.MetaData | None = None) -> None:
        """Use the engine's pool; opens nothing yet."""
        tables = define_forge_tables(sa.MetaData() if metadata is None else metadata)
        self._database = ForgeDatabase(engine=engine, tables=tables)
        self._repos, self._issues, self._pulls = tables.repos, tables.issues, tables.pulls
        self._talk = SqlForgeTalk(self._database)

    @property
    def talk(self) -> SqlForgeTalk:
        """The same database's."""
        return self._talk

    def add_repo(self, record: RepoRecord) -> None:
        """Insert, unless the name is taken."""
        with self._database.transaction() as connection:
            if connection.execute(self._repo_query(record.repo)).first() is None:
                connection.execute(
                    self._repos.insert().values(
                        repo=record.repo, source=record.source, default_branch=record.default_branch, next_number=1
                    )
                )

    def repo(self, repo: str) -> RepoRecord | None:
        """Look the repository up."""
        with self._database.reading() as connection:
            row = connection.execute(self._repo_query(repo)).mappings().first()
        return None if row is None else _repo_record(row)

    def repos(self) -> tuple[RepoRecord, ...]:
        """List repositories."""
        with self._database.reading() as connection:
            rows = connection.execute(self._repos.select().order_by(self._repos.c.repo).limit(_MAX_LISTED)).mappings()
            return tuple(_repo_record(row) for row in rows)

    def add_issue(self, repo: str, title: str, body: str) -> int:
        """Take the next number."""
        with self._database.writing(repo) as connection:
            number = self._database.next_number(connection, repo)
            connection.execute(self._issues.insert().values(repo=repo, number=number, title=title, body=body))
        return number

    def issue(self, repo: str, number: int) -> IssueRecord | None:
        """Look the issue up."""
        query = self._issues.select().where(self._issues.c.repo == repo, self._issues.c.number == number)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else IssueRecord(**row)

    def open_pull(self, draft: PullDraft, *, head_sha: str, base_sha: str) -> PullRecord:
        """Find and update, or insert, in one transaction."""
        words: dict[str, object] = {
            "title": draft.title,
            "body": draft.body,
            "draft": draft.draft,
            "base_branch": draft.base_branch,
            "head_sha": head_sha,
            "base_sha": base_sha,
        }
        c = self._pulls.c
        is_it = (c.repo == draft.repo, c.head_branch == draft.head_branch, c.state == PullState.OPEN.value)
        with self._database.writing(draft.repo) as connection:
            known = connection.execute(sa.select(c.number, c.labels).where(*is_it)).first()
            words["labels"] = labelled(() if known is None else known.labels, draft.labels)
            number = None if known is None else known.number
            if number is None:
                number = self._database.next_number(connection, draft.repo)
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
        with self._database.reading() as connection:
            row = connection.execute(self._pull_query(repo, number)).mappings().first()
        return None if row is None else _pull_record(row)

    def pulls(self, repo: str) -> tuple[PullRecord, ...]:
        """List pull requests."""
        c = self._pulls.c
        query = self._pulls.select().where(c.repo == repo).order_by(c.number.desc()).limit(_MAX_LISTED)
        with self._database.reading() as connection:
            return tuple(_pull_record(row) for row in connection.execute(query).mappings())

    def begin_merge(self, repo: str, number: int, *, head_sha: str, base_sha: str, squash: str) -> None:
        """Only an open pull request is changed."""
        self._change_open(repo, number, head_sha=head_sha, base_sha=base_sha, merging_sha=squash)

    def end_merge(self, repo: str, number: int) -> None:
        """Only an open pull request is changed."""
        self._change_open(repo, number, state=PullState.MERGED.value, merged_sha=self._pulls.c.merging_sha)

    def ready(self, repo: str, number: int) -> None:
        """Only an open pull request is changed."""
        self._change_open(repo, number, draft=False)

    def close(self, repo: str, number: int, *, head_sha: str, base_sha: str) -> None:
        """Only an open pull request is changed."""
        self._change_open(repo, number, state=PullState.CLOSED.value, head_sha=head_sha, base_sha=base_sha)

    def label(self, repo: str, number: int, *, add: tuple[str, ...] = (), drop: tuple[str, ...] = ()) -> None:
        """Read and write in one transaction."""
        c = self._pulls.c
        is_it = (c.repo == repo, c.number == number)
        with self._database.writing(repo) as connection:
            labels = connection.execute(sa.select(c.labels).where(*is_it)).scalar_one_or_none()
            if labels is not None:
                now = sorted((set(labels) | set(add)) - set(drop))
                connection.execute(self._pulls.update().where(*is_it).values(labels=now))

    def _change_open(self, repo: str, number: int, **values: object) -> None:
        c = self._pulls.c
        is_it = (c.repo == repo, c.number == number, c.state == PullState.OPEN.value)
        with self._database.transaction() as connection:
            connection.execute(self._pulls.update().where(*is_it).values(**values))

    def _repo_query(self, repo: str) -> sa.Select[tuple[str, str, str]]:
        return self._repos.select().where(self._repos.c.repo == repo)

    def _pull_query(self, repo: str, number: int) -> sa.Select[tuple[object, ...]]:
        return self._pulls.select().where(self._pulls.c.repo == repo, self._pulls.c.number == number)


def _repo_record(row: RowMapping) -> RepoRecord:
    return RepoRecord(repo=row["repo"], source=row["source"], default_branch=row["default_branch"])


def labelled(now: Iterable[str], ours: Iterable[str]) -> list[str]:
    """The labels after a draft with `ours`: others' stay, ours that were left out go. Sorted."""
    return sorted({label for label in now if not label.startswith(_OURS)} | set(ours))


def _pull_record(row: RowMapping) -> PullRecord:
    return PullRecord(**{**row, "state": PullState(row["state"]), "labels": tuple(row["labels"])})
