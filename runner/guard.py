"""Nothing that must not leave does: our own secrets and canaries, and what looks like anybody's credential.

What holds one of our own is never kept, told or tried again: how it got there is a question for the operator.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from runner.changes import ChangeKind, FileChange
from runner.errors import BadIntent, Leaked, NotPossible
from runner.leaks import Leak, Marked, Watchlist
from runner.ports import Clock, SecretScanner
from runner.records import NoticeKind, Records, RunRecord

MAX_LINES: Final = 40_000
_RUNS_AT_ONCE: Final = 256
_MAX_REASONS: Final = 5
_AFTERWARDS: Final = "renew that secret, find out how it was read, and dispatch the ticket again"
_LENIENT: Final = re.compile(
    r"(?:.*/)?(?:tests?|specs?|__tests__|testdata|fixtures?|examples?|docs?)/.*"
    r"|(?:.*/)?(?:test_[^/]*|[^/]*[._](?:test|spec)\.[^/]*|[^/]*\.(?:md|rst|lock)|[^/]*-lock\.[^/]*|go\.sum)",
    re.IGNORECASE,
)


def sound(run: RunRecord) -> None:
    """Nothing, for a run that may go on. Raises NotPossible for one that is quarantined."""
    if run.quarantined is not None:
        raise NotPossible(f"The run is quarantined ({run.quarantined}); {_AFTERWARDS}, with work_ticket.")


@dataclass(frozen=True, kw_only=True)
class Guard:
    """marked: the daemon's own secrets. canary: a run's own, which stands where no sandbox may read."""

    records: Records
    clock: Clock
    scanner: SecretScanner
    marked: tuple[Marked, ...]
    canary: Callable[[str], str]
    own: Watchlist = field(init=False, repr=False)
    _canaries: Callable[[str], Watchlist] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make ready what is looked for every time."""
        object.__setattr__(self, "own", Watchlist(self.marked))
        # What an agent says is looked at several times a second, and a run's canary is the same all along.
        object.__setattr__(self, "_canaries", lru_cache(maxsize=_RUNS_AT_ONCE)(self._canary_list))

    def plant(self, path: Path, run_id: str) -> None:
        """Have the run's canary at `path`, beside what its sandboxes are shown. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            handle.write(self.canary(run_id))

    # --- ours ---

    def heard(self, run_id: str, *parts: str | bytes) -> None:
        """What an agent printed may be kept. Its own placeholder may stand there: it lies open to it. Raises Leaked."""
        self._pass(run_id, self.own.find(*parts) or self._canaries(run_id).find(*parts))

    def leaving(self, run_id: str, *parts: str | bytes) -> None:
        """What is about to be committed, pushed or told on a forge may be. Raises Leaked."""
        run = self.own.find(*parts) or self._canaries(run_id).find(*parts) or self._placeholders(run_id).find(*parts)
        self._pass(run_id, run)

    def _pass(self, run_id: str, leak: Leak | None) -> None:
        if leak is None:
            return
        told = f"What came of the run held a secret ({leak}), so it is quarantined: {_AFTERWARDS}."
        now = self.clock.now()
        self.records.change(run_id, {"quarantined": str(leak)}, now)
        self.records.notify(run_id, "quarantined", NoticeKind.QUARANTINED, told, now)
        raise Leaked(told)

    def _canary_list(self, run_id: str) -> Watchlist:
        return Watchlist([Marked(name="the run's canary", value=self.canary(run_id))])

    def _placeholders(self, run_id: str) -> Watchlist:
        attempts = self.records.attempts(run_id)
        return Watchlist([Marked(name="an attempt's placeholder", value=one.placeholder) for one in attempts])

    # --- anybody's ---

    def refusals(self, changes: Sequence[FileChange], before: Callable[[str], bytes | None]) -> tuple[str, ...]:
        """Sentences on lines that the changes add and that look like a credential. before: a path's bytes at the base.

        A name of a path is a line of it. In tests, examples, documents and lock files a word such as "password" proves
        nothing; formats that are a service's own count everywhere.
        """
        left, told = MAX_LINES, list[str]()
        for change in changes:
            if change.kind is ChangeKind.DELETE or change.content is None:
                continue
            added = list(_added(change, before(change.path)))
            left -= len(added)
            if left < 0:
                return (f"More than {MAX_LINES} lines are added, too many to be searched for secrets; change less.",)
            words = _LENIENT.fullmatch(change.path) is None
            for index, kind in self.scanner.findings([line for _, line in added], words=words):
                told.append(
                    f"{change.path[:120]!r}, line {added[index][0]}, holds what looks like a credential ({kind}); "
                    "take it out, and have it read from the environment."
                )
        return tuple(told[:_MAX_REASONS])

    def asked(self, what: str, text: str) -> None:
        """What a caller said may be told to an agent and to a forge. Raises BadIntent."""
        if self.own.find(text) is not None:
            raise BadIntent(f"{what} holds one of the daemon's own secrets; leave it out, and renew it.")
        for index, kind in self.scanner.findings(text.splitlines(), words=False):
            raise BadIntent(
                f"{what} holds what looks like a credential ({kind}) in line {index + 1}; leave it out, for agents and "
                "pull requests would show it."
            )


def _added(change: FileChange, before: bytes | None) -> Iterator[tuple[int, str]]:
    """(number, line) of every line that the base's file does not hold; number 0 is the path itself."""
    known = set() if before is None else set(_lines(before))
    if before is None:
        yield 0, change.path
    for number, line in enumerate(_lines(change.content or b""), 1):
        if line not in known:
            yield number, line


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").splitlines()
