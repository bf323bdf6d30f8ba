"""One GitHub as the adapter's parts share it: the client, who we are, and repositories by the names they have now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

from runner.adapters.github_auth import GithubAuth
from runner.adapters.github_client import GithubClient
from runner.adapters.github_faults import BadCredential, Missing, odd
from runner.adapters.github_line import Answer, Credential
from runner.errors import BadIntent, UnknownRepo
from runner.intents import repo_name

T = TypeVar("T")
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository as GitHub tells it. asked: the name it was asked by; name: the one it has now."""

    asked: str
    name: str
    default_branch: str
    fork: bool
    archived: bool

    @property
    def path(self) -> str:
        """Where its API is."""
        return f"/repos/{quote(self.name)}"

    @property
    def owner(self) -> str:
        """The account it belongs to."""
        return self.name.partition("/")[0]


class GithubHouse:
    """Asks and tells on behalf of one repository at a time."""

    def __init__(self, client: GithubClient, auth: GithubAuth) -> None:
        """Asks nothing yet."""
        self.client = client
        self.auth = auth

    @contextmanager
    def deed(self, repo: str) -> Iterator[Repository]:
        """The repository, for everything inside, within one deadline. Raises UnknownRepo, ForgeDown."""
        with self.client.bounded():
            try:
                yield self._known(repo)
            except (KeyError, TypeError, ValueError, IndexError) as exc:
                # An answer is read as GitHub documents it; one of another shape is the forge's fault, not a crash.
                _LOG.exception("an answer of GitHub could not be read")
                raise odd() from exc

    def get(self, repo: Repository, below: str, **query: str) -> Any:
        """What is at a path below the repository."""
        return self._taken(repo, lambda who: self.client.get(who, repo.path + below, **query)).data

    def find(self, repo: Repository, below: str, **query: str) -> Any:
        """What is at a path below the repository, or None."""
        try:
            return self.get(repo, below, **query)
        except Missing:
            return None

    def pages(self, repo: Repository, below: str, key: str | None = None, **query: str) -> list[dict[str, Any]]:
        """Every item of a list."""
        return self._taken(repo, lambda who: self.client.pages(who, repo.path + below, key, **query))

    def newest(self, repo: Repository, below: str, at_least: int) -> list[dict[str, Any]]:
        """The last items of a list that is told oldest first."""
        return self._taken(repo, lambda who: self.client.newest(who, repo.path + below, at_least))

    def send(self, repo: Repository, verb: str, below: str, body: Any = None) -> Answer:
        """One write below the repository, not repeated."""
        return self._taken(repo, lambda who: self.client.send(who, verb, repo.path + below, body))

    def mutate(self, repo: Repository, name: str, node: str) -> None:
        """One GraphQL mutation, not repeated."""
        self._taken(repo, lambda who: self.client.mutate(who, name, node))

    def _taken(self, repo: Repository, ask: Callable[[Callable[[], Credential]], T]) -> T:
        return self._accepted(repo.asked, ask)

    def _accepted(self, name: str, ask: Callable[[Callable[[], Credential]], T]) -> T:
        """`ask`, a second time with a new credential where the first was not taken."""

        def who() -> Credential:
            return self.auth.credential(name)

        try:
            return ask(who)
        except BadCredential:
            if not self.auth.forget(name):
                raise
            return ask(who)

    def _known(self, repo: str) -> Repository:
        if repo.count("/") != 1:
            raise UnknownRepo(f"GitHub has no repository {repo}; name it by its owner, like acme/{repo}.")
        try:
            told = self._accepted(repo, lambda who: self.client.get(who, f"/repos/{quote(repo)}")).data
            name = repo_name(str(told["full_name"]))
        except Missing as exc:
            cure = "correct the name, or let the daemon's credential see it."
            raise UnknownRepo(f"GitHub has no repository {repo}; {cure}") from exc
        except BadIntent as exc:
            raise odd() from exc
        return Repository(
            asked=repo,
            name=name,
            default_branch=str(told["default_branch"]),
            fork=bool(told["fork"]),
            archived=bool(told["archived"]),
        )


def git_root(url: str) -> str:
    """Where a server whose REST API is at `url` serves git. Only configuration says so, never an answer."""
    parts = urlsplit(url)
    host = "github.com" if parts.netloc == "api.github.com" else parts.netloc
    return f"{parts.scheme}://{host}"
