"""The ladder and the prices where the operator sets none. Values only."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from runner.model import Tier


class Price(BaseModel):
    """Micro-dollars per million tokens, for models whose id starts with the table's key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: int = Field(ge=0)
    output: int = Field(ge=0)
    cache_read: int = Field(ge=0)
    cache_write: int = Field(ge=0)


DEFAULT_LADDER = (
    Tier(
        name="sonnet", model="sonnet", effort="medium", max_turns=40, max_micro_usd=2_000_000, wall_s=1800, idle_s=300
    ),
    Tier(name="opus", model="opus", effort="medium", max_turns=60, max_micro_usd=6_000_000, wall_s=2700, idle_s=300),
    Tier(
        name="opus-high", model="opus", effort="high", max_turns=80, max_micro_usd=12_000_000, wall_s=3600, idle_s=600
    ),
)

# Published list prices, in micro-dollars per million tokens; an operator with other terms sets ASHIGARU_PRICES.
DEFAULT_PRICES = {
    "claude-haiku": Price(input=1_000_000, output=5_000_000, cache_read=100_000, cache_write=1_250_000),
    "claude-sonnet": Price(input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000),
    "claude-opus": Price(input=5_000_000, output=25_000_000, cache_read=500_000, cache_write=6_250_000),
    "claude-fable": Price(input=10_000_000, output=50_000_000, cache_read=1_000_000, cache_write=12_500_000),
}
