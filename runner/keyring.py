"""Whose token it is that somebody shows."""

from __future__ import annotations

from dataclasses import dataclass

from runner.callers import OPERATOR, Caller, Tokens, digest_of, is_digest_of, token_id
from runner.ports import Clock


@dataclass(frozen=True, kw_only=True)
class Keyring:
    """The tokens that open the door. operator_digest: of the daemon's own token, where it has one.

    Nothing is remembered between two questions: a token that was revoked opens nothing from the next one on.
    """

    tokens: Tokens
    clock: Clock
    operator_digest: str | None

    def caller(self, text: str) -> Caller | None:
        """Who shows that token; None where it is unknown, expired or revoked. Raises RecordsFault."""
        if self.operator_digest is not None and is_digest_of(self.operator_digest, text):
            return OPERATOR
        named = token_id(text)
        if named is None:
            return None
        token = self.tokens.find(named)
        # An unknown id costs what a known one does.
        proven = is_digest_of(digest_of("") if token is None else token.digest, text)
        if token is None or not proven or not token.is_live(self.clock.now()):
            return None
        return Caller(name=token.name, scopes=token.scopes, own_runs=token.own_runs)

    def opens(self) -> bool:
        """Whether there is any token that opens the door now."""
        now = self.clock.now()
        return self.operator_digest is not None or any(token.is_live(now) for token in self.tokens.all())
