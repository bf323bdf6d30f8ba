"""One thread's connection to GitHub: PyGithub, without its own waiting and repeating."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from github import Github
from github.Auth import Auth
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass

from runner.adapters.github_faults import Declined, Transient, unreachable

_USER_AGENT: Final = "mcp-ashigaru"
_API_VERSION: Final = "2022-11-28"


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What goes into the Authorization header, and whose it is. owner: of cached answers; never a secret."""

    kind: str
    secret: str
    owner: str

    def __repr__(self) -> str:
        """Never show the secret."""
        return f"Credential(owner={self.owner!r})"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer below 400. headers: names in lower case. location: where it sends the client, or ""."""

    status: int
    headers: dict[str, Any]
    data: Any

    @property
    def location(self) -> str:
        """Where a redirect points."""
        return str(self.headers.get("location") or "")


class _Bearer(Auth):
    """The credential of the request under way; PyGithub keeps it out of its log."""

    def __init__(self) -> None:
        self.credential = Credential(kind="token", secret="", owner="")

    @property
    def token_type(self) -> str:
        return self.credential.kind

    @property
    def token(self) -> str:
        return self.credential.secret


class GithubLine:
    """A connection. Not to be shared between threads: PyGithub keeps the request under way in it."""

    def __init__(self, url: str, timeout_s: float) -> None:
        """Connects at the first request."""
        self._bearer = _Bearer()
        self._connection = _connection(url, max(1, int(timeout_s)))
        self._requester = Github(
            auth=self._bearer,
            base_url=url,
            timeout=max(1, int(timeout_s)),
            user_agent=_USER_AGENT,
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
            api_version=_API_VERSION,
        ).requester

    @property
    def graphql_url(self) -> str:
        """Where the server takes GraphQL."""
        return self._requester.graphql_url

    def ask(
        self, credential: Credential, verb: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any
    ) -> tuple[int, dict[str, Any], str]:
        """Status, headers and text of one answer, whatever it is. Raises Transient, Declined."""
        self._bearer.credential = credential
        try:
            return self._requester.requestJson(verb, path, query, dict(headers), body, self._connection)
        except requests.RequestException as exc:
            raise unreachable(exc) from exc
        except RuntimeError as exc:
            # PyGithub's word for a redirect to another host or scheme, which it does not follow.
            raise Declined("GitHub redirects to elsewhere; correct ASHIGARU_GITHUB_URL.", status=301, said="") from exc


def _connection(url: str, timeout_s: int) -> HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass:
    """What PyGithub would connect with; but an answer that is not ready yet does not come as far as PyGithub, which
    would ask again for ever, and sleep without our clock.
    """
    parts = urlsplit(url)
    kind = HTTPSRequestsConnectionClass if parts.scheme == "https" else HTTPRequestsConnectionClass
    made = kind(str(parts.hostname), parts.port, timeout=timeout_s)
    made.session.hooks["response"].append(_ready)
    return made


def _ready(answer: requests.Response, **_: object) -> None:
    if answer.status_code == requests.codes["accepted"] and answer.request.method in {"GET", "HEAD"}:
        # Its text was not read yet, and the connection that it is on is nobody's from here on.
        answer.close()
        raise Transient("GitHub is still working the answer out; it is tried again later.")
