"""What an agent says while it works, read from its events file, held against what must not be told, and kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from runner.files import longer_than, read_untrusted
from runner.guard import Guard
from runner.layout import AttemptDirs
from runner.ports import Clock
from runner.precedence import Precedence
from runner.records import Records
from runner.transcript import Transcript, read_events

_CHUNK_BYTES: Final = 1024 * 1024
_OVERLAP_BYTES: Final = 4096
_EARLIER_EVENTS: Final = 64


@dataclass(frozen=True, kw_only=True)
class EventReader:
    """Reads what agents say."""

    records: Records
    clock: Clock
    guard: Guard
    precedence: Precedence

    def of(self, run_id: str, attempt: int, dirs: AttemptDirs) -> AttemptReader:
        """What reads one attempt's events, in the one thread that watches it."""
        return AttemptReader(self, run_id, attempt, dirs)


class AttemptReader:
    """Reads on from where the transcript ends."""

    def __init__(self, reader: EventReader, run_id: str, attempt: int, dirs: AttemptDirs) -> None:
        """Read nothing yet."""
        self.records, self.clock, self.guard = reader.records, reader.clock, reader.guard
        self._precedence = reader.precedence
        self._run_id, self._attempt = run_id, attempt
        self._path = dirs.out / "events.jsonl"
        self._said: deque[str] | None = None

    def read(self, transcript: Transcript, *, final: bool) -> tuple[bool, Transcript]:
        """Take in what was written since: whether anything was, and the transcript with it. Raises Leaked."""
        if not longer_than(self._path, transcript.offset):
            return False, transcript
        with self._precedence.after():
            return self._taken_in(transcript, final=final)

    def _taken_in(self, transcript: Transcript, *, final: bool) -> tuple[bool, Transcript]:
        run_id, attempt = self._run_id, self._attempt
        chunk = read_untrusted(self._path, offset=transcript.offset, limit=_CHUNK_BYTES)
        if not chunk:
            return False, transcript
        # Half of a secret may be in what was read last time.
        last = min(transcript.offset, _OVERLAP_BYTES)
        before = read_untrusted(self._path, offset=transcript.offset - last, limit=last) or b""
        after, events = read_events(transcript, chunk, final=final and len(chunk) < _CHUNK_BYTES)
        earlier, said = self._earlier(), [event.summary for event in events]
        self.guard.heard(run_id, before, chunk, *earlier, *said)
        if after == transcript:
            return False, transcript
        self.records.append_events(run_id, attempt, events, after.offset, after, self.clock.now())
        earlier.extend(said)
        return True, after

    def _earlier(self) -> deque[str]:
        """What it said last, so that telling a secret in pieces, one at each look, hides nothing."""
        if self._said is None:
            known = self.records.events(self._run_id, attempt=self._attempt, limit=_EARLIER_EVENTS)
            self._said = deque((one.summary for one in known), maxlen=_EARLIER_EVENTS)
        return self._said
