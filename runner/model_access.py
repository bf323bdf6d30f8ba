"""The model gateway, as the agent's runner needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from runner.conclusion import UpstreamFailure
from runner.spending import Barrier

CredentialKind: TypeAlias = Literal["api_key", "oauth"]


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What one attempt may use of the model: the placeholder it must show, its tier's model, and the run's money.

    patience_s: how long an answer may be silent until that is the upstream's failure, not the agent's idleness.
    """

    run_id: str
    attempt: int
    repo: str
    model: str
    effort: str
    placeholder: str
    sockets: Path
    run_micro_usd: int
    patience_s: float = 60.0


class ModelAccess(Protocol):
    """The model gateway, as the agent's runner needs it."""

    @property
    def credential_kind(self) -> CredentialKind:
        """Which header the CLI is to send its placeholder in."""

    def open(self, allowance: Allowance) -> None:
        """Serve `model.sock` in the sockets directory for this attempt. A second time changes nothing."""

    def shut(self, run_id: str, attempt: int) -> None:
        """No longer serve it; the placeholder is worth nothing from here on."""

    def closed(self, repo: str) -> Barrier | None:
        """What would refuse every question of the repository just now: a halt, or a budget of the day."""

    def refused(self, run_id: str, attempt: int) -> Barrier | None:
        """Why a request of this attempt was refused, or would be; None: it was not."""

    def lively(self, run_id: str, attempt: int) -> bool:
        """Whether an answer to this attempt is under way, of which something came not long ago."""

    def failure(self, run_id: str, attempt: int) -> UpstreamFailure | None:
        """The last failure of the upstream that this attempt met, if it has had no answer since.

        A question that is not answered for too long is one, although nobody has given it up yet.
        """
