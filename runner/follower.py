"""Follows pull requests to their end: their checks, what people say of them, the pipeline after the merge.

Everything is read from the forge and from the records at every look, so a look that a crash cut off is just done again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol, assert_never

from runner.ages import Ages
from runner.allowed import FollowPolicy
from runner.answering import MAX_REMARKS, RoundEnd, answer, dispositions, feedback_from_remarks
from runner.brief import feedback_from_ci
from runner.ci import AWAITED, Ci, CiState, weigh
from runner.errors import Leaked, Rejected, Unavailable
from runner.following import Deed, Landed, Repair, Rest, Revise, Show, Shut, Sight, decide, may_ask
from runner.guard import Guard
from runner.model import DONE_PHASES, REVIEW_PHASES, Cause, Check, CheckState, Phase, RoundInput
from runner.ports import Checkouts, Clock, Forge
from runner.publishing import LABEL_UNJUDGED
from runner.reasons import UNSEEN, of_the_round, unseen
from runner.records import NoticeKind, Records, RunChange, RunRecord
from runner.remarks import Remark, TakenUp
from runner.round_after import round_after, tier_above, tier_of
from runner.unseen import Unseen

_LOG: Final = logging.getLogger(__name__)
_STALE_S: Final = 60.0
"""So long after a push a forge may still show what was there before it."""
_LOG_BYTES: Final = 16 * 1024
_DIFF_BYTES: Final = 32 * 1024
_MAX_LOGS: Final = 5


class Submit(Protocol):
    """Has a further round of a run begin, and writes these fields of the run along with it."""

    def __call__(self, round_input: RoundInput, also: RunChange | None = None, /) -> None:
        """See the class."""


@dataclass(frozen=True, kw_only=True)
class Follower:
    """Looks at one run at a time. alone: keeps callers away from a run meanwhile.

    landed: puts a merge on record, and says whether it was ours.
    """

    records: Records
    forge: Forge
    checkouts: Checkouts
    clock: Clock
    ages: Ages
    policy: FollowPolicy
    alone: Callable[[str], AbstractContextManager[None]]
    landed: Callable[[RunRecord, str], bool]
    submit: Submit
    guard: Guard
    unseen: Unseen = field(default_factory=Unseen)

    def look(self, run_id: str) -> bool:
        """Look once, and do what is due; whether anything came of it. Raises RunnerError when the world is away.

        Where that is for longer, or until a person does something, the run says so until the next look that sees.
        """
        try:
            came = self._look(run_id)
        except (Rejected, Unavailable) as exc:
            self._tell_unseen(run_id, exc)
            raise
        self.unseen.seen(run_id)
        return came

    def _look(self, run_id: str) -> bool:
        run = self.records.run(run_id)
        if run is None:
            return False
        if run.phase in DONE_PHASES:
            return self._pipeline(run)
        if run.phase not in REVIEW_PHASES or run.pull is None or run.head_sha is None:
            return False
        try:
            answered = self._answer(run, run.pull)
        except Leaked as exc:
            self.records.change(run_id, {"phase": Phase.BLOCKED, "reason": str(exc)}, self.clock.now())
            self.records.release(run_id)
            return True
        seen = self._see(run, run.pull, run.head_sha)
        if seen is None:
            return answered
        # Read again: what was just answered counts.
        deed = decide(self.records.run(run_id) or run, seen, self.policy.bounds)
        # What takes long is read before others have to wait for it.
        logs = self._logs(run, deed.ci.failed) if isinstance(deed, Repair) else ()
        with self.alone(run_id):
            now = self.records.run(run_id)
            if now is None or (now.phase, now.round, now.head_sha) != (run.phase, run.round, run.head_sha):
                return True
            return self._do(now, deed, seen.ci, logs) or answered

    # --- seeing ---

    def _tell_unseen(self, run_id: str, why: Rejected | Unavailable) -> None:
        run, reason = self.records.run(run_id), unseen(str(why))
        if run is None or run.phase not in REVIEW_PHASES:
            return
        if self.unseen.failed(run_id, why, self.clock.monotonic()) and run.reason != reason:
            self.records.change(run_id, {"reason": reason}, self.clock.now())

    def _see(self, run: RunRecord, number: int, head: str) -> Sight | None:
        """What the forge shows of the run now; None where what it shows is from before our push."""
        now = self.clock.now()
        pull = self.forge.pull(run.repo, number)
        since = run.published_at or run.updated_at
        counted = self.ages.now(run.run_id, since)
        if (pull is None or pull.head_sha != head) and counted - since < _STALE_S:
            return None
        checks = self.forge.checks(run.repo, head)
        self.records.save_checks(run.run_id, checks, now)
        required = self.forge.required_checks(run.repo, run.base_branch)
        ci = weigh(checks, required, self.policy.ci, since=since, now=counted)
        remarks = self.forge.remarks(run.repo, number)
        # A round that a crash kept from beginning has taken nothing up.
        known = {one.remark: one.at for one in self.records.taken_up(run.run_id) if one.round <= run.round}
        unanswered = may_ask(remarks, known)[:MAX_REMARKS]
        return Sight(
            pull=pull,
            ci=ci,
            red_before=self._red_before(run) if ci.state is CiState.RED else frozenset(),
            unanswered=unanswered,
            settled=all(self._settled(one, now) for one in unanswered),
            unjudged=self._unjudged(run),
        )

    def _settled(self, remark: Remark, now: float) -> bool:
        # By our own count too: a wall clock that was set back would have it settle when the day is over.
        counted = self.ages.seen_s(f"{remark.id}@{remark.at}")
        return max(now - remark.at, counted) >= self.policy.settle_s

    def _red_before(self, run: RunRecord) -> frozenset[str]:
        if run.base_sha is None:
            return frozenset()
        return frozenset(
            check.name
            for check in self.forge.checks(run.repo, run.base_sha)
            if check.state is CheckState.FAILED and self.policy.ci.counts(check)
        )

    def _unjudged(self, run: RunRecord) -> bool:
        last = [one for one in self.records.judgements(run.run_id) if one.commit == run.head_sha]
        return bool(last) and last[-1].verdict.kind == "unjudged"

    def _logs(self, run: RunRecord, failed: tuple[Check, ...]) -> tuple[tuple[str, str], ...]:
        return tuple(
            (check.name, self.forge.check_log(run.repo, check, _LOG_BYTES) or check.summary)
            for check in failed[:_MAX_LOGS]
        )

    # --- doing ---

    def _do(self, run: RunRecord, deed: Deed, ci: Ci, logs: tuple[tuple[str, str], ...]) -> bool:
        match deed:
            case Landed(sha=sha):
                if not self.landed(run, sha):
                    told = f"Somebody merged it on the forge, as {sha[:12]}."
                    self._tell(run, f"merged:{sha}", NoticeKind.MERGED, told)
                return True
            case Shut(reason=reason):
                self._tell(run, f"closed:{run.round}", NoticeKind.CLOSED, reason)
                change: RunChange = {"phase": Phase.CANCELLED, "reason": reason, "retry_at": None}
                self.records.change(run.run_id, change, self.clock.now())
                self.records.release(run.run_id)
                return True
            case Revise():
                return self._revise(run, deed)
            case Repair():
                return self._repair(run, deed, logs)
            case Show():
                self.forge.ready(run.repo, run.pull or 0, drop_labels=(LABEL_UNJUDGED,))
                told = f"CI vouches for it, and it is ready for review: {ci.summary}"
                self._tell(run, f"ci-green:{run.head_sha}", NoticeKind.CI_GREEN, told)
                return self._rest(run, Rest(phase=Phase.AWAITING_REVIEW), ci)
            case Rest():
                return self._rest(run, deed, ci)
        assert_never(deed)

    def _rest(self, run: RunRecord, deed: Rest, ci: Ci) -> bool:
        moved = (run.phase, run.ci) != (deed.phase, ci.state)
        blind = (run.reason or "").startswith(UNSEEN)
        if not moved and not blind and deed.reason in {None, run.reason}:
            return False
        change: RunChange = {"phase": deed.phase, "ci": ci.state, "reason": deed.reason}
        self.records.change(run.run_id, change, self.clock.now())
        if deed.reason is not None and ci.state is CiState.RED:
            self._tell(run, f"ci-stopped:{run.head_sha}", NoticeKind.CI_STOPPED, deed.reason)
        return True

    def _revise(self, run: RunRecord, deed: Revise) -> bool:
        last = self.records.round_input(run.run_id, run.round)
        if last is None:
            return False
        told = tuple((one.id, one.at) for one in deed.remarks)
        self.records.take_up(run.run_id, run.round + 1, told)
        following = round_after(
            last,
            run,
            cause=Cause.REVIEW,
            ladder=self.policy.ladder,
            bounds=self.policy.bounds,
            feedback=feedback_from_remarks(deed.remarks),
            start_tier=tier_of(run, self.policy.ladder),
            remarks=tuple(one.id for one in deed.remarks),
        )
        self.submit(following, {"review_rounds": run.review_rounds + 1})
        return True

    def _repair(self, run: RunRecord, deed: Repair, logs: tuple[tuple[str, str], ...]) -> bool:
        last = self.records.round_input(run.run_id, run.round)
        if last is None or run.head_sha is None:
            return False
        diff = self.checkouts.diff(run.run_id, run.base_sha or run.head_sha, run.head_sha, _DIFF_BYTES)
        following = round_after(
            last,
            run,
            cause=Cause.CI,
            ladder=self.policy.ladder,
            bounds=self.policy.bounds,
            feedback=feedback_from_ci(logs, diff),
            start_tier=tier_above(run, self.policy.ladder),
        )
        self._tell(
            run, f"ci-red:{run.head_sha}", NoticeKind.CI_RED, f"CI is red; a round repairs it. {deed.ci.summary}"
        )
        also: RunChange = {"ci": deed.ci.state, "ci_rounds": run.ci_rounds + 1, "ci_repaired": run.head_sha}
        self.submit(following, also)
        return True

    # --- answering ---

    def _answer(self, run: RunRecord, number: int) -> bool:
        """Everything that an ended round was told of has its answer where it was said."""
        taken = [one for one in self.records.taken_up(run.run_id) if one.round <= run.round]
        due = [one for one in taken if one.answered_at is None]
        for told in due:
            said = answer(told.number, self._round_end(run, told))
            self.guard.leaving(run.run_id, said)
            # By what was said and not by the round: records that are older than the forge number rounds anew.
            self.forge.say(run.repo, number, f"a{int(told.at)}:{told.remark}", said, remark=told.remark)
            self.records.answered(run.run_id, told.remark, self.clock.now())
        # Of the last round always: a crash may have come between its last answer and what is told of it.
        last = [one for one in taken if one.round == max(each.round for each in taken)]
        for ended in sorted({one.round for one in (*due, *last)}):
            count = sum(one.round == ended for one in taken)
            if self._tell(run, f"answered:{ended}", NoticeKind.REVIEW, f"Answered {count} remarks of reviewers."):
                fruitless = 0 if self._changed(run, ended) else run.fruitless + 1
                self.records.change(run.run_id, {"fruitless": fruitless}, self.clock.now())
        return bool(due)

    def _round_end(self, run: RunRecord, told: TakenUp) -> RoundEnd:
        attempts = [one for one in self.records.attempts(run.run_id) if one.round == told.round]
        last = attempts[-1].transcript if attempts else None
        words = "" if last is None or last.result is None else last.result.text
        return RoundEnd(
            head_sha=run.head_sha if self._changed(run, told.round) else None,
            reason=of_the_round(run.reason),
            said=dispositions(words),
        )

    def _changed(self, run: RunRecord, number: int) -> bool:
        began = self.records.round_input(run.run_id, number)
        return began is not None and began.start_commit != run.head_sha

    # --- after the merge ---

    def _pipeline(self, run: RunRecord) -> bool:
        if run.pipeline not in AWAITED or run.merged_sha is None:
            return False
        now = self.clock.now()
        checks = self.forge.checks(run.repo, run.merged_sha)
        self.records.save_checks(run.run_id, checks, now)
        since = run.merged_at or run.updated_at
        ci = weigh(checks, (), self.policy.ci, since=since, now=self.ages.now(run.run_id, since))
        if ci.state == run.pipeline:
            return False
        change: RunChange = {"pipeline": ci.state}
        if ci.state is CiState.GREEN:
            change |= {"phase": Phase.SHIPPED}
            self._tell(run, "shipped", NoticeKind.SHIPPED, f"Shipped: {run.base_branch} is green. {ci.summary}")
        elif ci.state not in AWAITED and ci.state is not CiState.NONE:
            change |= {"reason": (reason := f"Merged, pipeline {ci.state}: {ci.summary}")}
            self._tell(run, "pipeline", NoticeKind.PIPELINE_RED, reason)
        self.records.change(run.run_id, change, now)
        return True

    def _tell(self, run: RunRecord, key: str, kind: NoticeKind, text: str) -> bool:
        return self.records.notify(run.run_id, key, kind, text, self.clock.now())
