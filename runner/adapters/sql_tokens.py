"""`runner.callers.Tokens` in the records' database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from runner.adapters.sql_schema import tokens
from runner.adapters.sql_turns import SqlBook
from runner.callers import MAX_TOKENS, Scope, Token
from runner.errors import NotPossible


class SqlTokens(SqlBook):
    """Tokens in a SQL database that `migrate` has brought up to date."""

    def add(self, token: Token) -> None:
        """See `Tokens.add`."""
        with self._writing() as db:
            if db.execute(sa.select(sa.func.count()).select_from(tokens)).scalar_one() >= MAX_TOKENS:
                # What is dead longest makes room; who it was stays with the runs.
                dead = sa.or_(tokens.c.revoked_at.is_not(None), tokens.c.expires_at < token.created_at)
                oldest = sa.select(tokens.c.id).where(dead).order_by(tokens.c.created_at).limit(1)
                victim = db.execute(oldest).scalar()
                if victim is None:
                    raise NotPossible(f"There are {MAX_TOKENS} live tokens; revoke one that is no longer used.")
                db.execute(tokens.delete().where(tokens.c.id == victim))
            db.execute(
                tokens.insert().values(
                    id=token.id,
                    name=token.name,
                    digest=token.digest,
                    scopes=",".join(sorted(token.scopes)),
                    own_runs=token.own_runs,
                    created_at=token.created_at,
                    expires_at=token.expires_at,
                    revoked_at=token.revoked_at,
                )
            )

    def find(self, token_id: str) -> Token | None:
        """See `Tokens.find`."""
        with self._reading() as db:
            row = db.execute(_which(token_id)).mappings().first()
        return None if row is None else _token(row)

    def all(self) -> list[Token]:
        """See `Tokens.all`."""
        query = sa.select(tokens).order_by(tokens.c.created_at.desc(), tokens.c.id).limit(MAX_TOKENS)
        with self._reading() as db:
            return [_token(row) for row in db.execute(query).mappings()]

    def revoke(self, token_id: str, at: float) -> Token | None:
        """See `Tokens.revoke`."""
        with self._writing() as db:
            db.execute(
                tokens.update().where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=at)
            )
            row = db.execute(_which(token_id)).mappings().first()
        return None if row is None else _token(row)


def _which(token_id: str) -> sa.Select[tuple[object, ...]]:
    return sa.select(tokens).where(tokens.c.id == token_id)


def _token(row: RowMapping) -> Token:
    scopes = frozenset(Scope(name) for name in row["scopes"].split(","))
    return Token(**(dict(row) | {"scopes": scopes}))
