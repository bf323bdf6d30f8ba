"""What GitHub and the way to it may say no with, as the runner's faults. Pure; the clock is given.

Whoever asks GitHub meets three kinds: `Missing` (404), `Declined` (any other refusal), and `Transient`, which may pass
and is tried again. Each is a fault of `runner.errors` as well, so one that nobody takes up says the right thing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import requests
from github.GithubException import (
    BadAttributeException,
    BadCredentialsException,
    BadUserAgentException,
    GithubException,
    IncompletableObject,
    RateLimitExceededExceedsMaxWait,
    RateLimitExceededException,
    TwoFactorException,
    UnknownObjectException,
)
from github.Requester import Requester

from gates.text import clean
from runner.errors import ForgeDown, UnknownRepo

RENEW_S: Final = 1800.0
"""When to ask again where a person has to do something first."""
_SECONDARY_S: Final = 60.0
_DOWN_S: Final = 60.0
_MAX_SAID: Final = 300


class Missing(UnknownRepo):
    """GitHub knows nothing by that name, or does not show it to us."""


class Declined(ForgeDown):
    """GitHub understood, and said no. said: its words, on one line."""

    def __init__(self, message: str, *, status: int, said: str) -> None:
        """Keep what the caller may decide by."""
        super().__init__(message, RENEW_S)
        self.status = status
        self.said = said


class Transient(ForgeDown):
    """It may work in a while. wait_s: when GitHub wants to be asked again, where it says so.

    landed: whether what was asked may have been done all the same.
    """

    def __init__(self, message: str, *, wait_s: float | None = None, landed: bool = True) -> None:
        """Keep how long to wait."""
        super().__init__(message, _DOWN_S if wait_s is None else max(wait_s, 1.0))
        self.wait_s = wait_s
        self.landed = landed


class BadCredential(ForgeDown):
    """GitHub does not take our token or key."""

    def __init__(self) -> None:
        """One sentence, and nothing of the credential."""
        cure = "renew ASHIGARU_GITHUB_TOKEN_FILE, or the App's key, and restart the daemon."
        super().__init__(f"GitHub does not accept the daemon's credential; {cure}", RENEW_S)


class Kind(StrEnum):
    """What one of the library's exceptions means."""

    BY_STATUS = "by status"
    LIMITED = "limited"
    CREDENTIAL = "credential"
    MISSING = "missing"
    ODD = "odd"


KINDS: Final[dict[type[Exception], Kind]] = {
    GithubException: Kind.BY_STATUS,
    BadCredentialsException: Kind.CREDENTIAL,
    TwoFactorException: Kind.CREDENTIAL,
    UnknownObjectException: Kind.MISSING,
    RateLimitExceededException: Kind.LIMITED,
    RateLimitExceededExceedsMaxWait: Kind.LIMITED,
    BadUserAgentException: Kind.BY_STATUS,
    BadAttributeException: Kind.ODD,
    IncompletableObject: Kind.ODD,
}
"""Every exception class of PyGithub; a test holds that none is missing."""


def refused(status: int, headers: dict[str, Any], data: Any, *, now: float) -> ForgeDown | Missing:
    """The fault for an answer of 400 or more. now: UTC seconds."""
    answer = data if isinstance(data, dict) else {}
    said = _said(answer)
    exception = Requester.createException(status, headers, {**answer, "message": str(answer.get("message") or "")})
    kind = KINDS[type(exception)]
    match kind:
        case Kind.CREDENTIAL:
            return BadCredential() if status == 401 else _declined(status, headers, said)
        case Kind.MISSING:
            return Missing("GitHub has no such thing, or the daemon's credential may not see it; check the name.")
        case Kind.LIMITED:
            return _limited(headers, now)
        case Kind.ODD:
            return odd()
        case Kind.BY_STATUS:
            return _by_status(status, headers, said, now)


def _by_status(status: int, headers: dict[str, Any], said: str, now: float) -> ForgeDown | Missing:
    if status == 401:
        return BadCredential()
    if status in {404, 410, 451}:
        return Missing("GitHub has no such thing, or the daemon's credential may not see it; check the name.")
    if status == 429 or (status == 403 and (_number(headers, "retry-after") is not None or _used_up(headers))):
        return _limited(headers, now)
    if status >= 500 or status == 408:
        wait = _number(headers, "retry-after")
        return Transient(f"GitHub answered {status}; it is tried again later.", wait_s=wait)
    return _declined(status, headers, said)


def _limited(headers: dict[str, Any], now: float) -> Transient:
    """Both kinds of limit: nothing was done. Without a word on the time, a minute, as GitHub's documentation asks."""
    wait = _number(headers, "retry-after")
    if wait is None and _used_up(headers):
        reset = _number(headers, "x-ratelimit-reset")
        wait = None if reset is None else max(reset - now, 1.0)
    wait = _SECONDARY_S if wait is None else wait
    return Transient("GitHub's rate limit is used up; it is tried again when it allows.", wait_s=wait, landed=False)


def _declined(status: int, headers: dict[str, Any], said: str) -> Declined:
    if status == 403:
        wanted = clean(str(headers.get("x-accepted-github-permissions") or ""), 100)
        lacks = f" (it asks for {wanted})" if wanted else ""
        text = f"GitHub does not permit that to the daemon's credential{lacks}: {said}"
        return Declined(f"{text}; give it the permission, see docs/operate.md.", status=status, said=said)
    return Declined(f"GitHub refused with {status}: {said}; look at the repository.", status=status, said=said)


def unreachable(exc: requests.RequestException) -> Transient:
    """The fault for an answer that never came whole. It says nothing of the address, which may hold a secret."""
    what = "did not answer in time" if isinstance(exc, requests.Timeout) else "could not be reached"
    return Transient(f"GitHub {what}; it is tried again later.")


def odd() -> Transient:
    """The fault for an answer that makes no sense."""
    return Transient("GitHub's answer could not be read; it is tried again later.")


def _said(answer: dict[str, Any]) -> str:
    errors = answer.get("errors")
    words = [str(answer.get("message") or "no reason")]
    words += [_word(error) for error in (errors[:3] if isinstance(errors, list) else ())]
    return clean(": ".join(word for word in words if word), _MAX_SAID).rstrip(".")


def _word(error: Any) -> str:
    return str(error.get("message") or error.get("code") or "") if isinstance(error, dict) else str(error)


def _used_up(headers: dict[str, Any]) -> bool:
    return _number(headers, "x-ratelimit-remaining") == 0


def _number(headers: dict[str, Any], name: str) -> float | None:
    try:
        return max(float(headers[name]), 0.0)
    except (KeyError, ValueError):
        return None
