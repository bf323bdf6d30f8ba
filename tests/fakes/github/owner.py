"""The test's hands as the owner of accounts: repositories, people, tokens, apps."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests.fakes.github.auth import Kind, Token
from tests.fakes.github.clock import DoubleClock
from tests.fakes.github.state import State
from tests.fakes.github.world import App, Installation, Repo


class Owner:
    """What the owners of repositories, tokens and apps do."""

    def __init__(self, state: State, origin: str) -> None:
        self.state = state
        self.origin = origin
        self.url = f"{origin}/api/v3"

    @property
    def clock(self) -> DoubleClock:
        return self.state.clock

    def repo(self, name: str) -> Repo:
        found = self.state.world.repo(name)
        if found is None:
            raise KeyError(f"The double has no repository {name}; add it with add_repo.")
        return found

    def path(self, name: str) -> Path:
        """The bare repository on disk."""
        return self.state.git.path(self.repo(name).id)

    def add_repo(
        self,
        name: str,
        *,
        source: Path | None = None,
        default_branch: str = "main",
        private: bool = False,
        archived: bool = False,
    ) -> Repo:
        """A repository with the branches of the git repository at `source`."""
        with self.state.lock:
            world = self.state.world
            made = Repo(
                id=world.new_id(),
                full_name=name,
                default_branch=default_branch,
                at=self.clock.now(),
                private=private,
                archived=archived,
            )
            world.user(made.owner)
            self.state.git.create(made.id, source, default_branch)
            world.repos[made.id] = made
            return made

    def fork(self, name: str, owner: str) -> Repo:
        """The owner's fork of the repository, with its branches as they are now."""
        with self.state.lock:
            parent = self.repo(name)
            made = self.add_repo(f"{owner}/{parent.name}", source=self.path(name), default_branch=parent.default_branch)
            made.parent = parent.id
            made.private = parent.private
            return made

    def rename(self, name: str, new: str) -> None:
        """The old name answers 301 from now on."""
        with self.state.lock:
            one = self.repo(name)
            self.state.world.moved[name.lower()] = one.id
            one.full_name = new

    def collaborator(self, name: str, login: str, permission: str = "write") -> None:
        with self.state.lock:
            self.state.world.user(login)
            self.repo(name).collaborators[login] = permission

    def token(
        self,
        login: str,
        *,
        scopes: tuple[str, ...] = ("repo",),
        permissions: dict[str, str] | None = None,
        repos: tuple[str, ...] | None = None,
        expires: float | None = None,
    ) -> str:
        """A new token of the user: classic with `scopes`, or with `permissions` a fine-grained one."""
        with self.state.lock:
            self.state.world.user(login)
            fine = permissions is not None
            secret = f"{'github_pat_' if fine else 'ghp_'}{secrets.token_hex(18)}"
            self.state.tokens[secret] = Token(
                kind=Kind.FINE_GRAINED if fine else Kind.CLASSIC,
                login=login,
                scopes=() if fine else scopes,
                repos=None if repos is None else frozenset(self.repo(one).id for one in repos),
                permissions=permissions or {},
                expires=expires,
                label=login,
            )
            return secret

    def revoke(self, token: str) -> None:
        with self.state.lock:
            self.state.tokens.pop(token, None)

    def add_app(self, slug: str, public_key: str, *, permissions: dict[str, str]) -> App:
        """A GitHub App. public_key: PEM, of the key that its JWTs are signed with."""
        with self.state.lock:
            app = self.state.world.app(slug)
            app.public_key, app.permissions = public_key, permissions
            return app

    def install(self, slug: str, account: str, repos: tuple[str, ...] | None = None) -> Installation:
        """Install the app on the account, for these repositories or for all."""
        with self.state.lock:
            app = self.state.world.app(slug)
            made = Installation(
                id=self.state.world.new_id(),
                app_id=app.id,
                account=account,
                repos=None if repos is None else frozenset(repos),
                permissions=dict(app.permissions),
            )
            self.state.world.installations[made.id] = made
            return made
