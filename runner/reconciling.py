"""What became of a run on the forge since its records were written: a backup that was put back is older than that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from runner.model import REVIEW_PHASES, WORKING_PHASES, Cause, Phase, Pull, PullState, RoundInput
from runner.ports import Clock, Forge
from runner.records import NoticeKind, Records, RunChange, RunRecord
from runner.restarting import Restarter
from runner.round_after import round_after

_MAX_KEY: Final = 160


@dataclass(frozen=True, kw_only=True)
class AsRecorded:
    """The forge shows nothing that is not on record."""


@dataclass(frozen=True, kw_only=True)
class Landed:
    """Its pull request was merged, as `sha`."""

    pull: Pull
    sha: str


@dataclass(frozen=True, kw_only=True)
class Shut:
    """Its pull request was closed by somebody."""

    pull: Pull


@dataclass(frozen=True, kw_only=True)
class Adopt:
    """Its pull request is open, with a head that is not on record."""

    pull: Pull


@dataclass(frozen=True, kw_only=True)
class TakeUp:
    """Its branch holds work that is not on record, and no pull request shows it."""

    commit: str


Found: TypeAlias = AsRecorded | Landed | Shut | Adopt | TakeUp


def compare(run: RunRecord, pull: Pull | None, tip: str | None) -> Found:
    """What the forge knows of the run that its record does not. pull: the newest of its branch, whatever its state."""
    if pull is None:
        return AsRecorded() if tip is None or tip == run.head_sha else TakeUp(commit=tip)
    match pull.state:
        case PullState.MERGED:
            return Landed(pull=pull, sha=pull.merged_sha or pull.head_sha)
        case PullState.CLOSED:
            return Shut(pull=pull)
        case PullState.OPEN:
            known = run.pull == pull.number and run.head_sha == pull.head_sha
            return AsRecorded() if known else Adopt(pull=pull)
    assert_never(pull.state)


@dataclass(frozen=True, kw_only=True)
class Reconciler:
    """Puts on record what the forge knows of a live run. merged: puts a merge on record."""

    records: Records
    forge: Forge
    clock: Clock
    restarter: Restarter
    merged: Callable[[RunRecord, str], object]

    def reconcile(self, run: RunRecord, last: RoundInput) -> None:
        """Have the run go on from where the forge shows it to be; a round of it starts again.

        Raises ForgeDown, and Rejected where the forge does not show the repository; then nothing is done. To be cut
        off anywhere and done again comes to the same.
        """
        pull = self.forge.pull_of(run.repo, run.branch)
        tip = self.forge.tip(run.repo, run.branch) if pull is None else None
        match compare(run, pull, tip):
            case AsRecorded():
                if run.phase in WORKING_PHASES:
                    self.restarter.again(run, last)
            case TakeUp(commit=commit):
                self._tell(run, f"Its branch holds work that was not on record ({commit[:12]}); it goes on from there.")
                # With the round and not before it: a head that is on record has nothing more to be taken up.
                self.restarter.again(run, last, start_commit=commit, also={"head_sha": commit, "head_tree": None})
            case Landed(pull=found, sha=sha):
                self._tell(run, f"Pull request #{found.number} was merged as {sha[:12]}, which was not on record.")
                self._show(run, found)
                self._end(run)
                self.merged(self._now(run), sha)
            case Shut(pull=found):
                self._tell(run, f"Pull request #{found.number} was closed on the forge, which was not on record.")
                self._show(run, found)
                self._end(run)
                change: RunChange = {"phase": Phase.CANCELLED, "reason": "The pull request was closed on the forge."}
                self.records.change(run.run_id, change | {"retry_at": None}, self.clock.now())
                self.records.release(run.run_id)
            case Adopt(pull=found):
                self._adopt(run, last, found)

    def _adopt(self, run: RunRecord, last: RoundInput, found: Pull) -> None:
        """The head there is has no verdict on record: the gates judge it, without an agent."""
        self._tell(run, f"The head of pull request #{found.number} was not on record; the gates judge it again.")
        seen = replace(run, pull=found.number, head_sha=found.head_sha)
        rejudged = round_after(
            last,
            seen,
            cause=Cause.BASE_MOVED,
            ladder=last.ladder,
            bounds=last.bounds,
            feedback=None,
            start_tier=last.start_tier,
        )
        self.restarter.again(run, rejudged, also=self._shown(run, found))

    def _show(self, run: RunRecord, found: Pull) -> None:
        self.records.change(run.run_id, self._shown(run, found), self.clock.now())

    def _shown(self, run: RunRecord, found: Pull) -> RunChange:
        change: RunChange = {
            "pull": found.number,
            "pull_url": found.url,
            "head_sha": found.head_sha,
            "published_at": self.clock.now(),
        }
        if found.head_sha != run.head_sha:
            change |= {"head_tree": None}
        return change

    def _end(self, run: RunRecord) -> None:
        """No round of the run goes on."""
        if run.phase not in REVIEW_PHASES:
            self.restarter.rounds.fence(run.run_id, run.round)
        self.restarter.closing.clear(run.run_id)

    def _now(self, run: RunRecord) -> RunRecord:
        return self.records.run(run.run_id) or run

    def _tell(self, run: RunRecord, text: str) -> None:
        # By what is told: whoever was cut off tells it again.
        self.records.notify(run.run_id, f"restored:{text}"[:_MAX_KEY], NoticeKind.RESTORED, text, self.clock.now())
