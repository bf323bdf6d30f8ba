"""How long ago something happened to a run, as the host counts it: for what is done only after a while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from runner.ci import AWAITED
from runner.model import REVIEW_PHASES
from runner.moments import Moment, before, passed_s
from runner.records import Records
from runner.timeline import Kept, MomentBook, Timeline

_PREFIX: Final = "since/"
_MOST: Final = 4000
_Value = TypeVar("_Value")


@dataclass(kw_only=True)
class Ages:
    """Ages that no setting of the wall clock changes, once they were asked for; they outlive the daemon."""

    book: MomentBook
    records: Records
    timeline: Timeline
    _known: dict[str, Kept] | None = None
    _seen: dict[str, float] = field(default_factory=dict)

    def now(self, run_id: str, since: float) -> float:
        """The UTC seconds that it is now, had nobody set the wall clock since `since`, when something befell the run.

        One moment a run: another `since` takes its place. Raises RecordsFault.
        """
        name, now = f"{_PREFIX}{run_id}", self.timeline.now()
        if self._known is None:
            self._known = {kept.name: kept for kept in self._left_over(now)}
        kept = self._known.get(name)
        if kept is None or kept.seconds != since:
            begun = before(now, passed_s(Moment(utc=since), now))
            kept = Kept(name=name, begun=begun, seconds=since)
            self.book.keep(kept)
            _room_in(self._known)[name] = kept
        return since + passed_s(kept.begun, now)

    def _left_over(self, now: Moment) -> Iterator[Kept]:
        """What the last daemon knew of runs whose pull request or pipeline is still followed; the rest goes."""
        for kept in self.book.all(_PREFIX):
            run = self.records.run(kept.name.removeprefix(_PREFIX))
            if run is not None and (run.phase in REVIEW_PHASES or run.pipeline in AWAITED):
                # Said anew of this boot, so that from here on the wall clock has no part in it.
                again = replace(kept, begun=before(now, passed_s(kept.begun, now)))
                self.book.keep(again)
                yield again
            else:
                self.book.forget(kept.name)

    def seen_s(self, what: str) -> float:
        """Seconds since that was first asked about, by this process."""
        now = self.timeline.now().up
        return now - _room_in(self._seen).setdefault(what, now)


def _room_in(table: dict[str, _Value]) -> dict[str, _Value]:
    """The table with room for one more: the oldest goes."""
    if len(table) >= _MOST:
        table.pop(next(iter(table)), None)
    return table
