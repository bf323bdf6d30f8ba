"""At which tier a ticket starts: where it says, or where the operator's policy says, by the ledger."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from runner.allowed import Policy
from runner.errors import BadIntent, RecordsFault
from runner.ledger import Ledger, trials
from runner.ports import Clock
from runner.start_tier import LOOKED_BACK_S, MOST_RUNS, Start, start

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Starter:
    """Says where tickets start, as the operator wants it."""

    policy: Policy
    clock: Clock
    ledger: Ledger

    def start(self, repo: str, model: str | None) -> Start:
        """The tier that the ticket names, or else what the ledger says of the repository. Raises BadIntent."""
        if model is not None:
            return Start(tier=self.named(model))
        if not self.policy.start_where_cheapest:
            return Start(tier=0)
        try:
            lines = self.ledger.lines(since=self.clock.now() - LOOKED_BACK_S, repo=repo, limit=MOST_RUNS)
        except RecordsFault:
            _LOG.warning("the ledger could not be read; a ticket starts at the first tier", exc_info=True)
            return Start(tier=0)
        return start(self.policy.ladder, trials(lines))

    def named(self, model: str) -> int:
        """The tier of that name, or of that model. Raises BadIntent."""
        for index, tier in enumerate(self.policy.ladder):
            if model in {tier.name, tier.model}:
                return index
        names = ", ".join(tier.name for tier in self.policy.ladder)
        raise BadIntent(f"model {model} is on no rung of the ladder; choose one of {names}, or leave it out.")
