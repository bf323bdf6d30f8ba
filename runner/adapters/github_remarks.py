"""What people say of a pull request on GitHub, and our answers.

A comment is ours if our account wrote it and its last line is our marker: text can be forged, an account cannot, and
the account may be a person's own.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from runner.adapters.github_faults import Missing
from runner.adapters.github_house import GithubHouse, Repository
from runner.adapters.github_pulls import demanded
from runner.errors import NotPossible
from runner.ports import Clock
from runner.remarks import Remark, RemarkKind, Stance

Json = dict[str, Any]
_MOST: Final = 300
_KEY: Final = re.compile(r"[a-z0-9:_-]{1,80}")
_MARKER: Final = re.compile(r"(?:\A|\n)<!-- ashigaru:([a-z0-9:_-]{1,80}) -->\s*\Z")
_LINE_ID: Final = re.compile(r"line:(\d{1,18})")
_STANCES: Final = {"APPROVED": Stance.APPROVED, "CHANGES_REQUESTED": Stance.CHANGES_REQUESTED}
_MAY_WRITE: Final = frozenset({"write", "maintain", "admin"})
_ASKED_FOR_S: Final = 300.0
_MAX_PEOPLE: Final = 1000


class Askers:
    """Who has write access, asked of GitHub and believed for five minutes."""

    def __init__(self, house: GithubHouse, clock: Clock) -> None:
        """Asks nothing yet."""
        self._house = house
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[float, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def may_ask(self, repo: Repository, user: Json) -> bool:
        """Whether the user is a person with write access to the repository now."""
        if user.get("type") != "User":
            return False
        key, now = (repo.name.lower(), str(user["login"])), self._clock.monotonic()
        with self._lock:
            at, known = self._known.get(key, (0.0, False))
            if key in self._known and now - at < _ASKED_FOR_S:
                return known
        told = self._house.find(repo, f"/collaborators/{quote(key[1], safe='')}/permission")
        # `permission` tells maintain as write and triage as read.
        may = told is not None and told["permission"] in _MAY_WRITE
        with self._lock:
            self._known[key] = (now, may)
            self._known.move_to_end(key)
            while len(self._known) > _MAX_PEOPLE:
                self._known.popitem(last=False)
        return may


def all_of(house: GithubHouse, askers: Askers, repo: Repository, number: int) -> tuple[Remark, ...]:
    """See `Forge.remarks`."""
    demanded(house, repo, number)
    us = house.auth.login(repo.asked)
    told: list[tuple[RemarkKind, Json]] = [
        *((RemarkKind.COMMENT, one) for one in house.newest(repo, f"/issues/{number}/comments", _MOST)),
        *((RemarkKind.REVIEW, one) for one in house.newest(repo, f"/pulls/{number}/reviews", _MOST) if _asks(one)),
        *((RemarkKind.LINE, one) for one in house.newest(repo, f"/pulls/{number}/comments", _MOST)),
    ]
    said = [(kind, one) for kind, one in told if key_of(one, us) is None]
    said.sort(key=lambda pair: (_at(pair[1]), int(pair[1]["id"])))
    return tuple(_remark(askers, repo, kind, one) for kind, one in said[-_MOST:])


def _asks(review: Json) -> bool:
    state, body = str(review["state"]), str(review["body"] or "")
    return state != "PENDING" and (bool(body.strip()) or state == "CHANGES_REQUESTED")


def _remark(askers: Askers, repo: Repository, kind: RemarkKind, one: Json) -> Remark:
    # An account that was deleted is null.
    user = one.get("user") or {"login": "ghost", "type": "Ghost"}
    line = one.get("line")
    return Remark(
        id=f"{kind}:{int(one['id'])}",
        kind=kind,
        author=str(user["login"]),
        may_ask=askers.may_ask(repo, user),
        body=str(one["body"] or ""),
        at=_at(one),
        stance=_STANCES.get(str(one["state"]), Stance.COMMENTED) if kind is RemarkKind.REVIEW else Stance.COMMENTED,
        path=str(one["path"]) if kind is RemarkKind.LINE else None,
        line=int(line) if kind is RemarkKind.LINE and line is not None else None,
    )


def _at(one: Json) -> float:
    told = one.get("updated_at") or one.get("submitted_at") or one.get("created_at")
    return datetime.fromisoformat(str(told)).timestamp()


def key_of(one: Json, us: str) -> str | None:
    """The key of a comment of ours; None: it is not ours."""
    if str((one.get("user") or {}).get("login") or "").lower() != us.lower():
        return None
    marked = _MARKER.search(str(one.get("body") or "").replace("\r\n", "\n"))
    return None if marked is None else marked[1]


def say(house: GithubHouse, repo: Repository, number: int, key: str, body: str, remark: str | None) -> None:
    """See `Forge.say`."""
    demanded(house, repo, number)
    if not _KEY.fullmatch(key):
        raise NotPossible("A comment's key is 1 to 80 of a-z, 0-9, ':', '_' and '-'; choose another.")
    us = house.auth.login(repo.asked)
    thread = _thread(house, repo, remark)
    conversation, lines = f"/issues/{number}/comments", f"/pulls/{number}/comments"
    text = {"body": f"{body}\n\n<!-- ashigaru:{key} -->"}

    def look() -> bool | None:
        # Both places, whatever it answers: what it answered may have been deleted since it was answered.
        said = [*house.pages(repo, conversation), *house.pages(repo, lines)]
        return True if any(key_of(one, us) == key for one in said) else None

    def tell() -> bool:
        if thread is not None:
            try:
                house.send(repo, "POST", f"{lines}/{thread}/replies", text)
            except Missing:
                pass
            else:
                return True
        house.send(repo, "POST", conversation, text)
        return True

    # One name for one comment, whatever name the repository was asked by.
    house.client.once(look, tell, named=(repo.name.lower(), number, key))


def _thread(house: GithubHouse, repo: Repository, remark: str | None) -> int | None:
    """What began the thread of a remark on a line; GitHub takes replies to nothing else."""
    named = None if remark is None else _LINE_ID.fullmatch(remark)
    told = None if named is None else house.find(repo, f"/pulls/comments/{named[1]}")
    return None if told is None else int(told.get("in_reply_to_id") or told["id"])
