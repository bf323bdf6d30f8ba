"""What an agent says while it works, read from its events file, held against what must not be told, and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runner.files import read_untrusted
from runner.guard import Guard
from runner.layout import AttemptDirs
from runner.ports import Clock
from runner.records import Records
from runner.transcript import Transcript, read_events

_CHUNK_BYTES: Final = 1024 * 1024
_OVERLAP_BYTES: Final = 4096
_EARLIER_EVENTS: Final = 64


@dataclass(frozen=True, kw_only=True)
class EventReader:
    """Reads on from where the transcript ends."""

    records: Records
    clock: Clock
    guard: Guard

    def read(
        self, run_id: str, attempt: int, dirs: AttemptDirs, transcript: Transcript, *, final: bool
    ) -> tuple[bool, Transcript]:
        """Take in what was written since: whether anything was, and the transcript with it. Raises Leaked."""
        chunk = read_untrusted(dirs.out / "events.jsonl", offset=transcript.offset, limit=_CHUNK_BYTES)
        if not chunk:
            return False, transcript
        # Half of a secret may be in what was read last time.
        last = min(transcript.offset, _OVERLAP_BYTES)
        before = read_untrusted(dirs.out / "events.jsonl", offset=transcript.offset - last, limit=last) or b""
        after, events = read_events(transcript, chunk, final=final and len(chunk) < _CHUNK_BYTES)
        said = (event.summary for event in events)
        self.guard.heard(run_id, before, chunk, *self._earlier(run_id, attempt), *said)
        if after == transcript:
            return False, transcript
        self.records.append_events(run_id, attempt, events, after.offset, after, self.clock.now())
        return True, after

    def _earlier(self, run_id: str, attempt: int) -> tuple[str, ...]:
        """What it said last, so that telling a secret in pieces, one at each look, hides nothing."""
        return tuple(one.summary for one in self.records.events(run_id, attempt=attempt, limit=_EARLIER_EVENTS))
