"""Who dispatched a run, and what is said of a run that there is not."""

from __future__ import annotations

from dataclasses import dataclass

from runner.errors import UnknownRun
from runner.records import Records


@dataclass(frozen=True, kw_only=True)
class Owners:
    """Looks owners up."""

    records: Records

    def of_run(self, run_id: str) -> str | None:
        """Who dispatched the run; None where there is no such run."""
        run = self.records.run(run_id)
        return None if run is None else run.owner

    def of_pull(self, repo: str, pull: int) -> str | None:
        """Who dispatched the run of that pull request; None where no run of ours owns it."""
        run = self.records.run_of_pull(repo, pull)
        return None if run is None else run.owner


def unknown_run(run_id: str) -> UnknownRun:
    """The same for a run that does not exist and for one that does not exist for the caller."""
    return UnknownRun(f"No run is called {run_id}; list_runs shows the ones there are.")
