"""The daemon's credential for a repository: the operator's token, or a GitHub App's token for that repository alone."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import quote

from github.Auth import AppAuth
from jwt import PyJWTError

from runner.adapters.github_client import GithubClient
from runner.adapters.github_faults import RENEW_S, Declined, Missing
from runner.adapters.github_line import Credential
from runner.errors import ForgeDown, UnknownRepo
from runner.ports import Clock

LEAST_S: Final = 600.0
"""How long a credential is good for at least when it is handed out."""
PERMISSIONS: Final = {
    "actions": "read",
    "checks": "read",
    "contents": "write",
    "issues": "write",
    "metadata": "read",
    "pull_requests": "write",
    "statuses": "write",
}
"""What an App's token may do, and no more."""
_MAX_TOKENS: Final = 500
_NOT_SO: Final = 422
_JWT_S: Final = 540
_DRIFT_S: Final = 60


class GithubAuth(Protocol):
    """Who the daemon is on GitHub."""

    def credential(self, repo: str) -> Credential:
        """For that repository, good for ten minutes at least. Raises UnknownRepo, ForgeDown."""

    def login(self, repo: str) -> str:
        """The name under which the daemon speaks. Raises ForgeDown."""

    def forget(self, repo: str) -> bool:
        """The credential was not accepted; whether asking for it again may give another."""

    def check(self) -> None:
        """Nothing, where the credential is accepted. Raises ForgeDown."""


class TokenAuth:
    """One token for everything."""

    def __init__(self, client: GithubClient, token: str) -> None:
        """Asks nothing yet."""
        self._client = client
        self._credential = Credential(kind="token", secret=token, owner="token")
        self._login: str | None = None

    def credential(self, repo: str) -> Credential:
        """The token, whatever the repository."""
        del repo
        return self._credential

    def login(self, repo: str) -> str:
        """The login of the token's owner, asked once."""
        if self._login is None:
            self._login = str(self._client.get(lambda: self.credential(repo), "/user").data["login"])
        return self._login

    def forget(self, repo: str) -> bool:
        """There is no other."""
        del repo
        return False

    def check(self) -> None:
        """The token has an owner."""
        self._client.get(lambda: self._credential, "/user")


@dataclass(frozen=True, kw_only=True)
class _Held:
    credential: Credential
    expires: float


class InstallationAuth:
    """A GitHub App's tokens, each for one repository with the least permissions; renewed before they expire."""

    def __init__(self, client: GithubClient, clock: Clock, *, app_id: str, key: str) -> None:
        """app_id: the App's id or client id. key: its private key in PEM. Asks nothing yet."""
        self._client = client
        self._clock = clock
        self._app_id = app_id
        self._sign: Callable[[dict[str, Any]], str | bytes] = AppAuth.create_jwt_sign(key, "RS256")
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._lock = threading.Lock()
        self._slug: str | None = None

    def credential(self, repo: str) -> Credential:
        """The repository's own token."""
        with self._lock:
            held = self._held.get(repo)
        if held is not None and held.expires - self._clock.now() > LEAST_S:
            return held.credential
        made = self._made(repo)
        with self._lock:
            self._held[repo] = made
            self._held.move_to_end(repo)
            while len(self._held) > _MAX_TOKENS:
                self._held.popitem(last=False)
        return made.credential

    def login(self, repo: str) -> str:
        """GitHub's name for an App that speaks."""
        del repo
        if self._slug is None:
            self._slug = str(self._client.get(self._as_app, "/app").data["slug"])
        return f"{self._slug}[bot]"

    def forget(self, repo: str) -> bool:
        """The next one asked for is new."""
        with self._lock:
            return self._held.pop(repo, None) is not None

    def check(self) -> None:
        """The App knows itself."""
        self._client.get(self._as_app, "/app")

    def _made(self, repo: str) -> _Held:
        try:
            found = self._client.get(self._as_app, f"/repos/{quote(repo)}/installation").data
            told = self._token(int(found["id"]), repo)
        except Missing as exc:
            cure = "install the App on it, or correct the name."
            raise UnknownRepo(f"The GitHub App is not installed on {repo}; {cure}") from exc
        except Declined as exc:
            cure = "accept its permissions (docs/operate.md lists them) on the installation's page."
            raise ForgeDown(f"GitHub gives the App no token for {repo}: {exc.said}; {cure}", RENEW_S) from exc
        secret, expires = str(told["token"]), datetime.fromisoformat(str(told["expires_at"])).timestamp()
        return _Held(credential=Credential(kind="token", secret=secret, owner=f"app:{repo}"), expires=expires)

    def _token(self, installation: int, repo: str) -> dict[str, Any]:
        try:
            return self._asked(installation, {"repositories": [repo.rpartition("/")[2]], "permissions": PERMISSIONS})
        except Declined as exc:
            if exc.status != _NOT_SO:
                raise
            # The name may be an old one, which GitHub takes in an address and not here; its number stays. To read
            # that takes a token that may read names, and nothing else.
            may_read = str(self._asked(installation, {"permissions": {"metadata": "read"}})["token"])
            reader = Credential(kind="token", secret=may_read, owner=f"reader:{installation}")
            number = int(self._client.get(lambda: reader, f"/repos/{quote(repo)}").data["id"])
            return self._asked(installation, {"repository_ids": [number], "permissions": PERMISSIONS})

    def _asked(self, installation: int, body: dict[str, Any]) -> dict[str, Any]:
        path = f"/app/installations/{installation}/access_tokens"
        # A token too many does no harm: each expires within the hour, so that this may be asked again as it is.
        told: dict[str, Any] = self._client.once(
            lambda: None, lambda: self._client.send(self._as_app, "POST", path, body)
        ).data
        return told

    def _as_app(self) -> Credential:
        now = int(self._clock.now())
        try:
            signed = self._sign({"iat": now - _DRIFT_S, "exp": now + _JWT_S, "iss": self._app_id})
        except (PyJWTError, ValueError, TypeError) as exc:
            cure = "put the App's private key (PEM) into ASHIGARU_GITHUB_APP_KEY_FILE."
            raise ForgeDown(f"The GitHub App's key cannot be used; {cure}", RENEW_S) from exc
        secret = signed.decode() if isinstance(signed, bytes) else signed
        return Credential(kind="Bearer", secret=secret, owner="app")
