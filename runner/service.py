"""Intents in, records and rounds out. Holds no credential; reaches the world only through ports."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from runner.admission import AdmissionControl
from runner.ages import Ages
from runner.allowed import FollowPolicy, Policy
from runner.brief import feedback_from_reviewer
from runner.cancelling import Canceller
from runner.changed import RunDiff, diff_of
from runner.digest import Digest, describe
from runner.errors import NotPossible
from runner.follower import Follower
from runner.guard import sound
from runner.intents import Cancel, Promote, RequestChanges, WorkTicket
from runner.keeping import Keeper
from runner.ledger import MAX_RUNS, Ledger, RunLine
from runner.logs import Log, Wanted, read_log
from runner.model import DONE_PHASES, LIVE_PHASES, WORKING_PHASES, Cause, Phase, RoundInput
from runner.owners import Owners, unknown_run
from runner.pool import Pool, PoolSeen
from runner.ports import Checkouts, Clock, Forge
from runner.promoting import NotPromoted, Promoted, Promoter
from runner.records import NoticeKind, Records, RunChange, RunRecord
from runner.retrying import Retrier
from runner.round_after import first_round, round_after, tier_of
from runner.spending import Spending, Today
from runner.standstill import Standstill
from runner.starting import Starter
from runner.turns import Turns
from runner.view import view_of

_MOST_LIVE: Final = 1000
_PATIENCE_S: Final = 60.0
_DISPATCH: Final = "dispatch"
_ID_ALPHABET: Final = string.ascii_lowercase + string.digits


class Service:
    """Everything a caller can have done. Every method is safe to repeat."""

    def __init__(  # noqa: PLR0913 - each is a part of its own
        self,
        *,
        policy: Policy,
        records: Records,
        pool: Pool,
        admission: AdmissionControl,
        forge: Forge,
        checkouts: Checkouts,
        clock: Clock,
        keeper: Keeper,
        spending: Spending,
        ages: Ages,
        ledger: Ledger,
        standstill: Standstill | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        """Take the ports; does nothing yet."""
        self._policy = policy
        self._records = records
        self._rounds = pool
        self._admission = admission
        self._forge = forge
        self._checkouts = checkouts
        self._clock = clock
        self._keeper = keeper
        self._spending = spending
        self._standstill = standstill or Standstill()
        self._turns = Turns()
        self._ledger = ledger
        self._starter = Starter(policy=policy, clock=clock, ledger=ledger)
        self.owners = Owners(records=records)
        self._canceller = Canceller(records=records, rounds=pool, clock=clock, keeper=keeper)
        self._retrier = Retrier(records=records, checkouts=checkouts, ladder=policy.ladder, bounds=policy.bounds)
        self.promoter = Promoter(
            records=records, forge=forge, checkouts=checkouts, clock=clock, ci=policy.ci, submit=self._submit
        )
        self.follower = Follower(
            records=records,
            forge=forge,
            checkouts=checkouts,
            clock=clock,
            ages=ages,
            policy=FollowPolicy(
                ci=policy.ci, ladder=policy.ladder, bounds=policy.bounds, settle_s=policy.review_settle_s
            ),
            alone=self._alone,
            landed=self.promoter.landed,
            submit=self._submit,
            guard=keeper.guard,
        )
        self._new_id = new_id or (lambda: "".join(secrets.choice(_ID_ALPHABET) for _ in range(6)))

    # --- writes ---

    def work_ticket(self, intent: WorkTicket) -> RunRecord:
        """Start a run, or return the one that is live for this (repo, issue).

        Raises RepoNotAllowed, UnknownRepo, BadIntent (a model that is on no rung), NotPossible (as many runs as there
        may be), ForgeDown.
        """
        self._policy.allow(intent.repo)
        self._keeper.guard.asked("The brief", intent.brief)
        start = self._starter.start(intent.repo, intent.model)
        base_branch = self._forge.default_branch(intent.repo)
        now = self._clock.now()
        slug = "".join(ch if ch.isalnum() else "-" for ch in intent.repo.lower())[-32:].strip("-")
        run_id = f"{slug}-{intent.issue}-{self._new_id()}"
        fresh = RunRecord(
            run_id=run_id,
            repo=intent.repo,
            issue=intent.issue,
            brief=intent.brief,
            model=intent.model,
            phase=Phase.QUEUED,
            base_branch=base_branch,
            branch=f"ashigaru/{intent.issue}-{run_id.rsplit('-', 1)[1]}",
            created_at=now,
            updated_at=now,
            start_tier=start.tier,
            tier=self._policy.ladder[start.tier].name,
            owner=intent.owner,
            priority=intent.priority or self._policy.priority(intent.repo),
            queued_at=now,
        )
        run = self._claimed(fresh)
        if run.run_id == run_id:
            if start.why is not None:
                self._records.notify(run_id, "start", NoticeKind.START, start.why, now)
            self._submit(first_round(run, self._policy.ladder, self._policy.bounds))
        return run

    def request_changes(self, intent: RequestChanges) -> RunRecord:
        """Start a new round on the branch and pull request, at the tier it reached.

        Raises UnknownRun, RepoNotAllowed, NotPossible.
        """
        with self._alone(intent.run_id):
            run = self._known(intent.run_id)
            self._policy.allow(run.repo)
            sound(run)
            self._keeper.guard.asked("What you ask for", intent.notes)
            if run.phase in WORKING_PHASES:
                raise NotPossible(
                    "The run is still working; wait until status says awaiting_review, then ask for changes."
                )
            if run.phase in DONE_PHASES:
                raise NotPossible("The run is merged; open a new ticket for further changes.")
            if run.base_sha is None:
                raise NotPossible("The run never got as far as a commit; dispatch the ticket again with work_ticket.")
            last = self._records.round_input(run.run_id, run.round)
            if last is None:
                raise NotPossible("The run's last round is not on record; dispatch the ticket again with work_ticket.")
            if not self._records.reclaim(run.run_id):
                raise NotPossible("Another run is live for this issue; ask for changes there, or cancel it first.")
            self._submit(
                round_after(
                    last,
                    run,
                    cause=Cause.CHANGES,
                    ladder=self._policy.ladder,
                    bounds=self._policy.bounds,
                    feedback=feedback_from_reviewer(intent.notes),
                    start_tier=tier_of(run, self._policy.ladder),
                )
            )
        return self._known(intent.run_id)

    def cancel(self, intent: Cancel) -> RunRecord:
        """Raise the cancel flag; the round under way stops and keeps its work. Raises UnknownRun, NotPossible."""
        with self._alone(intent.run_id):
            self._canceller.cancel(self._known(intent.run_id))
        return self._known(intent.run_id)

    def retry(self, run_id: str, *, from_start: bool = False, tier: str | None = None) -> RunRecord:
        """Have a run that ended without a merge go on (`runner.retrying`). tier: the rung to go on at, by its name.

        Raises UnknownRun, RepoNotAllowed, BadIntent, NotPossible.
        """
        rung = None if tier is None else self._starter.named(tier)
        with self._alone(run_id):
            run = self._known(run_id)
            self._policy.allow(run.repo)
            sound(run)
            # What git is asked for takes its time, and nobody else's ticket waits for it.
            following, also = self._retrier.retry(run, from_start=from_start, rung=rung)
            with self._alone(_DISPATCH):
                self._admission.admit(run.repo, run.owner)
                self._retrier.claim(run)
                self._submit(following, also)
        return self._known(run_id)

    def promote(self, intent: Promote) -> Promoted | NotPromoted:
        """Merge exactly what was judged, or say why not. Raises RepoNotAllowed, UnknownRepo, ForgeDown."""
        self._policy.allow(intent.repo)
        run = self._records.run_of_pull(intent.repo, intent.pull)
        with self._alone("" if run is None else run.run_id):
            return self.promoter.promote(intent)

    # --- reads ---

    def status(self, run_id: str) -> Digest:
        """The run as a person would want it told. Raises UnknownRun."""
        with self._records.one_look():
            run = self._known(run_id)
            today, budget = self._spending.today(run.repo), self._policy.bounds.run_micro_usd
            seen = self._rounds.seen([run])[run.run_id]
            view = view_of(self._records, run, today=today, budget_micro_usd=budget, pool=seen)
        return describe(view, standstill=self._standstill.why)

    def pool_seen(self, runs: Sequence[RunRecord]) -> dict[str, PoolSeen]:
        """Where each of the runs is in the pool, by id."""
        return self._rounds.seen(runs)

    def today(self, repo: str | None = None) -> Today:
        """What the day has cost so far, and whether spending is halted."""
        return self._spending.today(repo)

    def cursor(self, run_id: str) -> int:
        """The run's cursor now. Raises UnknownRun."""
        return self._known(run_id).cursor

    def list_runs(
        self,
        *,
        repo: str | None = None,
        phases: frozenset[Phase] | None = None,
        owner: str | None = None,
        limit: int = 20,
    ) -> list[RunRecord]:
        """The newest runs first."""
        return self._records.runs(repo=repo, phases=phases, owner=owner, limit=limit)

    def ledger(self, *, since: float, repo: str | None = None, owner: str | None = None) -> list[RunLine]:
        """The runs of the ledger, asked for at or after `since` (UTC seconds)."""
        return self._ledger.lines(since=since, repo=repo, owner=owner, limit=MAX_RUNS)

    def logs(self, run_id: str, wanted: Wanted) -> Log:
        """What happened in the run (`runner.logs`). Raises UnknownRun."""
        return read_log(self._records, self._known(run_id), wanted)

    def diff(self, run_id: str, *, max_bytes: int) -> RunDiff:
        """The run's work against its base (`runner.changed`). Raises UnknownRun, NotPossible."""
        return diff_of(self._checkouts, self._records, self._known(run_id), max_bytes=max_bytes)

    # --- inner ---

    def _known(self, run_id: str) -> RunRecord:
        run = self._records.run(run_id)
        if run is None:
            raise unknown_run(run_id)
        return run

    def _claimed(self, fresh: RunRecord) -> RunRecord:
        """The run itself, or the one that is live for its issue: that one is nobody's too many. Raises NotPossible."""
        with self._alone(_DISPATCH):
            try:
                self._admission.admit(fresh.repo, fresh.owner)
            except NotPossible:
                live = self._records.runs(repo=fresh.repo, phases=LIVE_PHASES, limit=_MOST_LIVE)
                there = [run for run in live if run.issue == fresh.issue]
                if not there:
                    raise
                return there[0]
            return self._records.claim(fresh)

    def _submit(self, round_input: RoundInput, also: RunChange | None = None) -> None:
        # Records first: a crash in between is repaired by `recover`, which sees a round that nobody enqueued.
        now = self._clock.now()
        self._records.save_round(round_input, now)
        change: RunChange = {
            "phase": Phase.QUEUED,
            "round": round_input.number,
            "reason": None,
            "retry_at": None,
            "cancel_requested": False,
            "queued_at": now,
        }
        self._records.change(round_input.run_id, change | (also or {}), now)
        self._rounds.submit(round_input)

    @contextmanager
    def _alone(self, run_id: str) -> Iterator[None]:
        """Nobody else moves the run on meanwhile: neither another caller nor what the forge shows."""
        deadline = self._clock.monotonic() + _PATIENCE_S

        def may_wait() -> None:
            if self._clock.monotonic() > deadline:
                raise NotPossible("Something else is being done with that run just now; ask again in a minute.")

        with self._turns.alone(run_id, may_wait):
            yield
