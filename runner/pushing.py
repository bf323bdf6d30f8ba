"""Work goes to its branch; where it cannot, the forge is asked why, because git's own words seldom say."""

from __future__ import annotations

from dataclasses import dataclass

from runner.errors import ForgeDown
from runner.ports import Checkouts, Forge


@dataclass(frozen=True, kw_only=True)
class Pusher:
    """Pushes a run's commits to the repository that the forge knows by that name."""

    checkouts: Checkouts
    forge: Forge

    def push(self, run_id: str, repo: str, commit: str, branch: str) -> None:
        """Have `branch` at `commit` on the forge.

        Raises PushRejected, CheckoutFault, ForgeDown; UnknownRepo and NotPossible where the repository can take no work
        any more (it is gone, hidden, archived), each with its cure.
        """
        try:
            self.checkouts.push(run_id, self.forge.remote(repo), commit, branch)
        except ForgeDown:
            self.forge.default_branch(repo)
            raise
