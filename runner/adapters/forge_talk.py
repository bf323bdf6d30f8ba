"""The local forge's checks, demands and comments in SQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from runner.adapters.forge_database import ForgeDatabase
from runner.adapters.forge_records import CheckRecord, CommentRecord
from runner.errors import NotPossible
from runner.model import CheckState, RequiredCheck
from runner.remarks import RemarkKind, Stance

_MAX_LISTED: Final = 500
_MAX_KEPT: Final = 5000


class SqlForgeTalk:
    """`ForgeTalk` on the forge's tables."""

    def __init__(self, database: ForgeDatabase) -> None:
        """Use the database; opens nothing yet."""
        self._database = database
        tables = database.tables
        self._checks, self._required, self._comments = tables.checks, tables.required, tables.comments

    def set_check(self, repo: str, sha: str, check: CheckRecord) -> None:
        """Update, or insert."""
        c = self._checks.c
        is_it = (c.repo == repo, c.sha == sha, c.source == check.source, c.name == check.name)
        said = {"state": check.state.value, "summary": _storable(check.summary), "log": _storable(check.log)}
        with self._database.writing(repo) as connection:
            if connection.execute(self._checks.update().where(*is_it).values(**said)).rowcount == 0:
                key = {"repo": repo, "sha": sha, "source": check.source, "name": check.name}
                connection.execute(self._checks.insert().values(**key, **said))

    def checks(self, repo: str, sha: str) -> tuple[CheckRecord, ...]:
        """List checks."""
        c = self._checks.c
        query = sa.select(c.source, c.name, c.state, c.summary).where(c.repo == repo, c.sha == sha)
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(_MAX_LISTED)).mappings().all()
        found = (CheckRecord(**{**row, "state": CheckState(row["state"])}) for row in rows)
        # Here and not in SQL: databases sort by their own rules of language.
        return tuple(sorted(found, key=lambda check: (check.name, check.source)))

    def log(self, repo: str, sha: str, source: str, name: str) -> str:
        """Look the log up."""
        c = self._checks.c
        query = sa.select(c.log).where(c.repo == repo, c.sha == sha, c.source == source, c.name == name)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none() or ""

    def require(self, repo: str, branch: str, required: tuple[RequiredCheck, ...]) -> None:
        """Replace, in one transaction."""
        c = self._required.c
        with self._database.writing(repo) as connection:
            connection.execute(self._required.delete().where(c.repo == repo, c.branch == branch))
            for name, source in sorted({(check.name, check.source or "") for check in required}):
                row = {"repo": repo, "branch": branch, "name": name, "source": source}
                connection.execute(self._required.insert().values(**row))

    def required(self, repo: str, branch: str) -> tuple[RequiredCheck, ...]:
        """List what is required."""
        c = self._required.c
        query = sa.select(c.name, c.source).where(c.repo == repo, c.branch == branch).limit(_MAX_LISTED)
        with self._database.reading() as connection:
            rows = sorted((row.name, row.source) for row in connection.execute(query))
        return tuple(RequiredCheck(name=name, source=source or None) for name, source in rows)

    def say(self, repo: str, number: int, comment: CommentRecord) -> int:
        """Look a key up, then insert."""
        c = self._comments.c
        here = (c.repo == repo, c.number == number)
        with self._database.writing(repo) as connection:
            if comment.key is not None:
                known = connection.execute(sa.select(c.id).where(*here, c.key == comment.key)).scalar_one_or_none()
                if known is not None:
                    return int(known)
            count = connection.execute(sa.select(sa.func.count()).select_from(self._comments).where(*here)).scalar_one()
            if count >= _MAX_KEPT:
                raise NotPossible(f"Pull request {number} has {count} comments, its fill; open another.")
            added = connection.execute(self._comments.insert().values(repo=repo, number=number, **_columns(comment)))
            key = added.inserted_primary_key
        return int(key[0]) if key is not None else 0

    def comments(
        self, repo: str, number: int, *, limit: int = 1000, asks_only: bool = False
    ) -> tuple[CommentRecord, ...]:
        """List the newest."""
        c = self._comments.c
        query = self._comments.select().where(c.repo == repo, c.number == number)
        if asks_only:
            query = query.where(c.key.is_(None), (c.body != "") | (c.stance == Stance.CHANGES_REQUESTED.value))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(c.id.desc()).limit(limit)).mappings().all()
        return tuple(_comment(row) for row in reversed(rows))

    def comment(self, repo: str, number: int, comment_id: int) -> CommentRecord | None:
        """Look the comment up."""
        c = self._comments.c
        query = self._comments.select().where(c.repo == repo, c.number == number, c.id == comment_id)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _comment(row)


def _columns(comment: CommentRecord) -> dict[str, object]:
    plain = replace(comment, body=_storable(comment.body))
    names = ("author", "body", "at", "key", "path", "line", "sha", "thread")
    return {name: getattr(plain, name) for name in names} | {"kind": plain.kind.value, "stance": plain.stance.value}


def _comment(row: RowMapping) -> CommentRecord:
    told = {name: value for name, value in row.items() if name not in {"repo", "number"}}
    return CommentRecord(**{**told, "kind": RemarkKind(row["kind"]), "stance": Stance(row["stance"])})


def _storable(text: str) -> str:
    # PostgreSQL takes neither NUL nor half a surrogate pair.
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
