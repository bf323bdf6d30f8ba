"""All that the double holds, behind one lock, and what one request is given to work with."""

from __future__ import annotations

import copy
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.github.answers import Answer, not_found
from tests.fakes.github.auth import NOBODY, Kind, Token, demand, sees
from tests.fakes.github.clock import DoubleClock
from tests.fakes.github.faults import Faults
from tests.fakes.github.git import GitStore
from tests.fakes.github.render import Links
from tests.fakes.github.world import Repo, World

LOG_LIMIT = 5000
EVENT_LIMIT = 500


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it was answered. path is without the API's prefix; landed: whether the work was done."""

    method: str
    path: str
    query: str
    status: int
    conditional: bool
    token: str
    landed: bool
    body: Any = None


@dataclass(kw_only=True)
class Allowance:
    """A primary rate limit."""

    limit: int = 5000
    used: int = 0
    reset: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something a webhook would be told."""

    name: str
    action: str | None
    repo: int
    payload: dict[str, Any]


@dataclass(kw_only=True)
class State:
    root: Path
    lock: threading.RLock = field(default_factory=threading.RLock)
    clock: DoubleClock = field(default_factory=DoubleClock)
    world: World = field(default_factory=World)
    tokens: dict[str, Token] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    log: deque[Asked] = field(default_factory=lambda: deque(maxlen=LOG_LIMIT))
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENT_LIMIT))
    allowances: dict[str, Allowance] = field(default_factory=dict)
    downloads: dict[str, tuple[float, bytes]] = field(default_factory=dict)
    # Another server's address that a job's log is redirected to; "": our own.
    log_host: str = ""
    # How many reads of a pull request see `mergeable: null` before it is worked out.
    mergeable_reads: int = 1

    def __post_init__(self) -> None:
        self.git = GitStore(self.root)

    def moment(self) -> World:
        """The world as it is now, to be looked back on."""
        with self.lock:
            kept = copy.deepcopy(self.world)
            for repo in kept.repos.values():
                repo.refs = self.git.refs(repo.id)
            return kept

    def refs(self, repo: Repo) -> dict[str, str]:
        return self.git.refs(repo.id) if repo.refs is None else repo.refs

    def head(self, repo: Repo, branch: str) -> str | None:
        return self.refs(repo).get(f"refs/heads/{branch}")

    def tell(self, name: str, action: str | None, repo: Repo, **payload: Any) -> None:
        """Have the event waiting for the webhooks."""
        self.events.append(Event(name=name, action=action, repo=repo.id, payload=payload))

    def allowance(self, token: Token) -> Allowance:
        whose = token.label or "nobody"
        now = self.clock.now()
        one = self.allowances.setdefault(whose, Allowance(limit=60 if token.kind is Kind.NOBODY else 5000))
        if one.reset <= now:
            one.reset, one.used = now + 3600, 0
        return one


@dataclass(kw_only=True)
class Call:
    """One request under the lock. world: the state's own, or an earlier one for a stale read."""

    state: State
    world: World
    links: Links
    token: Token = NOBODY
    method: str = "GET"
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    part: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.links.api}{self.path}"

    @property
    def now(self) -> float:
        return self.state.clock.now()

    @property
    def login(self) -> str:
        """Under whose name a write appears."""
        if self.token.app is not None:
            return f"{self.token.app}[bot]"
        return self.token.login or "ghost"

    def repo(self, need: str) -> Repo:
        """The repository of the address, if the asker may do this to it."""
        if "id" in self.part:
            found = self.world.repos.get(int(self.part["id"]))
        else:
            name = f"{self.part['owner']}/{self.part['name']}"
            found = self.world.repo(name)
            if found is None:
                moved = self.world.moved_to(name)
                if moved is not None and sees(self.token, moved):
                    rest = self.path.removeprefix(f"/repos/{name}")
                    raise Moved(f"{self.links.api}/repositories/{moved.id}{rest}")
        if found is None or not sees(self.token, found):
            raise not_found()
        demand(self.token, found, need)
        return found


class Moved(Exception):
    """The repository has another name now; this is where it is."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


Handler = Callable[[Call], Answer]
REPO = r"(?:/repos/(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)|/repositories/(?P<id>[0-9]+))"


@dataclass(frozen=True, kw_only=True)
class Way:
    method: str
    pattern: re.Pattern[str]
    handler: Handler


def way(method: str, path: str, handler: Handler) -> Way:
    """A route. `~` at the front stands for a repository by name or id, `<n>` for a number, `<word>` for a segment."""
    shape = REPO + path[1:] if path.startswith("~") else path
    shape = re.sub(r"<n:(\w+)>", r"(?P<\1>[0-9]+)", shape)
    shape = re.sub(r"<rest:(\w+)>", r"(?P<\1>.+)", shape)
    shape = re.sub(r"(?<!\?P)<(\w+)>", r"(?P<\1>[^/]+)", shape)
    return Way(method=method, pattern=re.compile(shape), handler=handler)
