"""GitHub asked and told through PyGithub: in bounded time, again where that may help, and free where nothing changed.

One thing is never done twice: a write whose answer got lost is looked up before it is repeated.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from github.Requester import Requester
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random, wait_random_exponential

from runner.adapters.github_cache import AnswerCache, Kept
from runner.adapters.github_faults import Transient, odd, refused
from runner.adapters.github_line import Answer, Credential, GithubLine
from runner.errors import ForgeDown
from runner.ports import Clock

T = TypeVar("T")

PER_PAGE: Final = 100
_MAX_PAGES: Final = 20
_LAST: Final = re.compile(r'[?&]page=(\d{1,6})[^>]*>; rel="last"')
_SPREAD: Final = wait_random(0, 1)
_GROWING: Final = wait_random_exponential(multiplier=1, min=0.2, max=15)
# A read may be older than a write just made: a lost write counts as not done when it was looked for in vain twice.
_LOOKS: Final = 2
_LOOK_AGAIN_S: Final = 2.0
# GitHub makes the same comment as often as it is told, so one that got lost is looked for longer: 14 s in all.
_PATIENT_LOOKS: Final = 4
_MAX_LOST: Final = 1000


class _Thread(threading.local):
    """What belongs to one thread."""

    line: GithubLine | None = None
    deadline: float | None = None


class GithubClient:
    """A GitHub server at `url` (its REST root).

    timeout_s: for one answer to begin or go on. deadline_s: for everything within one `bounded` block: no request
    begins after it, and a wait that would not end before it is not begun. Thread-safe.
    """

    def __init__(self, url: str, clock: Clock, *, timeout_s: float = 20.0, deadline_s: float = 90.0) -> None:
        """Connects to nothing yet."""
        self.url = url.rstrip("/")
        self._clock = clock
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._cache = AnswerCache()
        self._thread = _Thread()
        self._lost: OrderedDict[Hashable, None] = OrderedDict()
        self._lost_lock = threading.Lock()
        # At DEBUG it logs whole answers, and one of them is a new token.
        logging.getLogger("github").setLevel(logging.INFO)

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Everything inside shares one deadline; the outermost counts."""
        if self._thread.deadline is not None:
            yield
            return
        self._thread.deadline = self._clock.monotonic() + self._deadline_s
        try:
            yield
        finally:
            self._thread.deadline = None

    @property
    def timeout_s(self) -> float:
        """For one answer to begin or go on."""
        return self._timeout_s

    @property
    def left_s(self) -> float:
        """Seconds until the deadline of the block around this."""
        deadline = self._thread.deadline
        return self._deadline_s if deadline is None else max(deadline - self._clock.monotonic(), 0.0)

    # --- asking ------------------------------------------------------------------------------------------------

    def get(self, credential: Callable[[], Credential], path: str, **query: str) -> Answer:
        """The answer to a GET. Raises Missing, Declined, ForgeDown."""
        return self._again(lambda: self._read(credential(), path, query))

    def pages(
        self, credential: Callable[[], Credential], path: str, key: str | None = None, **query: str
    ) -> list[dict[str, Any]]:
        """Every item of a list, or of its `key`. Raises ForgeDown also where there are more than 2,000."""
        found: list[dict[str, Any]] = []
        for page in range(1, _MAX_PAGES + 1):
            answer = self.get(credential, path, **query, per_page=str(PER_PAGE), page=str(page))
            found += answer.data if key is None else answer.data[key]
            if 'rel="next"' not in str(answer.headers.get("link", "")):
                return found
        raise ForgeDown("GitHub lists more than can be looked at; tidy up the pull request or its checks.", 3600.0)

    def newest(
        self, credential: Callable[[], Credential], path: str, at_least: int, **query: str
    ) -> list[dict[str, Any]]:
        """The last items (at least so many, if there are) of a list that is told oldest first, in its order."""
        query = {**query, "per_page": str(PER_PAGE)}
        first = self.get(credential, path, **query, page="1")
        link = _LAST.search(str(first.headers.get("link", "")))
        last = int(link[1]) if link else 1
        # The last page may hold a single item.
        start = max(1, last - (at_least + PER_PAGE - 1) // PER_PAGE)
        found: list[dict[str, Any]] = list(first.data) if start == 1 else []
        for page in range(max(start, 2), last + 1):
            found += self.get(credential, path, **query, page=str(page)).data
        return found

    # --- telling -----------------------------------------------------------------------------------------------

    def once(self, look: Callable[[], T | None], tell: Callable[[], T], *, named: Hashable = None) -> T:
        """What `look` finds done, or else what `tell` does. After an answer that got lost it looks before it tells
        again, and more than once, for what is read may be older than what was written. Raises what both raise.

        named: what is told, where nothing but looking keeps it from being done twice. That its answer got lost is
        remembered beyond this call until it is found, and it is looked for longer.
        """
        lost = self._is_lost(named)

        def attempt() -> T:
            nonlocal lost
            looks = _LOOKS if named is None else _PATIENT_LOOKS
            for turn in range(looks if lost else 1):
                if turn:
                    self._pause(_LOOK_AGAIN_S * 2 ** (turn - 1))
                found = look()
                if found is not None:
                    self._was_found(named)
                    return found
            try:
                return tell()
            except Transient as trouble:
                if trouble.landed:
                    lost = True
                    self._was_lost(named)
                raise

        return self._again(attempt)

    def awaited(self, look: Callable[[], T | None]) -> T | None:
        """What `look` finds of something that should be there; it counts as missing when looked for in vain thrice."""
        for _ in range(_LOOKS):
            found = look()
            if found is not None:
                return found
            self._pause(_LOOK_AGAIN_S)
        return look()

    def send(self, credential: Callable[[], Credential], verb: str, path: str, body: Any = None) -> Answer:
        """One write, not repeated: for the `tell` of `once`. Raises Missing, Declined, Transient, ForgeDown."""
        return self._exchange(credential(), verb, path, {}, {}, body)

    def mutate(self, credential: Callable[[], Credential], name: str, node: str) -> None:
        """One GraphQL mutation of a pull request, not repeated. Raises Declined, Transient, ForgeDown."""
        query = (
            f"mutation Do($input: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $input) {{ clientMutationId }} }}"
        )
        body = {"query": query, "variables": {"input": {"pullRequestId": node}}}
        with self.bounded():
            answer = self._exchange(credential(), "POST", self._line().graphql_url, {}, {}, body)
        errors = answer.data.get("errors")
        if errors:
            raise refused(422, answer.headers, {"message": "GitHub refused", "errors": errors}, now=self._clock.now())

    # --- inside ------------------------------------------------------------------------------------------------

    def _again(self, attempt: Callable[[], T]) -> T:
        """`attempt`, repeated while it is Transient and the deadline is far enough."""
        with self.bounded():
            return Retrying(
                retry=retry_if_exception_type(Transient),
                wait=_wait,
                stop=self._too_late,
                sleep=self._clock.sleep,
                reraise=True,
            )(attempt)

    def _is_lost(self, named: Hashable) -> bool:
        with self._lost_lock:
            return named in self._lost

    def _was_lost(self, named: Hashable) -> None:
        if named is None:
            return
        with self._lost_lock:
            self._lost[named] = None
            self._lost.move_to_end(named)
            while len(self._lost) > _MAX_LOST:
                self._lost.popitem(last=False)

    def _was_found(self, named: Hashable) -> None:
        with self._lost_lock:
            self._lost.pop(named, None)

    def _too_late(self, state: RetryCallState) -> bool:
        return state.upcoming_sleep >= self.left_s

    def _pause(self, seconds: float) -> None:
        if seconds >= self.left_s:
            raise Transient("GitHub could not be asked in time; it is tried again later.")
        self._clock.sleep(seconds)

    def _read(self, credential: Credential, path: str, query: dict[str, str]) -> Answer:
        key = (credential.owner, Requester.add_parameters_to_url(path, query))
        kept = self._cache.find(key)
        condition = {} if kept is None else {"If-None-Match": kept.etag}
        answer = self._exchange(credential, "GET", path, query, condition, None)
        if answer.status == 304 and kept is not None:
            return Answer(status=200, headers={**answer.headers, "link": kept.link}, data=json.loads(kept.text))
        etag = answer.headers.get("etag")
        if answer.status == 200 and etag:
            link = str(answer.headers.get("link", ""))
            self._cache.keep(key, Kept(etag=str(etag), link=link, text=json.dumps(answer.data)))
        return answer

    def _exchange(
        self, credential: Credential, verb: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any
    ) -> Answer:
        return self._understood(*self._ask(credential, verb, path, query, headers, body))

    def _ask(
        self, credential: Credential, verb: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any
    ) -> tuple[int, dict[str, Any], str]:
        if self.left_s <= 0:
            raise Transient("GitHub could not be asked in time; it is tried again later.", landed=False)
        return self._line().ask(credential, verb, path, query, headers, body)

    def _understood(self, status: int, headers: dict[str, Any], text: str) -> Answer:
        if status in {307, 308}:
            # It was renamed this moment; PyGithub follows reads only. The next call asks under the new name.
            raise Transient("GitHub has moved the repository; it is tried again later.", landed=False)
        try:
            data = json.loads(text) if text.strip() else None
        except ValueError as exc:
            if status < 400 and status not in {301, 302}:
                raise odd() from exc
            data = None
        if status >= 400:
            raise refused(status, headers, data, now=self._clock.now())
        return Answer(status=status, headers=headers, data=data)

    def _line(self) -> GithubLine:
        if self._thread.line is None:
            self._thread.line = GithubLine(self.url, self._timeout_s)
        return self._thread.line


def _wait(state: RetryCallState) -> float:
    trouble = None if state.outcome is None else state.outcome.exception()
    if isinstance(trouble, Transient) and trouble.wait_s is not None:
        return trouble.wait_s + _SPREAD(state)
    return _GROWING(state)
