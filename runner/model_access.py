"""The model gateway, as the agent's runner needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from runner.conclusion import UpstreamFailure

CredentialKind: TypeAlias = Literal["api_key", "oauth"]


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What one attempt may use of the model: the placeholder it must show, and the money left."""

    run_id: str
    attempt: int
    placeholder: str
    sockets: Path
    run_micro_usd: int


class ModelAccess(Protocol):
    """The model gateway, as the agent's runner needs it."""

    @property
    def credential_kind(self) -> CredentialKind:
        """Which header the CLI is to send its placeholder in."""

    def open(self, allowance: Allowance) -> None:
        """Serve `model.sock` in the sockets directory for this attempt. A second time changes nothing."""

    def shut(self, run_id: str, attempt: int) -> None:
        """No longer serve it; the placeholder is worth nothing from here on."""

    def exhausted(self, run_id: str) -> bool:
        """Whether a request of this run was refused because its money is used up."""

    def failure(self, run_id: str, attempt: int) -> UpstreamFailure | None:
        """The last failure of the upstream that this attempt met, if it has had no answer since."""
