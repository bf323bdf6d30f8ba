"""At which tier a ticket starts, by what the ledger expects a merged pull request to cost. Pure.

Starting at tier i costs c(i), and on failure whatever starting at the next tier costs: E(i) = c(i) + (1 - p(i)) E(i+1),
with E = 0 above the last tier, where a person takes over. It ends in a merge with the chance
P(i) = p(i) + (1 - p(i)) P(i+1). What one merged pull request is expected to cost is E(i) / P(i).

p and c come from the repository's own trials, with a prior for what they have not shown: p as the mean of a
Beta(1 + successes, 1 + failures), c as if one more trial had cost a quarter of the tier's bound. All in fractions: the
same ledger gives the same tier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from gates.text import usd
from runner.ledger import Trials
from runner.model import Tier

LEAST_TRIALS: Final = 8
"""With fewer trials at the first tier nothing is known, and with fewer at another nothing is known of that one."""
LOOKED_BACK_S: Final = 120 * 86_400.0
"""What is older is forgotten, so that a tier that was passed over is tried again some day."""
MOST_RUNS: Final = 500
_PRIOR_SHARE: Final = 4


@dataclass(frozen=True, kw_only=True)
class Start:
    """Index of the tier to start at, and why there, in a sentence; None where it is the first for want of a reason."""

    tier: int
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Rung:
    chance: Fraction
    cost: Fraction
    known: bool


def start(ladder: Sequence[Tier], seen: Mapping[str, Trials]) -> Start:
    """Where to start. seen: the repository's trials by the name of the tier."""
    rungs = [_rung(tier, seen.get(tier.name, Trials())) for tier in ladder]
    if not rungs or not rungs[0].known:
        return Start(tier=0)
    expected = _expected(rungs)
    fit = [place for place, rung in enumerate(rungs) if rung.known and not _dominated(rung, rungs)]
    # Of equals the first: `min` keeps the order.
    best = min(fit, key=lambda place: expected[place], default=0)
    if best == 0:
        return Start(tier=0)
    tried = seen[ladder[0].name]
    first, there = ladder[0].name, ladder[best].name
    why = (
        f"Starts at tier {there}: a merge is expected to cost {_dollars(expected[best])} from there and "
        f"{_dollars(expected[0])} from {first}, which succeeded in {tried.successes} of {tried.trials} trials here."
    )
    return Start(tier=best, why=why)


def _rung(tier: Tier, tried: Trials) -> _Rung:
    prior = Fraction(tier.max_micro_usd, _PRIOR_SHARE)
    return _Rung(
        chance=Fraction(1 + tried.successes, 2 + tried.trials),
        cost=(tried.micro_usd + prior) / (tried.trials + 1),
        known=tried.trials >= LEAST_TRIALS,
    )


def _expected(rungs: Sequence[_Rung]) -> list[Fraction]:
    """Money for each merged pull request, by where it starts."""
    told: list[Fraction] = []
    cost, chance = Fraction(0), Fraction(0)
    for rung in reversed(rungs):
        cost = rung.cost + (1 - rung.chance) * cost
        chance = rung.chance + (1 - rung.chance) * chance
        told.append(cost / chance)
    return told[::-1]


def _dominated(rung: _Rung, rungs: Sequence[_Rung]) -> bool:
    """Whether a tier that is known costs no more and succeeds no less, and is better in one of them."""
    return any(
        other.known
        and other.cost <= rung.cost
        and other.chance >= rung.chance
        and (other.cost, other.chance) != (rung.cost, rung.chance)
        for other in rungs
    )


def _dollars(micro_usd: Fraction) -> str:
    return usd(round(micro_usd))
