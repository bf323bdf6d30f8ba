"""What is made of findings, and how a judgement goes on: the repository's word or its operator's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gates.findings import FindingKind, Weight

MAX_RETRIES: Final = 3
DEFAULT_RETRIES: Final = 1


@dataclass(frozen=True, kw_only=True)
class Policy:
    """weights: what differs from the weights that findings have by themselves, sorted by kind.

    require_reproducer: a change must bring a test that fails on the base and passes on it. allow_red_base: a base whose
    tests fail does not block; only failures that it has not are held against a change. keep_going: gates after a red
    one are asked all the same. retries: how often a red gate may be asked again to tell a flaky test, 0 to MAX_RETRIES.
    """

    weights: tuple[tuple[FindingKind, Weight], ...] = ()
    require_reproducer: bool = False
    allow_red_base: bool = False
    keep_going: bool = False
    retries: int = DEFAULT_RETRIES

    def weighing(self) -> Mapping[FindingKind, Weight]:
        """What `findings.weigh` is to be given: a reproducer that is required and missing fails."""
        required = {FindingKind.NO_REPRODUCER: Weight.FAIL} if self.require_reproducer else {}
        return {**dict(self.weights), **required}
