"""Where a caller's words are taken: whether they may comes first, and a refusal has done nothing.

A caller who is held to their own runs is told of another's run exactly what is told of one that does not exist. One
thing they can learn: that an issue they want to have worked is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runner.callers import Caller, Scope
from runner.changed import RunDiff
from runner.digest import Digest
from runner.errors import NotPermitted, NotPossible
from runner.intents import Cancel, Promote, RequestChanges, WorkTicket
from runner.ledger import RunLine
from runner.logs import Log, Wanted
from runner.model import Phase
from runner.owners import unknown_run
from runner.pool import PoolSeen
from runner.promoting import NotPromoted, Promoted, not_ours
from runner.records import RunRecord
from runner.service import Service
from runner.spending import Today


class Desk:
    """The service, as one caller has it. Every method may raise NotPermitted beside what the service's raises."""

    def __init__(self, service: Service, caller: Caller) -> None:
        """Speak for the caller."""
        self._service = service
        self._caller = caller

    def work_ticket(self, intent: WorkTicket) -> RunRecord:
        """See `Service.work_ticket`. Raises NotPossible where the issue is held by a run the caller does not see."""
        self._need(Scope.DISPATCH)
        run = self._service.work_ticket(replace(intent, owner=self._caller.name))
        if not self._caller.sees(run.owner):
            raise NotPossible("That issue is being worked already, for somebody else; ask the operator.")
        return run

    def request_changes(self, intent: RequestChanges) -> RunRecord:
        """See `Service.request_changes`."""
        self._need(Scope.DISPATCH, intent.run_id)
        return self._service.request_changes(intent)

    def cancel(self, intent: Cancel) -> RunRecord:
        """See `Service.cancel`."""
        self._need(Scope.DISPATCH, intent.run_id)
        return self._service.cancel(intent)

    def retry(self, run_id: str, *, from_start: bool = False, tier: str | None = None) -> RunRecord:
        """See `Service.retry`."""
        self._need(Scope.DISPATCH, run_id)
        return self._service.retry(run_id, from_start=from_start, tier=tier)

    def promote(self, intent: Promote) -> Promoted | NotPromoted:
        """See `Service.promote`."""
        self._need(Scope.PROMOTE)
        if not self.sees_pull(intent.repo, intent.pull):
            return not_ours(intent)
        return self._service.promote(intent)

    def status(self, run_id: str) -> Digest:
        """See `Service.status`."""
        self._need(Scope.READ, run_id)
        return self._service.status(run_id)

    def cursor(self, run_id: str) -> int:
        """See `Service.cursor`."""
        self._need(Scope.READ, run_id)
        return self._service.cursor(run_id)

    def list_runs(
        self, *, repo: str | None = None, phases: frozenset[Phase] | None = None, limit: int = 20
    ) -> list[RunRecord]:
        """See `Service.list_runs`: those that the caller sees."""
        self._need(Scope.READ)
        owner = self._caller.name if self._caller.own_runs else None
        return self._service.list_runs(repo=repo, phases=phases, owner=owner, limit=limit)

    def pool_seen(self, runs: Sequence[RunRecord]) -> dict[str, PoolSeen]:
        """See `Service.pool_seen`, of runs that the caller was shown."""
        self._need(Scope.READ)
        return self._service.pool_seen([run for run in runs if self._caller.sees(run.owner)])

    def today(self) -> Today:
        """See `Service.today`: of all runs together, whoever asks."""
        self._need(Scope.READ)
        return self._service.today()

    def ledger(self, *, since: float, repo: str | None) -> list[RunLine]:
        """See `Service.ledger`: of the runs that the caller sees."""
        self._need(Scope.READ)
        owner = self._caller.name if self._caller.own_runs else None
        return self._service.ledger(since=since, repo=repo, owner=owner)

    def logs(self, run_id: str, wanted: Wanted) -> Log:
        """See `Service.logs`."""
        self._need(Scope.READ, run_id)
        return self._service.logs(run_id, wanted)

    def diff(self, run_id: str, *, max_bytes: int) -> RunDiff:
        """See `Service.diff`."""
        self._need(Scope.READ, run_id)
        return self._service.diff(run_id, max_bytes=max_bytes)

    def sees_pull(self, repo: str, pull: int) -> bool:
        """Whether the pull request exists for the caller."""
        return not self._caller.own_runs or self._caller.sees(self._service.owners.of_pull(repo, pull))

    def _need(self, scope: Scope, run_id: str | None = None) -> None:
        if scope not in self._caller.scopes:
            raise NotPermitted(f"Your token lacks the scope {scope.value}; ask the operator for one that has it.")
        if run_id is not None and self._caller.own_runs and not self._caller.sees(self._service.owners.of_run(run_id)):
            raise unknown_run(run_id)
